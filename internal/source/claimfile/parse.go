package claimfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// format is the version of the format that this package reads and writes.
const format = "1"

// Bounds of what a file may say. With MaxFile they bound what a few bytes of a
// file can become: every package of a file repeats what the file says of all.
const (
	maxText      = 64 << 10
	maxURL       = 8 << 10
	maxExpansion = 64 << 20
)

// earliest is before any package registry, futureLimit how far a clock may be ahead.
var earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

const futureLimit = 24 * time.Hour

// withdrawnPrefix begins the paragraph of the details that keeps why a claim was taken back.
const withdrawnPrefix = "Withdrawn: "

// Error says what is wrong with a file, and where.
type Error struct {
	Line    int // from 1; 0 for the file as a whole
	Message string
}

// Error gives one printable line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return printable.Cut(e.Message, 500)
	}
	return fmt.Sprintf("line %d: %s", e.Line, printable.Cut(e.Message, 500))
}

func errorAt(n *yaml.Node, format string, args ...any) error {
	return &Error{n.Line, fmt.Sprintf(format, args...)}
}

// Parse reads the claims in a claim file. A claim's reference is the document's
// name, the package, and the id if there is one. The error is an [*Error]; there
// are no claims then.
func Parse(doc source.Document) (source.Parsed, error) {
	if len(doc.Data) > MaxFile {
		return source.Parsed{}, &Error{0, (&bounded.LimitError{What: "claim file", Limit: MaxFile}).Error()}
	}
	root, err := tree(doc.Data)
	if err != nil {
		return source.Parsed{}, err
	}
	r := &reader{latest: time.Now().Add(futureLimit), file: doc.Name, refs: make(map[string]int)}
	if err := r.document(root); err != nil {
		return source.Parsed{}, err
	}
	return r.out, nil
}

// tree reads the one YAML document of a file, without what the format does not use.
func tree(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		return nil, &Error{0, "the file is empty"}
	case err != nil:
		return nil, syntax(err)
	}
	if err := dec.Decode(&second); err != io.EOF {
		return nil, &Error{second.Line, "more than one YAML document"}
	}
	if len(doc.Content) != 1 {
		return nil, &Error{0, "the file is empty"}
	}
	if err := plain(doc.Content[0], 0); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// syntax is an error of package yaml, which tells the line in its text.
func syntax(err error) *Error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				return &Error{line, text}
			}
		}
	}
	return &Error{0, message}
}

// maxNesting is deeper than anything the format has.
const maxNesting = 16

// plain refuses anchors, aliases and tags: what stands in a file is what it means.
func plain(n *yaml.Node, depth int) error {
	switch {
	case depth > maxNesting:
		return errorAt(n, "nested deeper than %d levels", maxNesting)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return errorAt(n, "YAML anchors and aliases are not used in claim files")
	case n.Style&yaml.TaggedStyle != 0:
		return errorAt(n, "YAML tags are not used in claim files")
	}
	for _, c := range n.Content {
		if err := plain(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// reader is one run of [Parse].
type reader struct {
	latest time.Time
	file   string
	refs   map[string]int // line of each reference
	size   int            // of the claims so far
	out    source.Parsed
}

// draft is a claim in the making.
type draft struct {
	claim.Claim
	why      string     // it was withdrawn
	versions bool       // something was said about versions
	ranges   *yaml.Node // read last: their type depends on the ecosystem
}

// fields calls f for each key of a mapping, in order; a key that comes twice is an error.
func fields(n *yaml.Node, what string, f func(key string, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return errorAt(n, "%s: want keys and values", what)
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			return errorAt(k, "%s: a key must be a word", what)
		}
		if seen[k.Value] {
			return errorAt(k, "key %q appears twice", k.Value)
		}
		seen[k.Value] = true
		if err := f(k.Value, v); err != nil {
			var e *Error
			if errors.As(err, &e) {
				return &Error{e.Line, k.Value + ": " + e.Message}
			}
			return errorAt(k, "%s: %v", k.Value, err)
		}
	}
	return nil
}

func (r *reader) document(root *yaml.Node) error {
	var common draft
	var packages *yaml.Node
	version := false
	err := fields(root, "the file", func(key string, v *yaml.Node) error {
		switch key {
		case "format":
			s, err := scalar(v, 16)
			if err == nil && s != format {
				err = fmt.Errorf("version %s is not known, only %s", s, format)
			}
			version = true
			return err
		case "packages":
			packages = v
			return nil
		}
		return r.field(&common, key, v)
	})
	switch {
	case err != nil:
		return err
	case !version:
		return errorAt(root, `"format: %s" is missing`, format)
	case packages == nil:
		return r.finish(&common, root)
	case packages.Kind != yaml.SequenceNode || len(packages.Content) == 0:
		return errorAt(packages, "packages: want a list of packages")
	case common.Name != "" || common.PURL != "":
		return errorAt(packages, "packages: the file names a package already")
	case common.ID != "":
		return errorAt(packages, "id: belongs to one package, not to all of the file")
	case len(common.Archives) > 0:
		return errorAt(packages, "digests: are of the archives of one package, not of all of the file")
	}
	for _, entry := range packages.Content {
		d := common
		d.Ecosystem = ""
		if err := fields(entry, "a package", func(key string, v *yaml.Node) error { return r.field(&d, key, v) }); err != nil {
			return err
		}
		if d.Ecosystem == "" && d.PURL == "" {
			d.Ecosystem = common.Ecosystem
		}
		if err := r.finish(&d, entry); err != nil {
			return err
		}
	}
	return nil
}

// field reads one key of a package, or of all packages of the file.
func (r *reader) field(d *draft, key string, v *yaml.Node) (err error) {
	switch key {
	case "ecosystem":
		d.Ecosystem, err = identifier(v)
	case "name":
		d.Name, err = identifier(v)
	case "purl":
		d.PURL, err = identifier(v)
	case "id":
		d.ID, err = identifier(v)
	case "aliases":
		d.Aliases, err = list(v, identifier)
	case "origins":
		d.Origins, err = list(v, slug)
	case "versions":
		d.Versions, err = list(v, identifier)
		d.versions = true
	case "ranges":
		d.ranges, d.versions = v, true
		if v.Kind != yaml.SequenceNode {
			err = errors.New("want a list of ranges")
		}
	case "digests":
		d.Archives, err = list(v, digest)
		if err == nil && len(d.Archives) > ecosystem.MaxArchives {
			err = fmt.Errorf("%d digests: the limit is %d", len(d.Archives), ecosystem.MaxArchives)
		}
	case "all":
		d.All, err = boolean(v)
		d.versions = true
	case "published":
		d.Published, err = r.time(v)
	case "modified":
		d.Modified, err = r.time(v)
	case "withdrawn":
		err = r.withdrawn(d, v)
	case "reason":
		d.Summary, err = scalar(v, maxText)
	case "details":
		d.Details, err = scalar(v, maxText)
	case "campaign":
		d.Campaign, err = scalar(v, 256)
		if err == nil && strings.ContainsFunc(d.Campaign, unicode.IsControl) {
			err = errors.New("has control characters")
		}
	case "references":
		d.References, err = list(v, reference)
	case "credits":
		d.Credits, err = list(v, credit)
	case "iocs":
		err = iocs(d, v)
	default:
		err = errors.New("unknown key; known are aliases, all, campaign, credits, details, digests, ecosystem, id, iocs, modified, name, origins, published, purl, ranges, reason, references, versions, withdrawn, and for the file format and packages")
	}
	return err
}

// finish makes the claim of a draft; n is where it stands.
func (r *reader) finish(d *draft, n *yaml.Node) error {
	if err := d.identify(); err != nil {
		return errorAt(n, "%v", err)
	}
	if !d.versions {
		return errorAt(n, "which versions? give versions, ranges, or all: true")
	}
	if d.ranges != nil {
		if err := d.readRanges(); err != nil {
			return err
		}
	}
	if d.why != "" {
		if d.Details != "" {
			d.Details = strings.TrimRight(d.Details, "\n") + "\n\n"
		}
		d.Details += withdrawnPrefix + d.why
	}
	c := d.Claim
	c.Ref = r.file + ":" + c.Ecosystem + "/" + c.Name
	if c.ID != "" {
		c.Ref += "#" + c.ID
	}
	if line, dup := r.refs[c.Ref]; dup {
		return errorAt(n, "%s %q is in line %d already; give each an id, or make them one", c.Ecosystem, c.Name, line)
	}
	r.refs[c.Ref] = n.Line
	c.Aliases, c.Origins, c.Versions = slices.Clone(c.Aliases), slices.Clone(c.Origins), slices.Clone(c.Versions)
	c.Normalise()
	if err := c.Validate(); err != nil {
		return errorAt(n, "%v", err)
	}
	if r.size += textSize(&c); r.size > maxExpansion {
		return errorAt(n, "what the file says of all its packages, times their number, is more than %d bytes", maxExpansion)
	}
	if _, known := ecosystem.Find(c.Ecosystem); !known {
		r.out.Notes = append(r.out.Notes, source.Note{Line: n.Line, Text: c.Ecosystem[:min(len(c.Ecosystem), 200)], Reason: "unknown ecosystem: kept, and matched by nothing"})
	}
	r.out.Claims = append(r.out.Claims, c)
	return nil
}

func textSize(c *claim.Claim) int {
	n := len(c.Summary) + len(c.Details) + len(c.Indicators) + len(c.Campaign)
	for _, l := range [][]string{c.Aliases, c.Origins, c.Versions, c.Archives} {
		for _, s := range l {
			n += len(s) + 16
		}
	}
	for _, ref := range c.References {
		n += len(ref.URL) + 16
	}
	for _, cr := range c.Credits {
		n += len(cr.Name) + 16
		for _, s := range cr.Contact {
			n += len(s) + 16
		}
	}
	for _, g := range c.Ranges {
		n += 64 * len(g.Events)
	}
	return n
}

// identify settles ecosystem, name and purl, of which the purl alone is enough.
func (d *draft) identify() error {
	if d.PURL == "" && (d.Ecosystem == "" || d.Name == "") {
		return errors.New("which package? give ecosystem and name, or purl")
	}
	if d.Ecosystem != "" {
		if _, known := ecosystem.Find(d.Ecosystem); !known {
			for _, e := range ecosystem.All() {
				if strings.EqualFold(e.Name, d.Ecosystem) || strings.EqualFold(e.PURLType, d.Ecosystem) {
					return fmt.Errorf("ecosystem %q is written %q", d.Ecosystem, e.Name)
				}
			}
		}
	}
	if d.PURL == "" {
		return nil
	}
	p, _, err := ecosystem.ParsePURL(d.PURL)
	if err != nil {
		return err
	}
	if p.Version != "" {
		return errors.New("purl: a version belongs under versions")
	}
	if d.Ecosystem == "" {
		d.Ecosystem = p.Ecosystem
	}
	if d.Name == "" {
		d.Name = p.Name
	}
	if !sameKey(p, d.Ecosystem, d.Name) {
		return fmt.Errorf("purl %q is not %s %q", d.PURL, d.Ecosystem, d.Name)
	}
	return nil
}

func sameKey(p rapsheet.Package, eco, name string) bool {
	a, okA := ecosystem.KeyOf(p)
	b, okB := ecosystem.KeyOf(rapsheet.Package{Ecosystem: eco, Name: name})
	return okA && okB && a == b
}

// scalar reads a text as it stands, whatever YAML would take it for.
func scalar(n *yaml.Node, max int) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", errorAt(n, "want a text")
	case n.Tag == "!!null":
		return "", errorAt(n, "the value is missing; put a text in quotes if it is one")
	case len(n.Value) > max:
		return "", errorAt(n, "%d bytes: the limit is %d", len(n.Value), max)
	case strings.IndexByte(n.Value, 0) >= 0:
		return "", errorAt(n, "contains NUL")
	case n.Value == "":
		return "", errorAt(n, "an empty text")
	}
	return n.Value, nil
}

func identifier(n *yaml.Node) (string, error) {
	s, err := scalar(n, ecosystem.MaxIdentifier)
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(s, unicode.IsControl) || strings.TrimSpace(s) != s {
		return "", errorAt(n, "%q has control characters, or space at an end", s)
	}
	return s, nil
}

func slug(n *yaml.Node) (string, error) {
	s, err := scalar(n, ecosystem.MaxIdentifier)
	if err == nil && claim.Slug(s) != s {
		err = errorAt(n, "%q is not a name of small letters, digits and single hyphens of at most 64 bytes", s)
	}
	return s, err
}

// digest reads the digest of an archive, "sha256:<hex>" or "sha512-<base64>". It has to say its algorithm: a reviewer must not
// count digits.
func digest(n *yaml.Node) (string, error) {
	s, err := scalar(n, 256)
	if err != nil {
		return "", err
	}
	d, ok := ecosystem.ArchiveDigest("", s)
	if !ok || strings.TrimSpace(s) != s || !strings.ContainsAny(s, "-:=") {
		return "", errorAt(n, "%q is not the digest of an archive: want sha256:<hexadecimal> or sha512-<base64>, or the like with md5, sha1 or sha384", s)
	}
	return ecosystem.DigestText(d), nil
}

func boolean(n *yaml.Node) (bool, error) {
	if n.Kind == yaml.ScalarNode && n.Style == 0 {
		switch n.Value {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, errorAt(n, "want true or false")
}

func list[T any](n *yaml.Node, read func(*yaml.Node) (T, error)) ([]T, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, errorAt(n, "want a list")
	}
	var out []T
	for _, c := range n.Content {
		v, err := read(c)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// time reads RFC 3339, or a date, which is its midnight in UTC.
func (r *reader) time(n *yaml.Node) (time.Time, error) {
	s, err := scalar(n, 64)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	switch {
	case err != nil:
		return time.Time{}, errorAt(n, "%q is not a time: want 2025-11-24 or 2025-11-24T08:00:00Z", s)
	case t.Before(earliest), t.After(r.latest):
		return time.Time{}, errorAt(n, "%s is not between 1990 and tomorrow", s)
	}
	return t.UTC(), nil
}

// withdrawn reads a time, or a time and a reason.
func (r *reader) withdrawn(d *draft, n *yaml.Node) (err error) {
	d.why = ""
	if n.Kind == yaml.ScalarNode {
		d.Withdrawn, err = r.time(n)
		return err
	}
	d.Withdrawn = time.Time{}
	err = fields(n, "withdrawn", func(key string, v *yaml.Node) (err error) {
		switch key {
		case "at":
			d.Withdrawn, err = r.time(v)
		case "reason":
			d.why, err = scalar(v, maxText)
		default:
			err = errors.New("unknown key; known are at and reason")
		}
		return err
	})
	if err == nil && d.Withdrawn.IsZero() {
		err = errorAt(n, "at is missing: when was it withdrawn?")
	}
	return err
}

// Types of references and credits (https://ossf.github.io/osv-schema/#references-field,
// https://ossf.github.io/osv-schema/#creditstype-field).
var (
	referenceTypes = []string{"ADVISORY", "ARTICLE", "DETECTION", "DISCUSSION", "EVIDENCE", "FIX", "GIT", "INTRODUCED", "PACKAGE", "REPORT", "WEB"}
	creditTypes    = []string{"ANALYST", "COORDINATOR", "FINDER", "OTHER", "REMEDIATION_DEVELOPER", "REMEDIATION_REVIEWER", "REMEDIATION_VERIFIER", "REPORTER", "SPONSOR", "TOOL"}
)

// kind reads one of a list of words.
func kind(n *yaml.Node, of []string) (string, error) {
	s, err := scalar(n, 64)
	if err == nil && !slices.Contains(of, s) {
		err = errorAt(n, "%q is none of %s", s, strings.Join(of, ", "))
	}
	return s, err
}

// reference reads a URL, or a type and a URL.
func reference(n *yaml.Node) (ref osv.Reference, err error) {
	if n.Kind == yaml.ScalarNode {
		ref.Type = "WEB"
		ref.URL, err = scalar(n, maxURL)
		return ref, err
	}
	err = fields(n, "a reference", func(key string, v *yaml.Node) (err error) {
		switch key {
		case "type":
			ref.Type, err = kind(v, referenceTypes)
		case "url":
			ref.URL, err = scalar(v, maxURL)
		default:
			err = errors.New("unknown key; known are type and url")
		}
		return err
	})
	if err == nil && (ref.Type == "" || ref.URL == "") {
		err = errorAt(n, "a reference has a type and a url")
	}
	return ref, err
}

// credit reads a name, or a name with a type and contacts.
func credit(n *yaml.Node) (c osv.Credit, err error) {
	if n.Kind == yaml.ScalarNode {
		c.Name, err = identifier(n)
		return c, err
	}
	err = fields(n, "a credit", func(key string, v *yaml.Node) (err error) {
		switch key {
		case "name":
			c.Name, err = identifier(v)
		case "type":
			c.Type, err = kind(v, creditTypes)
		case "contact":
			c.Contact, err = list(v, func(n *yaml.Node) (string, error) { return scalar(n, maxURL) })
		default:
			err = errors.New("unknown key; known are contact, name and type")
		}
		return err
	})
	if err == nil && c.Name == "" {
		err = errorAt(n, "a credit without a name")
	}
	return c, err
}

// iocs reads lists of texts by the kind of indicator.
func iocs(d *draft, n *yaml.Node) error {
	kinds := make(map[string][]string)
	err := fields(n, "iocs", func(key string, v *yaml.Node) error {
		if !isKind(key) {
			return errors.New("want a kind of indicator in small letters, like domains, ips or urls")
		}
		l, err := list(v, func(n *yaml.Node) (string, error) { return scalar(n, maxURL) })
		kinds[key] = append([]string{}, l...)
		return err
	})
	if err != nil {
		return err
	}
	d.Indicators = nil
	if len(kinds) > 0 {
		d.Indicators, err = json.Marshal(kinds, json.Deterministic(true))
	}
	return err
}

// isKind reports whether s can be a kind of indicator: "domains", "file_sha256".
func isKind(s string) bool {
	return s != "" && claim.Slug(s) == strings.ReplaceAll(s, "_", "-")
}

// semver are the ecosystems of which ranges are of type SEMVER where the file
// does not say (https://ossf.github.io/osv-schema/#affectedrangestype-field).
var semver = []string{"crates.io", "Go", "Hex", "npm", "SwiftURL"}

func (d *draft) readRanges() error {
	kindOf := osv.RangeEcosystem
	if slices.Contains(semver, d.Ecosystem) {
		kindOf = osv.RangeSemver
	}
	d.Ranges = nil
	for _, n := range d.ranges.Content {
		g := osv.Range{Type: kindOf}
		var long []osv.Event
		err := fields(n, "a range", func(key string, v *yaml.Node) (err error) {
			switch key {
			case "type":
				g.Type, err = kind(v, []string{osv.RangeEcosystem, osv.RangeGit, osv.RangeSemver})
			case "repo":
				g.Repo, err = scalar(v, maxURL)
			case "events":
				long, err = list(v, event)
			default:
				var e osv.Event
				e, err = point(key, v)
				g.Events = append(g.Events, e)
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(long) > 0 && len(g.Events) > 0 {
			return errorAt(n, "a range has events, or introduced and an end, not both")
		}
		if len(long) > 0 {
			g.Events = long
		}
		// The rules for ranges are those of OSV.
		r := osv.Record{ID: "MAL-0000-claim", Modified: "2000-01-01T00:00:00Z", Affected: []osv.Affected{
			{Package: osv.Package{Ecosystem: d.Ecosystem, Name: d.Name}, Ranges: []osv.Range{g}}}}
		var problems osv.Problems
		if errors.As(r.Validate(), &problems) {
			return errorAt(n, "a range: %s", problems[0].Message)
		}
		d.Ranges = append(d.Ranges, g)
	}
	return nil
}

// event reads one event of a range, which has one key.
func event(n *yaml.Node) (e osv.Event, err error) {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return e, errorAt(n, "an event has one key: introduced, fixed, last_affected or limit")
	}
	err = fields(n, "an event", func(key string, v *yaml.Node) (err error) {
		e, err = point(key, v)
		return err
	})
	return e, err
}

func point(key string, v *yaml.Node) (e osv.Event, err error) {
	version, err := identifier(v)
	switch key {
	case "introduced":
		e.Introduced = version
	case "fixed":
		e.Fixed = version
	case "last_affected":
		e.LastAffected = version
	case "limit":
		e.Limit = version
	default:
		return e, errors.New("unknown key; known are events, fixed, introduced, last_affected, limit, repo and type")
	}
	return e, err
}
