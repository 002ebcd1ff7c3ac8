package lint

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// semver are the ecosystems whose versions are ordered by Semantic Versioning, so that
// a range of type SEMVER means something (https://ossf.github.io/osv-schema/#affectedrangestype-field).
var semver = []string{"Bitnami", "crates.io", "Go", "Hex", "npm", "SwiftURL"}

// pkg is the package that an entry is about.
type pkg struct {
	ecosystem string // without suffix
	full      string
	name      string
	// table is the ecosystem's row, nil for one that has no malicious packages on record.
	table *ecosystem.Ecosystem
	// git says that there is no package: the entry is about ranges of commits.
	git bool
}

// packageOf reads the package of an entry.
func packageOf(a *value) pkg {
	v := a.get("package")
	p := pkg{full: v.str("ecosystem"), name: v.str("name")}
	p.ecosystem, _, _ = strings.Cut(p.full, ":")
	p.table, _ = ecosystem.Find(p.ecosystem)
	p.git = p.full == "" && p.name == "" && v.str("purl") == ""
	return p
}

// affected checks an entry against the schema's prose and its ecosystem.
func (c *checker) affected(a *value, i int) {
	p := packageOf(a)
	c.pkg(a.get("package"), p, i)
	c.versions(a, p, i)
	ranges := a.list("ranges")
	for k, r := range ranges {
		if r.is('{') {
			c.rang(r, p, i, k)
		}
	}
	switch wildcard := slices.ContainsFunc(ranges, open); {
	case len(a.list("versions"))+len(ranges) == 0:
		c.report(ruleMatchesNothing, place("affected", i), "neither versions nor ranges: no reader finds it")
	case wildcard && len(a.list("versions")) > 0:
		c.report(ruleWildcard, place("affected", i, "versions"), "a range over every version beside %d versions: readers take the union, so all are flagged", len(a.list("versions")))
	}
}

func (c *checker) pkg(v *value, p pkg, i int) {
	if p.git {
		return
	}
	at := func(name string) *spot { return place("affected", i, "package", name) }
	suffix := strings.TrimPrefix(p.full, p.ecosystem)
	switch {
	case p.full == "":
		c.empty(v, "ecosystem", at("ecosystem"))
	case !osv.KnownEcosystem(p.ecosystem) || suffix == ":":
		c.report(ruleEcosystem, at("ecosystem"), "%s is not an ecosystem of the schema%s", quote(p.full), spelling(p.ecosystem))
	}
	if p.name == "" {
		c.empty(v, "name", at("name"))
		return
	}
	if text := badName(p.name); text != "" {
		c.report(ruleName, at("name"), "%s: %s", text, quote(p.name))
	}
	if p.table != nil {
		c.name(p, at("name"))
		if purl := v.str("purl"); purl != "" {
			c.purl(p, purl, at("purl"))
		}
	}
	if v.str("purl") == "" {
		c.report(rulePURLMissing, at("purl"), "missing: clients that look packages up by purl do not find the record")
	}
}

// empty reports a member that is there and empty; one that is not there is reported
// with the shape.
func (c *checker) empty(v *value, name string, at *spot) {
	if v.get(name) != nil {
		c.report(ruleRequired, at, "empty")
	}
}

// spelling says how the schema writes an ecosystem that differs only in case.
func spelling(name string) string {
	for _, e := range osv.Ecosystems() {
		if strings.EqualFold(e, name) {
			return ", which writes it " + quote(e)
		}
	}
	return ""
}

// badName says what no name of any ecosystem may have.
func badName(name string) string {
	switch {
	case len(name) > ecosystem.MaxIdentifier:
		return "longer than 1 KiB"
	case strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || unicode.IsControl(r) }):
		return "a control character"
	case strings.ContainsFunc(name, unicode.IsSpace):
		return "white space"
	}
	return ""
}

// name checks what an ecosystem's names look like (https://ossf.github.io/osv-schema/#affectedpackage-field)
// and, where there is one spelling that all readers agree on, that it is used.
func (c *checker) name(p pkg, at *spot) {
	parts := 0 // between separators, none of them empty
	separator := ""
	switch p.ecosystem {
	case "Maven":
		parts, separator = 2, ":"
	case "Packagist":
		parts, separator = 2, "/"
	case "VSCode":
		parts, separator = 2, "."
	}
	if parts > 0 {
		split := strings.Split(p.name, separator)
		if len(split) != parts || slices.Contains(split, "") {
			c.report(ruleNameShape, at, "want two parts with %q between, got %s", separator, quote(p.name))
		}
	}
	switch p.ecosystem {
	case "PyPI":
		if canonical := p.table.Canonical(p.name); canonical != p.name {
			c.report(ruleNameCanonical, at, "%s is written %s (PEP 503)", quote(p.name), quote(canonical))
		}
	case "Go":
		if strings.ContainsRune(p.name, '!') {
			c.report(ruleNameCanonical, at, "%s is the module proxy's escaping; write capitals as they are", quote(p.name))
		}
	}
}

// purl checks that a purl names the very package.
func (c *checker) purl(p pkg, purl string, at *spot) {
	got, _, err := ecosystem.ParsePURL(purl)
	switch {
	case errors.Is(err, ecosystem.ErrUnknownType):
		c.report(rulePURL, at, "%s is of a type that is not %s's", quote(purl), p.ecosystem)
		return
	case err != nil:
		c.report(rulePURL, at, "not a package URL: %s", quote(purl))
		return
	}
	want, okWant := ecosystem.KeyOf(rapsheet.Package{Ecosystem: p.full, Name: p.name})
	have, okHave := ecosystem.KeyOf(got)
	if !okWant || !okHave || want != have || !p.table.SameName(p.name, got.Name) {
		c.report(rulePURL, at, "%s is about %s %s, the record about %s %s", quote(purl), got.Ecosystem, quote(got.Name), p.ecosystem, quote(p.name))
		return
	}
	if got.Version != "" || strings.ContainsAny(purl, "?#") {
		c.report(rulePURLBare, at, "%s has a version, qualifiers or a subpath", quote(purl))
		return
	}
	if canonical := ecosystem.PURL(rapsheet.Package{Ecosystem: p.full, Name: p.name}); canonical != purl {
		c.report(rulePURLCanonical, at, "%s is written %s", quote(purl), quote(canonical))
	}
}

// versions checks the list of exact versions.
func (c *checker) versions(a *value, p pkg, i int) {
	seen := map[string]bool{}
	for k, v := range a.list("versions") {
		if !v.is('"') {
			continue
		}
		at := func() *spot { return place("affected", i, "versions", k) }
		switch {
		case v.text == "":
			c.report(ruleVersion, at(), "empty")
			continue
		case seen[v.text]:
			c.report(ruleVersionTwice, at(), "%s is there twice", quote(v.text))
			continue
		}
		seen[v.text] = true
		c.version(p, v.text, at)
	}
}

// version checks that a version has a place in the order of its ecosystem.
func (c *checker) version(p pkg, v string, at func() *spot) {
	if p.table != nil && !p.table.ValidVersion(v) {
		c.report(ruleVersion, at(), "%s is not a version of %s: it only meets the same text", quote(v), p.ecosystem)
	}
}

// open reports whether a range covers every version.
func open(r *value) bool {
	events := r.list("events")
	return r.str("type") != "GIT" && len(events) == 1 && len(events[0].members) == 1 && events[0].str("introduced") == "0"
}

// kinds are the members of an event, in the order in which they take effect at one version.
var kinds = [...]string{"introduced", "fixed", "last_affected", "limit"}

// rang checks a range (schema 1.7.5, "ranges", and the prose at
// https://ossf.github.io/osv-schema/#affectedrangesevents-fields).
func (c *checker) rang(r *value, p pkg, i, k int) {
	at := place("affected", i, "ranges", k).below
	typ := r.str("type")
	switch typ {
	case "GIT":
		if r.str("repo") == "" {
			c.report(ruleGitRepo, at("repo"), "missing: a range of commits needs its repository")
		}
	case "SEMVER":
		if p.full != "" && !slices.Contains(semver, p.ecosystem) {
			c.report(ruleRangeSemver, at("type"), "versions of %s are not ordered by Semantic Versioning", quote(p.ecosystem))
		}
	}
	list := r.list("events")
	var has [len(kinds)]bool
	var events []event
	for n, e := range list {
		if !e.is('{') {
			continue
		}
		count := 0
		for m, kind := range kinds {
			v := e.get(kind)
			if v == nil {
				continue
			}
			count++
			has[m] = true
			switch {
			case !v.is('"'):
			case v.text == "":
				c.report(ruleEvent, at("events", n, kind), "an empty version")
			default:
				events = append(events, event{m, v.text, n})
			}
		}
		if count != 1 {
			c.report(ruleEvent, at("events", n), "want exactly one of introduced, fixed, last_affected and limit, got %d", count)
		}
	}
	switch {
	case r.get("events") == nil:
	case len(list) == 0:
		c.report(ruleEvents, at("events"), "empty")
	case !has[0]:
		c.report(ruleEvents, at("events"), "no event says what introduced it")
	case has[1] && has[2]:
		c.report(ruleEvents, at("events"), "fixed and last_affected exclude each other")
	}
	if typ == "GIT" {
		for _, e := range events {
			if !commit(e.version) && !(e.kind == 0 && e.version == "0") {
				c.report(ruleGitCommit, at("events", e.place, kinds[e.kind]), "not a commit of 40 or 64 hexadecimal digits: %s", quote(e.version))
			}
		}
		return
	}
	c.order(p, events, at)
}

// event is one point of a range: the index of its kind, its version, its place.
type event struct {
	kind    int
	version string
	place   int
}

// order checks versions of events and that they ascend, which evaluation does not need
// and people and simple readers do.
func (c *checker) order(p pkg, events []event, at func(...any) *spot) {
	if p.table == nil {
		return
	}
	sortable := true
	for _, e := range events {
		if e.kind == 0 && e.version == "0" || e.kind == 3 && e.version == "*" {
			continue
		}
		if !p.table.ValidVersion(e.version) {
			c.report(ruleEventVersion, at("events", e.place, kinds[e.kind]), "%s is not a version of %s: no reader can say what lies inside", quote(e.version), p.ecosystem)
			sortable = false
		}
	}
	if !sortable {
		return
	}
	compare := func(a, b event) int {
		switch {
		case a.version == b.version:
			return 0
		case a.version == "0" && a.kind == 0, b.version == "*":
			return -1
		case b.version == "0" && b.kind == 0, a.version == "*":
			return 1
		}
		return p.table.Compare(a.version, b.version)
	}
	for n := 1; n < len(events); n++ {
		a, b := events[n-1], events[n]
		switch d := compare(b, a); {
		case d < 0:
			c.report(ruleEventOrder, at("events", b.place), "%s %s stands after %s %s", kinds[b.kind], quote(b.version), kinds[a.kind], quote(a.version))
		case d == 0 && a.kind == 0 && b.kind == 1:
			c.report(ruleEventOrder, at("events", b.place), "introduced and fixed at %s: nothing lies between", quote(b.version))
		}
	}
}

// commit reports whether s is the digest of a commit: SHA-1 or SHA-256 in hexadecimal.
func commit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
