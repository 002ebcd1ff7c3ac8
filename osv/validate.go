package osv

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Problem is a reason why a document cannot be a record.
type Problem struct {
	// Pointer is a JSON pointer (RFC 6901) into the document, "" for all of it.
	Pointer string
	// Message is one printable line: lower case, with the limit and the value if there is one.
	Message string
}

// Problems is the error of [Read] and [Record.Validate]: at least one, at most 20.
type Problems []Problem

const (
	maxProblems = 20
	// said is how many problems the text of an error names.
	said = 3
)

// Error names the first problems on one printable line.
func (p Problems) Error() string {
	var b strings.Builder
	for i, x := range p {
		if i == said {
			fmt.Fprintf(&b, "; and %d more problems", len(p)-said)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(line(x.Pointer, x.Message))
	}
	return b.String()
}

// Validate checks r against the rules that make a document unusable, with the
// default limits, and gives [Problems] or nil. A record that [Read] gave is valid.
//
// The rules are those of the schema (https://ossf.github.io/osv-schema/, 1.7.x)
// on which matching depends (ids, names, ranges, timestamps), and what no
// identifier may have: control characters, invalid UTF-8, excess length. What is
// merely strange is a [Flag] of Read. Rules about sets of records, about the
// names of one ecosystem, and about truth are not here.
func (r *Record) Validate() error {
	c := checker{lim: DefaultLimits().filled(), flag: func(FlagKind, string, string, ...any) {}}
	c.record(r)
	if len(c.problems) > 0 {
		return c.problems
	}
	return nil
}

// maxID keeps an id, with ".json" or another suffix behind it, within the 255
// bytes that file systems allow a name.
const maxID = 200

// validID reports whether id is one of the schema: a prefix of a database with
// its hyphen, or "x_" for one of your own, and something behind it
// (validation/schema.json, definition "prefix"; the list of databases is open
// here). What ids are made of is taken from those in use (MAL-2024-1,
// RHSA-2022:0001, openSUSE-SU-2019:0003-1): letters, digits and ". _ : -", so an id
// has no slash, and two dots in a row or one at the end are refused.
func validID(id string) bool {
	if len(id) > maxID || id == "" || !isLetter(id[0]) {
		return false
	}
	for i := range len(id) {
		x := id[i]
		switch {
		case isLetter(x), '0' <= x && x <= '9', x == '-', x == '_', x == ':':
		case x == '.' && i+1 < len(id) && id[i+1] != '.':
		default:
			return false
		}
	}
	if rest, own := strings.CutPrefix(id, "x_"); own {
		return rest != "" && isAlphanumeric(rest[0])
	}
	prefix, rest, ok := strings.Cut(id, "-")
	return ok && rest != "" && isAlphanumeric(rest[0]) && !strings.ContainsAny(prefix, ".:")
}

func isLetter(x byte) bool { return 'a' <= x|0x20 && x|0x20 <= 'z' }

func isAlphanumeric(x byte) bool { return isLetter(x) || '0' <= x && x <= '9' }

// checker collects problems and flags of one record.
type checker struct {
	lim      Limits
	flag     func(kind FlagKind, pointer, format string, args ...any)
	problems Problems
	at       path
}

// path is a place in a record, turned into a pointer only when it is needed.
type path struct {
	parts [6]part
	n     int
}

// A part is the name of a member, or an index when the name is "".
type part struct {
	name  string
	index int
}

func (p *path) push(name string) { p.parts[p.n] = part{name: name}; p.n++ }
func (p *path) pushIndex(i int)  { p.parts[p.n] = part{index: i}; p.n++ }
func (p *path) pop(n int)        { p.n -= n }

// pointerTo gives the pointer to a member of the place, or to the place for "".
func (c *checker) pointerTo(name string) string {
	var b []byte
	for _, x := range c.at.parts[:c.at.n] {
		b = append(b, '/')
		if x.name != "" {
			b = append(b, x.name...)
		} else {
			b = strconv.AppendInt(b, int64(x.index), 10)
		}
	}
	if name != "" {
		b = append(append(b, '/'), name...)
	}
	return string(b)
}

func (c *checker) problem(name, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{c.pointerTo(name), fmt.Sprintf(format, args...)})
	}
}

func (c *checker) odd(kind FlagKind, name, format string, args ...any) {
	c.flag(kind, c.pointerTo(name), format, args...)
}

// identifier checks what every identifier must be. An empty one is for the caller.
func (c *checker) identifier(name, s string) bool {
	if len(s) > c.lim.Identifier {
		c.problem(name, "%d bytes are more than the limit of %d: %s", len(s), c.lim.Identifier, show(s))
		return false
	}
	ascii := true
	for i := range len(s) {
		x := s[i]
		if x < ' ' || x == 0x7f {
			c.problem(name, "a control character: %s", show(s))
			return false
		}
		ascii = ascii && x < utf8.RuneSelf
	}
	if ascii {
		return true
	}
	if !utf8.ValidString(s) {
		c.problem(name, "not valid UTF-8: %s", show(s))
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			c.problem(name, "a control character: %s", show(s))
			return false
		}
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			c.odd(FlagOdd, name, "an invisible character: %s", show(s))
			return true
		}
	}
	return true
}

// identifiers checks a list; an empty entry is a problem when it could match.
func (c *checker) identifiers(name string, list []string) {
	for i, s := range list {
		c.at.push(name)
		c.at.pushIndex(i)
		if c.identifier("", s) && s == "" {
			c.odd(FlagOdd, "", "empty")
		}
		c.at.pop(2)
	}
}

func (c *checker) record(r *Record) {
	switch {
	case r.ID == "":
		c.problem("id", "id is missing")
	case len(r.ID) > maxID:
		c.problem("id", "%d bytes are more than the limit of %d: %s", len(r.ID), maxID, show(r.ID))
	case !validID(r.ID):
		c.problem("id", "not an id such as MAL-2024-1: %s", show(r.ID))
	}
	c.schemaVersion(r.SchemaVersion)
	c.times(r)
	c.identifiers("aliases", r.Aliases)
	c.identifiers("upstream", r.Upstream)
	c.identifiers("related", r.Related)
	for i, a := range r.Aliases {
		if a == r.ID && a != "" {
			c.at.push("aliases")
			c.odd(FlagOdd, strconv.Itoa(i), "an alias of itself")
			c.at.pop(1)
		}
	}
	switch len(r.Affected) {
	case 0:
		c.odd(FlagOdd, "affected", "no affected package: the record matches nothing")
	case 1:
	default:
		c.odd(FlagOdd, "affected", "%d affected entries; a report about a malicious package has one", len(r.Affected))
	}
	for i := range r.Affected {
		c.at.push("affected")
		c.at.pushIndex(i)
		c.affected(&r.Affected[i])
		c.at.pop(2)
	}
}

// schemaVersion flags versions whose new members this package does not know.
func (c *checker) schemaVersion(v string) {
	if v == "" || !c.identifier("schema_version", v) {
		return
	}
	major, rest, ok := strings.Cut(v, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, err := strconv.Atoi(minor)
	if !ok || err != nil || major != "1" || m > 7 {
		c.odd(FlagUnknown, "schema_version", "this program knows 1.0 to 1.7: %s", show(v))
	}
}

// Years outside of these are mistakes, and dangerous ones: a record modified in
// 9999 would be the newest for ever.
const (
	firstYear = 1970
	lastYear  = 2200
)

func (c *checker) times(r *Record) {
	modified := c.time("modified", r.Modified)
	published := c.time("published", r.Published)
	withdrawn := c.time("withdrawn", r.Withdrawn)
	if r.Modified == "" {
		c.odd(FlagTime, "modified", "missing, and the schema requires it")
	}
	if !withdrawn.IsZero() && withdrawn.Before(published) {
		c.odd(FlagTime, "withdrawn", "%s is before published %s: taken as withdrawn", show(string(r.Withdrawn)), show(string(r.Published)))
	}
	if !modified.IsZero() && modified.Before(published) {
		c.odd(FlagTime, "modified", "%s is before published %s", show(string(r.Modified)), show(string(r.Published)))
	}
}

// skew is how far a clock may be ahead of ours.
const skew = 24 * time.Hour

// time checks a timestamp; it gives the zero time for one that is missing or wrong.
func (c *checker) time(name string, ts Timestamp) time.Time {
	if ts == "" {
		return time.Time{}
	}
	t, err := ts.Time()
	switch {
	case err != nil:
		c.problem(name, "%v", err)
		return time.Time{}
	case t.Year() < firstYear || t.Year() > lastYear:
		c.problem(name, "the year is not between %d and %d: %s", firstYear, lastYear, show(string(ts)))
		return time.Time{}
	case t.After(c.lim.Now.Add(skew)):
		c.odd(FlagTime, name, "in the future: %s", show(string(ts)))
	}
	if !strings.HasSuffix(string(ts), "Z") {
		c.odd(FlagTime, name, "not in UTC, which the schema requires: %s", show(string(ts)))
	}
	return t
}

func (c *checker) affected(a *Affected) {
	git := len(a.Ranges) > 0
	for i := range a.Ranges {
		git = git && a.Ranges[i].Type == RangeGit
	}
	c.at.push("package")
	c.pkg(&a.Package, git)
	c.at.pop(1)
	if len(a.Versions) > c.lim.Versions {
		c.problem("versions", "%d are more than the limit of %d", len(a.Versions), c.lim.Versions)
		return
	}
	for i, v := range a.Versions {
		c.at.push("versions")
		c.at.pushIndex(i)
		c.version("", v)
		c.at.pop(2)
	}
	for i := range a.Ranges {
		c.at.push("ranges")
		c.at.pushIndex(i)
		c.rang(&a.Ranges[i])
		c.at.pop(2)
	}
	if len(a.Versions) == 0 && len(a.Ranges) == 0 {
		c.odd(FlagOdd, "", "neither versions nor ranges: matches nothing")
	}
}

// pkg checks a package. An entry with only ranges of commits needs none.
func (c *checker) pkg(p *Package, git bool) {
	if git && p.Ecosystem == "" && p.Name == "" && p.PURL == "" {
		return
	}
	switch {
	case p.Ecosystem == "":
		c.problem("ecosystem", "missing or empty")
	case !c.identifier("ecosystem", p.Ecosystem):
	case strings.TrimSpace(p.Ecosystem) != p.Ecosystem:
		c.problem("ecosystem", "white space at an end: %s", show(p.Ecosystem))
	case !KnownEcosystem(p.Ecosystem):
		c.odd(FlagEcosystem, "ecosystem", "not an ecosystem of the schema: %s", show(p.Ecosystem))
	}
	switch {
	case p.Name == "":
		c.problem("name", "missing or empty")
	case !c.identifier("name", p.Name):
	case strings.ContainsFunc(p.Name, unicode.IsSpace):
		c.problem("name", "white space in a name: %s", show(p.Name))
	}
	if p.PURL != "" && c.identifier("purl", p.PURL) && !strings.HasPrefix(p.PURL, "pkg:") {
		c.odd(FlagOdd, "purl", "not a package URL: %s", show(p.PURL))
	}
}

// version checks a version. Whether it can be ordered is for its ecosystem to say.
func (c *checker) version(name, v string) {
	switch {
	case v == "":
		c.problem(name, "an empty version")
	case c.identifier(name, v) && strings.TrimSpace(v) != v:
		c.odd(FlagOdd, name, "white space at an end of a version: %s", show(v))
	}
}

// rang checks a range against the rules of the schema for ranges and events
// (validation/schema.json, definition "ranges"; prose under "affected[].ranges[].events fields").
func (c *checker) rang(r *Range) {
	switch r.Type {
	case RangeSemver, RangeEcosystem:
	case RangeGit:
		if r.Repo == "" {
			c.problem("repo", "missing: a range of commits needs its repository")
		}
	case "":
		c.problem("type", "missing or empty")
	default:
		if c.identifier("type", r.Type) {
			c.odd(FlagUnknown, "type", "not a type of range: %s", show(r.Type))
		}
	}
	c.identifier("repo", r.Repo)
	var introduced, fixed, lastAffected bool
	for i := range r.Events {
		e := &r.Events[i]
		introduced = introduced || e.Introduced != ""
		fixed = fixed || e.Fixed != ""
		lastAffected = lastAffected || e.LastAffected != ""
		c.at.push("events")
		c.at.pushIndex(i)
		c.event(e)
		c.at.pop(2)
	}
	switch {
	case !introduced:
		c.problem("events", "no event says what introduced it")
	case fixed && lastAffected:
		c.problem("events", "fixed and last_affected exclude each other")
	case fixed || lastAffected:
		c.order(r)
	}
}

// event checks that exactly one of the four members is given.
func (c *checker) event(e *Event) {
	given, empty := 0, false
	for _, m := range [...]struct {
		name, version string
		bit           members
	}{
		{"introduced", e.Introduced, mIntroduced},
		{"fixed", e.Fixed, mFixed},
		{"last_affected", e.LastAffected, mLastAffected},
		{"limit", e.Limit, mLimit},
	} {
		switch {
		case m.version != "":
			given++
			c.version(m.name, m.version)
		case e.empty&m.bit != 0:
			given++
			empty = true
		}
	}
	switch {
	case given != 1:
		c.problem("", "want exactly one of introduced, fixed, last_affected and limit, got %d", given)
	case empty:
		c.problem("", "an empty version")
	}
}

// order checks that no end of a range lies before everything that begins it. It
// looks only where versions have an order without knowing the ecosystem: by
// Semantic Versioning in a SEMVER range, by numbers with dots in an ECOSYSTEM range.
func (c *checker) order(r *Range) {
	if r.Type != RangeSemver && r.Type != RangeEcosystem {
		return
	}
	first := ""
	for i := range r.Events {
		v := r.Events[i].Introduced
		if v == "" {
			continue
		}
		if first == "" {
			first = v
			continue
		}
		d, ok := order(v, first, r.Type == RangeSemver)
		if !ok {
			return
		}
		if d < 0 {
			first = v
		}
	}
	for i := range r.Events {
		for _, m := range [...]struct{ name, version string }{
			{"fixed", r.Events[i].Fixed}, {"last_affected", r.Events[i].LastAffected},
		} {
			if m.version == "" {
				continue
			}
			if d, ok := order(m.version, first, r.Type == RangeSemver); ok && d < 0 {
				c.at.push("events")
				c.at.pushIndex(i)
				c.problem(m.name, "%s is before introduced %s", show(m.version), show(first))
				c.at.pop(2)
			}
		}
	}
}

// order compares two versions by semver.org section 11, with missing numbers
// taken as 0; ok is false when one is not made for that. Without semver, only
// plain numbers with dots compare.
func order(a, b string, semver bool) (d int, ok bool) {
	coreA, preA, okA := split(a, semver)
	coreB, preB, okB := split(b, semver)
	if !okA || !okB {
		return 0, false
	}
	if d := fields(coreA, coreB, "0"); d != 0 {
		return d, true
	}
	switch {
	case preA == preB:
		return 0, true
	case preA == "":
		return 1, true
	case preB == "":
		return -1, true
	}
	return fields(preA, preB, ""), true
}

// split parts a version into its numbers and its pre-release.
func split(v string, semver bool) (core, pre string, ok bool) {
	if semver {
		v, _, _ = strings.Cut(v, "+")
		v, pre, _ = strings.Cut(v, "-")
	}
	for f := range strings.SplitSeq(v, ".") {
		if !isNumber(f) {
			return "", "", false
		}
	}
	return v, pre, true
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// fields compares two lists separated by dots, field by field; missing stands
// for the fields that one has more than the other.
func fields(a, b, missing string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if x == "" {
			x = missing
		}
		if y == "" {
			y = missing
		}
		if d := field(x, y); d != 0 {
			return d
		}
	}
	return 0
}

// field compares two fields: numbers as numbers and before words, words as text.
func field(x, y string) int {
	nx, ny := isNumber(x), isNumber(y)
	switch {
	case nx && ny:
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
	case nx && y != "":
		return -1
	case ny && x != "":
		return 1
	}
	return strings.Compare(x, y)
}

// ecosystems are those of the schema (1.7.5, definition "ecosystemName").
var ecosystems = []string{
	"npm", "PyPI", "RubyGems", "NuGet", "crates.io", "Go", "Maven", "Packagist", "VSCode",
	"AlmaLinux", "Alpaquita", "Alpine", "Android", "Azure Linux", "BellSoft Hardened Containers",
	"Bioconductor", "Bitnami", "CRAN", "Chainguard", "CleanStart", "ConanCenter", "Debian",
	"Docker Hardened Images", "Echo", "FreeBSD", "GHC", "GIT", "GitHub Actions", "Hackage", "Hex",
	"Julia", "Kubernetes", "Linux", "Mageia", "MinimOS", "OSS-Fuzz", "Photon OS", "Pub", "Red Hat",
	"Rocky Linux", "Root", "SUSE", "SwiftURL", "TuxCare", "Ubuntu", "Wolfi", "opam", "openEuler", "openSUSE",
}

// Ecosystems lists the ecosystems of the schema, the commonest first.
func Ecosystems() []string { return slices.Clone(ecosystems) }

// KnownEcosystem reports whether name, without a ":suffix", is an ecosystem of the schema.
func KnownEcosystem(name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return slices.Contains(ecosystems, base)
}
