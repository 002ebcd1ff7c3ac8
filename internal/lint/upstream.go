package lint

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/package-url/packageurl-go"
)

// The rules of this file are those of github.com/ossf/malicious-packages: its
// CONTRIBUTING and README, and what its validator (cmd/validate,
// internal/report/validate.go) was seen to refuse in 2026-07.

// upstreamEcosystems are those that the repository takes.
var upstreamEcosystems = []string{
	"Alpine", "crates.io", "Debian", "GitHub Actions", "Go", "Hex", "Maven", "npm", "NuGet", "OSS-Fuzz", "Packagist", "PyPI",
	"RubyGems", "Ubuntu", "VSCode",
}

// upstreamPURLs are the purl types that the repository maps to an ecosystem. Namespaces
// decide for distributions. There is none for GitHub Actions, and VSCode's is not the
// one of the purl specification.
var upstreamPURLs = map[string]string{
	"cargo": "crates.io", "hex": "Hex", "golang": "Go", "maven": "Maven", "nuget": "NuGet", "npm": "npm", "composer": "Packagist",
	"generic": "OSS-Fuzz", "pypi": "PyPI", "gem": "RubyGems", "vscode": "VSCode",
	"apk/alpine": "Alpine", "deb/debian": "Debian", "deb/ubuntu": "Ubuntu",
}

var (
	upstreamID   = regexp.MustCompile(`^MAL-[0-9]{4}-[0-9]+$`)
	githubOwner  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]{0,38}$`)
	githubName   = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,100}$`)
	movingNumber = regexp.MustCompile(`^[vV]?[0-9]+$`)
	movingWord   = regexp.MustCompile(`(?i)^(latest|main|master|head|dev|nightly|canary|trunk|stable)$`)
	sourceName   = regexp.MustCompile(`^[a-z0-9-]+$`)
	sha256Hex    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// draftPrefix begins the names of files of new reports, which get their id on merging.
const draftPrefix = "MAL-0000-"

// isDraft reports whether a document is a new report.
func isDraft(name, id string) bool {
	return id == "" && strings.HasPrefix(path.Base(name), draftPrefix)
}

// What upstream's ingestion writes into details, and reports must not bring along.
const (
	detailsHeader = "_-= Per source details. Do not edit below this line.=-_"
	detailsCredit = "Credit: [OpenSSF](https://github.com/ossf/malicious-packages)"
)

func (c *checker) upstream(doc *value) {
	c.layout(doc)
	if c.draft {
		if doc.str("summary") != "" {
			c.report(ruleDraftSummary, place("summary"), "a new report has none: it is written on ingestion")
		}
		for _, s := range [...]string{detailsHeader, detailsCredit} {
			if strings.Contains(doc.str("details"), s) {
				c.report(ruleDraftDetails, place("details"), "holds what ingestion writes: %s", quote(s))
			}
		}
	}
	if len(doc.list("credits"))+len(doc.list("references")) == 0 {
		c.report(ruleEvidence, nil, "neither credits nor references")
	}
	c.keys(doc.get("database_specific"), place("database_specific"), "malicious-packages-origins", "iocs")
	c.origins(doc.get("database_specific").get("malicious-packages-origins"))
	c.iocs(doc.get("database_specific").get("iocs"), place("database_specific", "iocs"))
	for i, a := range doc.list("affected") {
		c.keys(a.get("database_specific"), place("affected", i, "database_specific"), "cwes", "indicators", "iocs", "ghsa")
		if v := a.get("ecosystem_specific"); v.is('{') && len(v.members) > 0 {
			c.report(ruleEcosystemSpecific, place("affected", i, "ecosystem_specific"), "must be empty")
		}
		p := packageOf(a)
		if p.git {
			c.gitOnly(a, i)
			continue
		}
		if p.full != "" && !slices.Contains(upstreamEcosystems, p.ecosystem) {
			c.report(ruleUpstreamEcosystem, place("affected", i, "package", "ecosystem"), "%s is none that the repository takes", quote(p.full))
		}
		if s := a.get("package").str("purl"); s != "" && p.name != "" {
			c.upstreamPURL(p, s, place("affected", i, "package", "purl"))
		}
		if p.ecosystem == "GitHub Actions" {
			c.action(a, p, i)
		}
	}
}

// keys checks that an object has no other members.
func (c *checker) keys(v *value, at *spot, allowed ...string) {
	if !v.is('{') {
		return
	}
	for _, m := range v.members {
		if !slices.Contains(allowed, m.name) {
			c.report(ruleDatabaseSpecific, at, "%s is none of the members that may be here: %s", quote(m.name), strings.Join(allowed, ", "))
		}
	}
}

// origins checks database_specific.malicious-packages-origins.
func (c *checker) origins(v *value) {
	at := place("database_specific", "malicious-packages-origins").below
	if v == nil || v.is('n') {
		return
	}
	if !v.is('[') {
		c.report(ruleOrigins, at(), "want an array, got %s", kindName(v.kind))
		return
	}
	for i, o := range v.items {
		switch {
		case !o.is('{'):
			c.report(ruleOrigins, at(i), "want an object, got %s", kindName(o.kind))
			continue
		case !sourceName.MatchString(o.str("source")):
			c.report(ruleOrigins, at(i, "source"), "want lower-case letters, digits and hyphens, got %s", quote(o.str("source")))
		case !sha256Hex.MatchString(o.str("sha256")):
			c.report(ruleOrigins, at(i, "sha256"), "want 64 hexadecimal digits in lower case, got %s", quote(o.str("sha256")))
		}
		for _, name := range [...]string{"import_time", "modified_time"} {
			if o.get(name) == nil && name == "modified_time" {
				continue // the first imports have none
			}
			if _, err := time.Parse(time.RFC3339Nano, o.str(name)); err != nil {
				c.report(ruleOrigins, at(i, name), "not a time: %s", quote(o.str(name)))
			}
		}
		for _, name := range [...]string{"ranges", "versions"} {
			if x := o.get(name); x != nil && !x.is('[') && !x.is('n') {
				c.report(ruleOrigins, at(i, name), "want an array, got %s", kindName(x.kind))
			}
		}
	}
}

// iocs checks database_specific.iocs: domains, addresses and URLs.
func (c *checker) iocs(v *value, at *spot) {
	if v == nil {
		return
	}
	if !v.is('{') {
		c.report(ruleIOCs, at, "want an object, got %s", kindName(v.kind))
		return
	}
	for _, m := range v.members {
		if m.name != "domains" && m.name != "ips" && m.name != "urls" {
			c.report(ruleIOCs, at, "%s is none of domains, ips and urls", quote(m.name))
			continue
		}
		if !m.is('[') || slices.ContainsFunc(m.items, func(x *value) bool { return !x.is('"') }) {
			c.report(ruleIOCs, at.member(m.name), "want an array of strings")
			continue
		}
		for i, x := range m.items {
			if m.name != "ips" {
				continue
			}
			_, err := netip.ParseAddr(x.text)
			if _, err2 := netip.ParsePrefix(x.text); err != nil && err2 != nil {
				c.report(ruleIOCs, place("database_specific", "iocs", "ips", i), "neither an address nor a CIDR block: %s", quote(x.text))
			}
		}
	}
}

// gitOnly checks an entry without a package: ranges of commits of one repository.
func (c *checker) gitOnly(a *value, i int) {
	ranges := a.list("ranges")
	if len(ranges) == 0 {
		c.report(ruleGitOnly, place("affected", i), "neither a package nor ranges of commits")
	}
	repo := ""
	for k, r := range ranges {
		if r.str("type") != "GIT" {
			c.report(ruleGitOnly, place("affected", i, "ranges", k, "type"), "without a package all ranges are of type GIT")
		}
		if s := r.str("repo"); repo == "" {
			repo = s
		} else if s != repo && s != "" {
			c.report(ruleGitOnly, place("affected", i, "ranges", k, "repo"), "another repository than %s", quote(repo))
		}
	}
}

// upstreamPURL checks that the repository's reading of a purl gives the very name and ecosystem.
func (c *checker) upstreamPURL(p pkg, s string, at *spot) {
	if reason := UpstreamPURL(s, p.ecosystem, p.name); reason != "" {
		c.report(ruleUpstreamPURL, at, "%s", reason)
	}
}

// UpstreamPURL says why github.com/ossf/malicious-packages does not accept a purl beside a package, "" when it
// does. It reads the purl with the module that the repository uses, with its changes of case.
func UpstreamPURL(purl, ecosystem, pkg string) string {
	u, err := packageurl.FromString(purl)
	if err != nil {
		return "cannot be read: " + quote(purl)
	}
	eco, ok := upstreamPURLs[u.Type]
	if !ok {
		eco, ok = upstreamPURLs[u.Type+"/"+u.Namespace]
	}
	if !ok || eco != ecosystem {
		return fmt.Sprintf("the type of %s stands for no package of %s", quote(purl), quote(ecosystem))
	}
	name := u.Name
	switch {
	case u.Namespace == "", eco == "Alpine", eco == "Debian", eco == "Ubuntu":
	case eco == "Maven":
		name = u.Namespace + ":" + u.Name
	case eco == "VSCode":
		name = u.Namespace + "." + u.Name
	default:
		name = u.Namespace + "/" + u.Name
	}
	if name != pkg {
		return fmt.Sprintf("%s is read as %s, the record is about %s", quote(purl), quote(name), quote(pkg))
	}
	return ""
}

// action checks names and versions of GitHub Actions: tags that move say nothing.
func (c *checker) action(a *value, p pkg, i int) {
	parts := strings.Split(p.name, "/")
	bad := len(parts) < 2 || !githubOwner.MatchString(parts[0]) || strings.HasSuffix(parts[1], ".git")
	for _, s := range parts[min(1, len(parts)):] {
		bad = bad || !githubName.MatchString(s) || s == "." || s == ".."
	}
	if bad {
		c.report(ruleAction, place("affected", i, "package", "name"), "not owner/repository, with or without a path: %s", quote(p.name))
	}
	check := func(v string, at *spot) {
		switch {
		case strings.ContainsFunc(v, unicode.IsSpace):
			c.report(ruleAction, at, "white space in a version: %s", quote(v))
		case !commit(v) && (movingNumber.MatchString(v) || movingWord.MatchString(v)):
			c.report(ruleAction, at, "%s is a tag or branch that moves", quote(v))
		}
	}
	for k, v := range a.list("versions") {
		if v.is('"') {
			check(v.text, place("affected", i, "versions", k))
		}
	}
	for k, r := range a.list("ranges") {
		for n, e := range r.list("events") {
			for _, kind := range kinds {
				if v := e.str(kind); v != "" && !(kind == "introduced" && v == "0") {
					check(v, place("affected", i, "ranges", k, "events", n, kind))
				}
			}
		}
	}
}

// layout checks that a file has the name and the directory that follow from what is in it.
func (c *checker) layout(doc *value) {
	if c.path == "" {
		return
	}
	id, file := doc.str("id"), path.Base(c.path)
	stem := strings.TrimSuffix(file, path.Ext(file))
	switch {
	case strings.HasPrefix(file, draftPrefix):
		if id != "" {
			c.report(ruleDraft, place("id"), "a new report has none: %s is assigned to it on merging", quote(draftPrefix+"…"))
		}
	case id == "":
		c.report(ruleFileName, nil, "a report without an id is in a file named %s….json, not %s", draftPrefix, quote(file))
	case id != stem:
		c.report(ruleFileName, place("id"), "the file is %s, the id %s", quote(file), quote(id))
	}
	if id != "" && !upstreamID.MatchString(id) {
		c.report(ruleUpstreamID, place("id"), "%s is not MAL-<year>-<number>", quote(id))
	}
	base, dir, ok := inTree(path.Dir(c.path))
	affected := doc.list("affected")
	if !ok || len(affected) != 1 {
		return
	}
	p := packageOf(affected[0])
	if withdrawn := doc.str("withdrawn") != ""; withdrawn != (base == "withdrawn") && !c.draft {
		if withdrawn {
			c.report(ruleWithdrawnPlace, nil, "withdrawn, and not below osv/withdrawn")
		} else {
			c.report(ruleWithdrawnPlace, nil, "below osv/withdrawn, and not withdrawn")
		}
	}
	if p.git || p.full == "" || p.name == "" {
		return
	}
	want := directory(p)
	switch {
	case want == "":
		c.report(rulePath, place("affected", 0, "package", "name"), "%s makes no path of its own in the tree", quote(p.name))
	case want != dir && !(p.ecosystem == "crates.io" && "crates-io"+strings.TrimPrefix(want, "crates.io") == dir):
		c.report(rulePath, nil, "in %s, belongs into %s", quote(dir), quote(want))
	}
}

// inTree finds the part of a directory below osv/malicious or osv/withdrawn.
func inTree(dir string) (base, rest string, ok bool) {
	dir = "/" + strings.TrimPrefix(dir, "/")
	for _, base := range [...]string{"malicious", "withdrawn"} {
		mark := "/osv/" + base + "/"
		if i := strings.Index(dir, mark); i >= 0 {
			return base, dir[i+len(mark):], true
		}
	}
	return "", "", false
}

// directory is where the reports about a package lie: its ecosystem, simplified, and
// its name in lower case; "" when that would leave the tree. Directories of crates.io are named
// crates-io, from a time when dots were replaced as well.
func directory(p pkg) string {
	eco := p.full
	// Another registry of the ecosystem is named by its URL.
	if before, after, ok := strings.Cut(eco, ":"); ok && strings.HasPrefix(after, "https://") {
		eco = before
	}
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(eco) {
		if strings.ContainsRune(" /_-", r) {
			gap = true
			continue
		}
		if gap {
			b.WriteByte('-')
			gap = false
		}
		b.WriteRune(r)
	}
	if gap {
		b.WriteByte('-')
	}
	clean := path.Join(b.String(), strings.ToLower(p.name))
	if !strings.Contains(clean, "/") || !strings.HasPrefix(clean, b.String()+"/") || strings.HasPrefix(clean, "..") {
		return ""
	}
	return clean
}
