package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/match"
)

// The audits of npm's registry. Bulk is asked by npm from 7, pnpm from 11, Yarn from 4 and bun; the others, with the whole tree
// in the body, by npm 6, pnpm 9 and 10 and Yarn 2 and 3 (docs.npmjs.com/cli/commands/npm-audit, "Bulk Advisory Endpoint" and
// "Quick Audit Endpoint").
const (
	npmBulkPath  = "/-/npm/v1/security/advisories/bulk"
	npmFullPath  = "/-/npm/v1/security/audits"
	npmQuickPath = "/-/npm/v1/security/audits/quick"
	// npmPrefix is where a registry is served for clients that have one address for installs and audits.
	npmPrefix = "/npm"
)

// Bounds of an audit. Large real trees have some 5,000 packages, and pnpm nests them as deep as they depend on each other.
const (
	maxNPMPackages = 100_000 // versions asked about, in one request
	maxNPMVersions = 5_000   // of them, of a package that is on record
	maxNPMDepth    = 1_000   // packages in packages
	maxNPMPaths    = 1_000   // told for one version
	npmPathBytes   = 4 << 20 // told in one answer
	npmRangeBytes  = 1 << 20 // of versions on record that were not asked about, in one answer
	npmRangeTerms  = 1_000   // of them, for one advisory
	npmIDFloor     = 1 << 52 // the registry's own ids are below
	npmSeverity    = "critical"
	npmCWE         = "CWE-506" // embedded malicious code
)

// npmRoutes answers audits from the catalog: at the server's own address with what is on record and nothing else, and below
// [npmPrefix] with what the upstream registry says as well, when there is one.
func (s *Server) npmRoutes(mux *http.ServeMux) {
	for _, prefix := range []string{"", npmPrefix} {
		merge := prefix != "" && s.conf.NPMUpstream != nil
		s.handle(mux, "POST "+prefix+npmBulkPath, s.npmAudit(npmBulkPath, merge))
		s.handle(mux, "POST "+prefix+npmFullPath, s.npmAudit(npmFullPath, merge))
		s.handle(mux, "POST "+prefix+npmQuickPath, s.npmAudit(npmQuickPath, merge))
	}
}

// npmAudit answers audits of one kind.
func (s *Server) npmAudit(path string, merge bool) handler {
	return func(g *generation, w http.ResponseWriter, r *http.Request) error {
		a := &npmQuestion{g: g, done: r.Context().Err, packages: map[string]*npmPackage{}}
		var raw npmCopy
		if merge { // the upstream is asked in the client's own bytes
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, &raw), r.Body}
		}
		body, err := open(w, r, s.conf.MaxBody)
		if err == nil {
			err = a.read(body, path != npmBulkPath)
			body.Close()
		}
		if err != nil {
			if broken, ok := errors.AsType[*npmLookupError](err); ok {
				return broken.err
			}
			said := npmRefusal(err)
			return answer(w, said.status, map[string]string{"error": said.message})
		}
		found, err := a.advisories(s.links())
		if err != nil {
			return err
		}
		if path != npmBulkPath {
			report, err := npmReportOf(a, found)
			if err != nil {
				return err
			}
			if merge {
				s.npmMerge(w, r, path, &raw, report.merge)
			}
			return answer(w, http.StatusOK, report)
		}
		bulk := npmBulk{}
		for _, f := range found {
			v, err := json.Marshal(f.bulk(), jsontext.EscapeForHTML(true))
			if err != nil {
				return err
			}
			bulk[f.name] = append(bulk[f.name], v)
		}
		if merge {
			s.npmMerge(w, r, path, &raw, bulk.merge)
		}
		return answer(w, http.StatusOK, bulk)
	}
}

// npmRefusal says what is wrong with a body. The decoder's own words have parts of the body in them and are not repeated.
func npmRefusal(err error) *httpError {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &httpError{http.StatusBadRequest, fmt.Sprintf("the body is not valid JSON, at byte %d", syntax.ByteOffset)}
	}
	return bodyError(err)
}

// npmLookupError is an error of the catalog and not of the body.
type npmLookupError struct{ err error }

func (e *npmLookupError) Error() string { return e.err.Error() }

// npmQuestion is what an audit asks, as far as it is about names on record.
type npmQuestion struct {
	g        *generation
	done     func() error
	packages map[string]*npmPackage
	asked    int // versions, of all names
	paths    int // bytes
}

// npmPackage is a name on record, with the versions that were asked about, each once.
type npmPackage struct {
	key      rapsheet.Key
	records  []rapsheet.Record // those in force
	versions []npmVersion
	at       map[string]int
	holding  bool // one of the versions holds the name of a package that was removed
}

type npmVersion struct {
	version string
	hits    []bool // by record
	paths   []string
	more    bool // there are more paths
}

// read takes a body in. tree says that it is a whole tree and not the bulk form.
func (a *npmQuestion) read(body io.Reader, tree bool) error {
	dec := jsontext.NewDecoder(body)
	var err error
	if tree {
		err = a.tree(dec, nil)
	} else {
		err = a.bulk(dec)
	}
	if err != nil {
		return err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return cmp.Or(err, errNPMTrailing)
	}
	return nil
}

var errNPMTrailing error = &httpError{http.StatusBadRequest, "the body goes on after its end"}

// bulk reads {"name": ["version", …], …}.
func (a *npmQuestion) bulk(dec *jsontext.Decoder) error {
	if err := begin(dec, '{', "the body"); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		p, err := a.find(name.String())
		if err != nil {
			return err
		}
		if err := begin(dec, '[', "what stands beside a name"); err != nil {
			return err
		}
		for dec.PeekKind() != ']' {
			v, err := dec.ReadToken()
			if err != nil {
				return err
			}
			if v.Kind() != '"' {
				return &httpError{http.StatusBadRequest, "a version is not a string"}
			}
			if err := a.count(); err != nil {
				return err
			}
			if p == nil {
				continue
			}
			if _, err := p.ask(v.String()); err != nil {
				return err
			}
		}
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// begin reads the beginning of an object or array.
func begin(dec *jsontext.Decoder, kind jsontext.Kind, what string) error {
	if k := dec.PeekKind(); k != kind && k != 0 { // 0 is an error, which reading gives
		return &httpError{http.StatusBadRequest, what + " is not what npm sends"}
	}
	_, err := dec.ReadToken()
	return err
}

// tree reads a package, {"version": "…", "dependencies": {"name": {…}, …}, …}, and those in it. path are the names that lead to it.
func (a *npmQuestion) tree(dec *jsontext.Decoder, path []string) error {
	if len(path) > maxNPMDepth {
		return &httpError{http.StatusBadRequest, fmt.Sprintf("packages are nested deeper than %d", maxNPMDepth)}
	}
	if err := begin(dec, '{', "a package"); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		t, err := dec.ReadToken()
		if err != nil {
			return err
		}
		switch member := t.String(); {
		case member == "version" && len(path) > 0 && dec.PeekKind() == '"':
			v, err := dec.ReadToken()
			if err != nil {
				return err
			}
			if err := a.installed(path, v.String()); err != nil {
				return err
			}
		case member == "dependencies" && dec.PeekKind() == '{':
			if _, err := dec.ReadToken(); err != nil {
				return err
			}
			for dec.PeekKind() != '}' {
				t, err := dec.ReadToken()
				if err != nil {
					return err
				}
				if err := a.tree(dec, append(path, t.String())); err != nil {
					return err
				}
			}
			if _, err := dec.ReadToken(); err != nil {
				return err
			}
		default:
			if err := dec.SkipValue(); err != nil {
				return err
			}
		}
	}
	_, err := dec.ReadToken()
	return err
}

// installed takes in one package of a tree. In a lockfile's first version an alias has the version "npm:name@1.0.0", and what is not
// from a registry has an address there (docs.npmjs.com/cli/v6/configuring-npm/package-lock-json#version).
func (a *npmQuestion) installed(path []string, version string) error {
	if err := a.count(); err != nil {
		return err
	}
	name := path[len(path)-1]
	if alias, ok := strings.CutPrefix(version, "npm:"); ok {
		if i := strings.LastIndexByte(alias, '@'); i > 0 {
			name, version = alias[:i], alias[i+1:]
		}
	} else if strings.ContainsRune(version, ':') {
		var ok bool
		if name, version, ok = ecosystem.NPMArchive(version); !ok || version == "" {
			return nil
		}
	}
	p, err := a.find(name)
	if p == nil || err != nil {
		return err
	}
	v, err := p.ask(version)
	if err != nil || !slices.Contains(v.hits, true) {
		return err
	}
	length := len(path)
	for _, n := range path {
		length += len(n)
	}
	if len(v.paths) == maxNPMPaths || len(v.paths) > 0 && a.paths+length > npmPathBytes {
		v.more = true
		return nil
	}
	a.paths += length
	v.paths = append(v.paths, strings.Join(path, ">"))
	return nil
}

// count counts a version that is asked about.
func (a *npmQuestion) count() error {
	a.asked++
	if a.asked > maxNPMPackages {
		return &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d versions of packages", maxNPMPackages)}
	}
	if a.asked%1024 == 0 {
		if err := a.done(); err != nil {
			return &npmLookupError{err}
		}
	}
	return nil
}

// find gives a name's package; nil when nothing in force is on record.
func (a *npmQuestion) find(name string) (*npmPackage, error) {
	if p, ok := a.packages[name]; ok {
		return p, nil
	}
	key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "npm", Name: name})
	if !ok {
		return nil, nil
	}
	records, err := a.g.ix.Lookup(key)
	if err != nil {
		return nil, &npmLookupError{err}
	}
	records = slices.DeleteFunc(records, func(r rapsheet.Record) bool { return r.Withdrawn })
	if len(records) == 0 {
		return nil, nil
	}
	p := &npmPackage{key: key, records: records, at: map[string]int{}}
	a.packages[key.Name] = p
	return p, nil
}

// ask judges a version the first time that it is asked about.
func (p *npmPackage) ask(version string) (*npmVersion, error) {
	if i, ok := p.at[version]; ok {
		return &p.versions[i], nil
	}
	if len(p.versions) == maxNPMVersions {
		return nil, &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d versions of one package", maxNPMVersions)}
	}
	v := npmVersion{version: version, hits: make([]bool, len(p.records))}
	s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: p.key.Ecosystem, Name: p.key.Name, Version: version}}
	for i := range p.records {
		v.hits[i] = match.Judge(&p.records[i], &s).Verdict.Affected()
	}
	if e, ok := ecosystem.Find(p.key.Ecosystem); ok && e.HoldingVersion(version) {
		p.holding = true
	}
	p.at[version] = len(p.versions)
	p.versions = append(p.versions, v)
	return &p.versions[len(p.versions)-1], nil
}

// npmFound is a record with versions that were asked about.
type npmFound struct {
	name                string
	record              string
	title, url          string
	published, modified time.Time
	versions            []*npmVersion
	constraint          string
}

// advisories are the records that were met, by name and id.
func (a *npmQuestion) advisories(links advisory.Links) ([]npmFound, error) {
	var out []npmFound
	room := npmRangeBytes
	for _, name := range slices.Sorted(maps.Keys(a.packages)) {
		p := a.packages[name]
		from := len(out)
		for i := range p.records {
			var met []*npmVersion
			for j := range p.versions {
				if p.versions[j].hits[i] {
					met = append(met, &p.versions[j])
				}
			}
			if len(met) == 0 {
				continue
			}
			if err := a.done(); err != nil {
				return nil, err
			}
			doc, err := a.g.ix.Document(p.records[i])
			if err != nil {
				return nil, err
			}
			for _, adv := range advisory.Of(doc, links) {
				if adv.Key != p.key || slices.ContainsFunc(out[from:], func(f npmFound) bool { return f.record == adv.ID }) {
					continue
				}
				f := npmFound{name: name, record: adv.ID, title: adv.Title, url: adv.URL, published: cmp.Or(adv.Published, adv.Modified), modified: adv.Modified, versions: met}
				if f.constraint = p.constraint(&adv, met, &room); f.constraint != "" {
					out = append(out, f)
				}
			}
		}
	}
	return out, nil
}

// constraint writes the versions of a as a range of node-semver (github.com/npm/node-semver#ranges). Every version that was
// met is in it by itself, so that no client's reading of ranges matters to what was asked. The others on record are there too:
// npm takes a version that is not for a repaired one, and offers to install it.
//
// A version that holds a removed package's name is never malicious. Where one was asked about, the range is only what was met.
func (p *npmPackage) constraint(a *advisory.Advisory, met []*npmVersion, room *int) string {
	if a.All && !p.holding {
		return "*"
	}
	var terms []string
	if !p.holding && len(a.Versions)+len(a.Spans) <= npmRangeTerms {
		for _, v := range a.Versions {
			if npmSemver.MatchString(v) {
				terms = append(terms, v)
			}
		}
		for _, s := range a.Spans {
			if s.From != "" && !npmSemver.MatchString(s.From) || s.To != "" && !npmSemver.MatchString(s.To) {
				continue
			}
			sub := advisory.Advisory{Spans: []advisory.Span{s}}
			terms = append(terms, advisory.NPM.Text(&sub))
		}
		for _, t := range terms {
			*room -= len(t)
		}
		if *room < 0 {
			terms = nil
		}
	}
	for _, v := range met {
		if npmSemver.MatchString(v.version) && !slices.Contains(terms, v.version) {
			terms = append(terms, v.version)
		}
	}
	return strings.Join(terms, " || ")
}

// npmSemver is a version of SemVer 2.0.0 and nothing that is a range to node-semver.
var npmSemver = regexp.MustCompile(`^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// id is a number that is always the same for a record and a name, a safe integer of JavaScript, and none of npm's own.
// Clients tell advisories apart by it.
func (f *npmFound) id() int64 {
	sum := sha256.Sum256([]byte(f.record + "\x00" + f.name))
	return npmIDFloor | int64(binary.BigEndian.Uint64(sum[:])>>12)
}

// npmBulk is an answer of the bulk form, advisories by name.
type npmBulk map[string][]jsontext.Value

type npmCVSS struct {
	Score  int     `json:"score"`
	Vector *string `json:"vectorString"`
}

type npmBulkAdvisory struct {
	ID       int64    `json:"id"`
	URL      string   `json:"url"`
	Title    string   `json:"title"`
	Severity string   `json:"severity"`
	Versions string   `json:"vulnerable_versions"`
	CWE      []string `json:"cwe"`
	CVSS     npmCVSS  `json:"cvss"` // as npm writes it where there is none
}

func (f *npmFound) bulk() npmBulkAdvisory {
	return npmBulkAdvisory{ID: f.id(), URL: f.url, Title: f.title, Severity: npmSeverity, Versions: f.constraint, CWE: []string{npmCWE}}
}

// npmReport is an answer to an audit of a tree.
type npmReport struct {
	Actions    []jsontext.Value          `json:"actions"`
	Advisories map[string]jsontext.Value `json:"advisories"`
	Muted      []jsontext.Value          `json:"muted"`
	Metadata   npmMetadata               `json:"metadata"`
}

type npmMetadata struct {
	Vulnerabilities npmCounts `json:"vulnerabilities"`
	Dependencies    int64     `json:"dependencies"`
	Dev             int64     `json:"devDependencies"`
	Optional        int64     `json:"optionalDependencies"`
	Total           int64     `json:"totalDependencies"`
}

type npmCounts struct {
	Info     int64 `json:"info"`
	Low      int64 `json:"low"`
	Moderate int64 `json:"moderate"`
	High     int64 `json:"high"`
	Critical int64 `json:"critical"`
}

type npmAction struct {
	Action   string       `json:"action"`
	Module   string       `json:"module"`
	Resolves []npmResolve `json:"resolves"`
}

type npmResolve struct {
	ID       int64  `json:"id"`
	Path     string `json:"path"`
	Dev      bool   `json:"dev"`
	Bundled  bool   `json:"bundled"`
	Optional bool   `json:"optional"`
}

type npmAdvisory struct {
	ID             int64        `json:"id"`
	Title          string       `json:"title"`
	Module         string       `json:"module_name"`
	Severity       string       `json:"severity"`
	Versions       string       `json:"vulnerable_versions"`
	Patched        string       `json:"patched_versions"`
	URL            string       `json:"url"`
	Overview       string       `json:"overview"`
	Recommendation string       `json:"recommendation"`
	Findings       []npmFinding `json:"findings"`
	Access         string       `json:"access"`
	CWE            []string     `json:"cwe"`
	CVEs           []string     `json:"cves"`
	Created        string       `json:"created"`
	Updated        string       `json:"updated"`
	Deleted        *string      `json:"deleted"`
	FoundBy        *string      `json:"found_by"`
	ReportedBy     *string      `json:"reported_by"`
	References     string       `json:"references"`
	Metadata       *string      `json:"metadata"`
	GitHubID       string       `json:"github_advisory_id"` // what pnpm's lists of what to ignore are of
	CVSS           npmCVSS      `json:"cvss"`
}

type npmFinding struct {
	Version string   `json:"version"`
	Paths   []string `json:"paths"`
}

func npmReportOf(a *npmQuestion, found []npmFound) (*npmReport, error) {
	r := &npmReport{Actions: []jsontext.Value{}, Advisories: map[string]jsontext.Value{}, Muted: []jsontext.Value{}}
	r.Metadata.Dependencies, r.Metadata.Total = int64(a.asked), int64(a.asked)
	actions := map[string]*npmAction{}
	var modules []string
	for i := range found {
		f := &found[i]
		action := actions[f.name]
		if action == nil {
			action = &npmAction{Action: "review", Module: f.name}
			actions[f.name] = action
			modules = append(modules, f.name)
		}
		adv := npmAdvisory{
			ID: f.id(), Title: f.title, Module: f.name, Severity: npmSeverity, Versions: f.constraint,
			Patched: "<0.0.0", // no version is
			URL:     f.url, Overview: "Known malicious code: " + f.url, Recommendation: "Remove the package, and treat the machine as compromised",
			Access: "public", CWE: []string{npmCWE}, CVEs: []string{}, Created: npmTime(f.published), Updated: npmTime(f.modified), GitHubID: f.record,
		}
		for _, v := range f.versions {
			adv.Findings = append(adv.Findings, npmFinding{v.version, v.paths})
			r.Metadata.Vulnerabilities.Critical += int64(len(v.paths))
			for _, path := range v.paths {
				action.Resolves = append(action.Resolves, npmResolve{ID: adv.ID, Path: path})
			}
		}
		v, err := json.Marshal(adv, jsontext.EscapeForHTML(true))
		if err != nil {
			return nil, err
		}
		r.Advisories[strconv.FormatInt(adv.ID, 10)] = v
	}
	for _, m := range modules {
		v, err := json.Marshal(actions[m], jsontext.EscapeForHTML(true))
		if err != nil {
			return nil, err
		}
		r.Actions = append(r.Actions, v)
	}
	return r, nil
}

// npmTime writes a time as JavaScript does.
func npmTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
