package server

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/osv"
)

// Composer asks its repositories. There are two, because each has a setting that spoils the other:
//
//	/composer         security advisories, for any Composer from 2.4 on. "metadata-url" has to be there, or the advisories are
//	                  passed over in silence; a pattern that no package has keeps Composer from asking here for packages.
//	/composer-filter  a list of malware, for Composer from 2.10 on, which then does not install what is on it. It is asked
//	                  only for packages that the repository may have, so there is no such pattern.
//
// Both name packages that are on record only: another repository is then still asked for the others.
func (s *Server) composerRoutes(mux *http.ServeMux) {
	s.handle(mux, "GET /composer/packages.json", func(_ *generation, w http.ResponseWriter, _ *http.Request) error {
		var doc struct {
			Packages   []string `json:"packages"`
			Metadata   string   `json:"metadata-url"`
			Patterns   []string `json:"available-package-patterns"`
			Advisories struct {
				Metadata bool   `json:"metadata"`
				API      string `json:"api-url"`
			} `json:"security-advisories"`
		}
		doc.Metadata = s.conf.Public + "/composer/p2/%package%.json"
		doc.Patterns = []string{"none/none"}
		doc.Advisories.API = s.conf.Public + "/composer/api/security-advisories/"
		return answer(w, http.StatusOK, doc)
	})
	s.handle(mux, "GET /composer-filter/packages.json", func(_ *generation, w http.ResponseWriter, _ *http.Request) error {
		type list struct {
			Enabled bool `json:"enabled"`
		}
		var doc struct {
			Packages []string `json:"packages"`
			Metadata string   `json:"metadata-url"`
			Filter   struct {
				Metadata bool            `json:"metadata"` // false: the list is passed over
				Lists    map[string]list `json:"lists"`
				API      string          `json:"api-url"`
			} `json:"filter"`
		}
		doc.Metadata = s.conf.Public + "/composer-filter/p2/%package%.json"
		doc.Filter.Metadata = true
		doc.Filter.Lists = map[string]list{composerList: {Enabled: true}}
		doc.Filter.API = s.conf.Public + "/composer/filter-api"
		return answer(w, http.StatusOK, doc)
	})
	s.handle(mux, "GET /composer/api/security-advisories/", s.composerAdvisories)
	s.handle(mux, "POST /composer/api/security-advisories/", s.composerAdvisories)
	s.handle(mux, "POST /composer/filter-api", s.composerFilter)
}

const (
	// composerList is the name of the list that Composer blocks installs by.
	composerList = "malware"
	// maxComposerPackages bounds what one request asks, as package net/url bounds a form; a lock file has some hundred packages.
	maxComposerPackages = 10_000
)

// composerAdvisory is one of packagist.org's API (https://packagist.org/apidoc#list-security-advisories).
type composerAdvisory struct {
	AdvisoryID       string           `json:"advisoryId"`
	PackageName      string           `json:"packageName"`
	RemoteID         string           `json:"remoteId"`
	Title            string           `json:"title"`
	Link             string           `json:"link"`
	CVE              *string          `json:"cve"`
	AffectedVersions string           `json:"affectedVersions"`
	Source           string           `json:"source"`
	ReportedAt       string           `json:"reportedAt"`
	Repository       string           `json:"composerRepository"`
	Severity         string           `json:"severity"`
	Sources          []composerSource `json:"sources"`
}

type composerSource struct {
	Name     string `json:"name"`
	RemoteID string `json:"remoteId"`
}

// composerAdvisories answers as packagist.org does: packages[] are those asked for, by form or query, updatedSince is Unix time, and
// without packages all that changed since are given.
func (s *Server) composerAdvisories(g *generation, w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	if r.Method == http.MethodPost {
		body, err := s.body(w, r)
		if err != nil {
			return err
		}
		if bytes.Count(body, []byte("&")) >= maxComposerPackages {
			return composerTooMany()
		}
		posted, err := url.ParseQuery(string(body))
		if err != nil {
			return &httpError{http.StatusBadRequest, "the body is no form"}
		}
		for k, v := range posted {
			form[k] = append(form[k], v...)
		}
	}
	names := composerNames(form)
	since := int64(math.MinInt64)
	if raw := form.Get("updatedSince"); form.Has("updatedSince") {
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil || n < 0 || n > time.Now().Unix()+60 {
			return composerRefusal(w, "Invalid updatedSince parameter: it is Unix time, and not in the future.")
		}
		since = n
	} else if len(names) == 0 {
		return composerRefusal(w, `Missing array of package names as the "packages" parameter`)
	}
	found := map[string][]composerAdvisory{}
	collect := func(name string, a *advisory.Advisory) {
		if text := composerConstraint(a, "|"); text != "" && (a.Modified.IsZero() || a.Modified.Unix() >= since) {
			found[name] = append(found[name], s.composerAdvisory(name, text, a))
		}
	}
	if len(names) == 0 {
		all, err := g.composer.all(g, s.links())
		if err != nil {
			return err
		}
		for i := range all {
			collect(all[i].Key.Name, &all[i])
		}
	}
	for _, name := range names {
		if err := s.composerLookup(g, name, func(a *advisory.Advisory) { collect(name, a) }); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		return answer(w, http.StatusOK, map[string][]string{"advisories": {}}) // an array, as PHP writes an empty map
	}
	return answer(w, http.StatusOK, map[string]map[string][]composerAdvisory{"advisories": found})
}

func composerTooMany() error {
	return &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d packages", maxComposerPackages)}
}

func composerRefusal(w http.ResponseWriter, message string) error {
	return answer(w, http.StatusBadRequest, struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}{"error", message})
}

func (s *Server) composerAdvisory(name, versions string, a *advisory.Advisory) composerAdvisory {
	published := cmp.Or(a.Published, a.Modified)
	return composerAdvisory{
		AdvisoryID: a.ID, PackageName: name, RemoteID: a.ID, Title: a.Title, Link: a.URL, AffectedVersions: versions,
		Source: s.conf.Publisher, ReportedAt: published.Format(time.DateTime), Repository: "https://packagist.org", Severity: "critical",
		Sources: []composerSource{{s.conf.Publisher, a.ID}},
	}
}

// composerNames are the packages of a form: packages[], packages[0], …, in the order of the form's keys, each once.
func composerNames(form url.Values) []string {
	var keys []string
	for k := range form {
		if rest, ok := strings.CutPrefix(k, "packages["); ok && strings.HasSuffix(rest, "]") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var names []string
	for _, k := range keys {
		names = append(names, form[k]...)
	}
	return once(names)
}

// once leaves out what is empty or came before.
func once(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(n string) bool {
		if n == "" || seen[n] {
			return true
		}
		seen[n] = true
		return false
	})
}

type composerEntry struct {
	Package    string `json:"package"`
	Constraint string `json:"constraint"`
	URL        string `json:"url"`
	Reason     string `json:"reason"`
	ID         string `json:"id"`
}

// composerFilter answers which of the packages, named "pkg://composer/vendor/name", are on the list.
func (s *Server) composerFilter(g *generation, w http.ResponseWriter, r *http.Request) error {
	var ask struct {
		Packages []string `json:"packages"`
		Lists    []string `json:"lists"`
	}
	if err := s.jsonBody(w, r, &ask); err != nil {
		return err
	}
	if len(ask.Packages) > maxComposerPackages {
		return composerTooMany()
	}
	lists := map[string][]composerEntry{}
	if slices.Contains(ask.Lists, composerList) {
		entries := []composerEntry{}
		for _, p := range once(ask.Packages) {
			name, ok := strings.CutPrefix(p, "pkg://composer/")
			if !ok {
				continue
			}
			err := s.composerLookup(g, name, func(a *advisory.Advisory) {
				if text := composerConstraint(a, " || "); text != "" {
					entries = append(entries, composerEntry{name, text, a.URL, a.Title, a.ID})
				}
			})
			if err != nil {
				return err
			}
		}
		lists[composerList] = entries
	}
	return answer(w, http.StatusOK, map[string]map[string][]composerEntry{"filter": lists})
}

// composerLookup gives what is in force about a package.
func (s *Server) composerLookup(g *generation, name string, found func(*advisory.Advisory)) error {
	key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "Packagist", Name: name})
	if !ok {
		return nil
	}
	records, err := g.ix.Lookup(key)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Withdrawn {
			continue
		}
		doc, err := g.ix.Document(rec)
		if err != nil {
			return err
		}
		for _, a := range advisory.Of(doc, s.links()) {
			if a.Key == key {
				found(&a)
			}
		}
	}
	return nil
}

// composerAll are all advisories about Composer's packages, read from the snapshot when somebody first asks for all of them.
type composerAll struct {
	mu   sync.Mutex
	read bool
	list []advisory.Advisory
}

func (c *composerAll) all(g *generation, links advisory.Links) ([]advisory.Advisory, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read {
		return c.list, nil
	}
	var list []advisory.Advisory
	for doc, err := range g.ix.Documents() {
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(doc), `"Packagist`) {
			continue
		}
		rec, _, err := osv.Parse(doc)
		if err != nil {
			return nil, err
		}
		for _, a := range advisory.Of(rec, links) {
			if a.Key.Ecosystem == "Packagist" {
				list = append(list, a)
			}
		}
	}
	c.list, c.read = list, true
	return list, nil
}

// composerConstraint writes the versions of a as Composer's constraints (https://getcomposer.org/doc/articles/versions.md), "" when
// none of them can be written. Composer takes "<1.0" and ">=1.0" for the pre-releases of 1.0 as well, so runs are
// written without these signs. Branches are equal by their name alone.
func composerConstraint(a *advisory.Advisory, or string) string {
	if a.All {
		return "*"
	}
	number := func(v string) string {
		v, _, _ = strings.Cut(v, "+")
		return v
	}
	var terms []string
	for _, s := range a.Merged(func(string) bool { return true }) {
		from, to := number(s.From), number(s.To)
		var run []string
		if from != "" {
			terms = append(terms, "="+from)
			run = append(run, ">"+from)
		}
		if s.Including && a.Ordered(s.From) && a.Compare(s.From, s.To) == 0 {
			continue
		}
		if to != "" {
			run = append(run, "<="+to)
			if !s.Including {
				run = append(run, "!="+to)
			}
		}
		terms = append(terms, strings.Join(run, ","))
	}
	for _, v := range a.Versions {
		if !a.Ordered(v) && composerBranch.MatchString(v) {
			terms = append(terms, "="+v)
		}
	}
	return strings.Join(terms, or)
}

// composerBranch is a branch by name in characters that mean nothing else in a constraint.
var composerBranch = regexp.MustCompile(`^dev-[A-Za-z0-9._/-]+$`)

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.EscapeForHTML(true))
	if err != nil {
		return err
	}
	return writeJSON(w, status, data)
}
