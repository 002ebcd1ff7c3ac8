package github

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// Bounds of one advisory.
const (
	maxAdvisory   = 8 << 20
	maxPackages   = 10_000
	maxText       = 64 << 10
	maxList       = 10_000
	maxExpansion  = 64 << 20
	maxNoteText   = 200
	maxConstraint = 4096
)

// earliest is before any package registry.
var earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

var ghsaID = regexp.MustCompile(`^GHSA(-[0-9a-z]{4}){3}$`)

// ecosystems are OSV's names for GitHub's ("ecosystem" in the API's schema).
// "other" is none.
var ecosystems = map[string]string{
	"actions": "GitHub Actions", "composer": "Packagist", "erlang": "Hex", "go": "Go", "maven": "Maven", "npm": "npm",
	"nuget": "NuGet", "pip": "PyPI", "pub": "Pub", "rubygems": "RubyGems", "rust": "crates.io", "swift": "SwiftURL",
}

// semver are the ecosystems of which ranges are of type SEMVER in OSV
// (https://ossf.github.io/osv-schema/#affectedrangestype-field).
var semver = []string{"crates.io", "Go", "Hex", "npm", "SwiftURL"}

// global is an advisory as the API gives it, without what claims have no place for.
type global struct {
	ID          string  `json:"ghsa_id"`
	CVE         *string `json:"cve_id"`
	Type        string  `json:"type"`
	Summary     string  `json:"summary"`
	Description *string `json:"description"`
	HTML        string  `json:"html_url"`
	Published   string  `json:"published_at"`
	Updated     string  `json:"updated_at"`
	Withdrawn   *string `json:"withdrawn_at"`
	Identifiers []struct {
		Value string `json:"value"`
	} `json:"identifiers"`
	References      []string        `json:"references"`
	Vulnerabilities []vulnerability `json:"vulnerabilities"`
	Credits         []struct {
		User *struct {
			Login string `json:"login"`
		} `json:"user"`
		Type string `json:"type"`
	} `json:"credits"`
}

type vulnerability struct {
	Package *struct {
		Ecosystem string  `json:"ecosystem"`
		Name      *string `json:"name"`
	} `json:"package"`
	Range   *string `json:"vulnerable_version_range"`
	Patched *string `json:"first_patched_version"`
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// parser is one run of [Parse].
type parser struct {
	advisory global
	latest   time.Time
	out      source.Parsed
}

func (p *parser) note(text, reason string, skipped bool) {
	if len(text) > maxNoteText {
		text = text[:maxNoteText]
	}
	p.out.Notes = append(p.out.Notes, source.Note{Text: text, Reason: reason, Skipped: skipped})
}

// Parse reads the claims in one advisory: one per package, referred to by the
// advisory's id and the package. A version range that says what OSV cannot, or
// cannot be understood, is a note. An advisory that is not about malware gives no
// claims and a note.
func Parse(doc source.Document) (source.Parsed, error) {
	if len(doc.Data) > maxAdvisory {
		return source.Parsed{}, fmt.Errorf("advisory of %d bytes: the limit is %d", len(doc.Data), maxAdvisory)
	}
	p := &parser{latest: time.Now().Add(futureLimit)}
	a := &p.advisory
	if err := json.Unmarshal(doc.Data, a); err != nil {
		return source.Parsed{}, fmt.Errorf("advisory: %w", err)
	}
	if !ghsaID.MatchString(a.ID) {
		return source.Parsed{}, fmt.Errorf("advisory: ghsa_id %.40q is not one", a.ID)
	}
	if a.Type != "malware" {
		p.note(a.ID, "not about a malicious package", true)
		return p.out, nil
	}
	if n := len(a.Vulnerabilities); n == 0 || n > maxPackages {
		return source.Parsed{}, fmt.Errorf("advisory %s: %d packages, want from 1 to %d", a.ID, n, maxPackages)
	}
	if len(a.References) > maxList || len(a.Credits) > maxList || len(a.Identifiers) > maxList {
		return source.Parsed{}, fmt.Errorf("advisory %s: more than %d references, credits or identifiers", a.ID, maxList)
	}
	if size := len(doc.Data) * len(a.Vulnerabilities); len(a.Vulnerabilities) > 1 && size > maxExpansion {
		return source.Parsed{}, fmt.Errorf("advisory %s: %d bytes for each of %d packages: the limit is %d together", a.ID, len(doc.Data), len(a.Vulnerabilities), maxExpansion)
	}
	return p.claims()
}

func (p *parser) time(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Before(earliest) || t.After(p.latest) {
		return time.Time{}
	}
	return t.UTC()
}

// common is what all claims of the advisory say.
func (p *parser) common() claim.Claim {
	a := &p.advisory
	c := claim.Claim{
		ID: a.ID, Origins: []string{Name}, Summary: p.clip("summary", a.Summary), Details: p.clip("description", text(a.Description)),
		Published: p.time(a.Published), Modified: p.time(a.Updated),
	}
	if a.Withdrawn != nil {
		c.Withdrawn = p.time(*a.Withdrawn)
		// The time is less than the fact: what was taken back must not stand.
		for _, t := range []time.Time{c.Modified, c.Published, earliest} {
			if c.Withdrawn.IsZero() {
				c.Withdrawn = t
			}
		}
	}
	for _, i := range a.Identifiers {
		if i.Value != "" && i.Value != a.ID {
			c.Aliases = append(c.Aliases, i.Value)
		}
	}
	if cve := text(a.CVE); cve != "" {
		c.Aliases = append(c.Aliases, cve)
	}
	if a.HTML != "" {
		c.References = append(c.References, osv.Reference{Type: "ADVISORY", URL: p.clip("html_url", a.HTML)})
	}
	for _, url := range a.References {
		if url != "" && url != a.HTML {
			c.References = append(c.References, osv.Reference{Type: "WEB", URL: p.clip("reference", url)})
		}
	}
	for _, cr := range a.Credits {
		if cr.User != nil && cr.User.Login != "" {
			c.Credits = append(c.Credits, osv.Credit{Name: p.clip("credit", cr.User.Login), Type: creditType(cr.Type)})
		}
	}
	return c
}

// clip cuts a text that is too long, with a mark, as package osv does.
func (p *parser) clip(what, s string) string {
	if len(s) <= maxText {
		return s
	}
	p.note(what, fmt.Sprintf("%d bytes, cut to %d", len(s), maxText), false)
	return strings.ToValidUTF8(s[:maxText-len(osv.ClipMarker)], "") + osv.ClipMarker
}

// creditType gives OSV's type for GitHub's, which are the same in small letters.
func creditType(s string) string {
	t := strings.ToUpper(s)
	if slices.Contains([]string{"ANALYST", "FINDER", "REPORTER", "COORDINATOR", "REMEDIATION_DEVELOPER", "REMEDIATION_REVIEWER", "REMEDIATION_VERIFIER", "TOOL", "SPONSOR"}, t) {
		return t
	}
	return "OTHER"
}

func (p *parser) claims() (source.Parsed, error) {
	common := p.common()
	var claims []claim.Claim
	index := make(map[string]int) // by reference: one package may have several ranges
	for i := range p.advisory.Vulnerabilities {
		v := &p.advisory.Vulnerabilities[i]
		if v.Package == nil || text(v.Package.Name) == "" {
			p.note(fmt.Sprintf("vulnerability %d", i+1), "no package", true)
			continue
		}
		eco, ok := ecosystems[v.Package.Ecosystem]
		if !ok {
			p.note(v.Package.Ecosystem, "an ecosystem that OSV does not have", true)
			continue
		}
		ref := p.advisory.ID + "#" + eco + "/" + *v.Package.Name
		at, known := index[ref]
		if !known {
			c := common
			c.Ref, c.Ecosystem, c.Name = ref, eco, *v.Package.Name
			c.Aliases = slices.Clone(common.Aliases)
			at = len(claims)
			index[ref] = at
			claims = append(claims, c)
		}
		p.versions(&claims[at], v)
	}
	var failed error
	for _, c := range claims {
		c.Normalise()
		if err := c.Validate(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("advisory %s: %w", p.advisory.ID, err))
			p.note(c.Name, err.Error(), true)
			continue
		}
		p.out.Claims = append(p.out.Claims, c)
	}
	if len(p.out.Claims) == 0 && failed != nil {
		return source.Parsed{}, fmt.Errorf("advisory %s: no package of it can be one", p.advisory.ID)
	}
	return p.out, nil
}

// versions adds what one vulnerability says about versions.
func (p *parser) versions(c *claim.Claim, v *vulnerability) {
	constraint := text(v.Range)
	if strings.TrimSpace(constraint) == "" {
		p.note(c.Name, "no version range", false)
		return
	}
	exact, g, doubt, err := versionRange(c.Ecosystem, constraint, text(v.Patched))
	if err != nil {
		p.note(constraint, "version range: "+err.Error(), false)
		return
	}
	if doubt != "" {
		p.note(constraint, doubt, false)
	}
	c.Versions = append(c.Versions, exact...)
	if g != nil {
		c.Ranges = append(c.Ranges, *g)
	}
}

// versionRange reads GitHub's notation: one bound or two, of >=, >, <=, <, apart
// by a comma, or exact versions, each after "=".
// (https://docs.github.com/en/code-security/security-advisories/working-with-repository-security-advisories/best-practices-for-writing-repository-security-advisories#affected-versions).
// A range without an end ends at the first patched version, if there is one.
func versionRange(eco, constraint, patched string) (exact []string, g *osv.Range, doubt string, err error) {
	if len(constraint) > maxConstraint {
		return nil, nil, "", fmt.Errorf("%d bytes: the limit is %d", len(constraint), maxConstraint)
	}
	e, ok := ecosystem.Find(eco)
	if !ok {
		return nil, nil, "", errors.New("no order of versions is known")
	}
	lower, upper := "", osv.Event{}
	ended := false
	for part := range strings.SplitSeq(constraint, ",") {
		part = strings.TrimSpace(part)
		version := strings.TrimLeft(part, "<>=")
		op := part[:len(part)-len(version)]
		version = strings.TrimSpace(version)
		if version == "" {
			return nil, nil, "", errors.New("a bound without a version")
		}
		if op != "=" && version != "0" && !e.ValidVersion(version) {
			return nil, nil, "", fmt.Errorf("%.80q is not a version of %s", version, eco)
		}
		switch {
		case op == "=":
			exact = append(exact, version)
		case (op == ">=" || op == ">") && lower == "":
			lower = version
			if op == ">" && version != "0" {
				if next, ok := successor(eco, version); ok {
					lower = next
				} else {
					doubt = "OSV cannot say that a range begins behind a version: it begins with it"
				}
			}
		case op == "<" && !ended:
			upper.Fixed, ended = version, true
		case op == "<=" && !ended:
			upper.LastAffected, ended = version, true
		default:
			return nil, nil, "", fmt.Errorf("%.80q is not understood", part)
		}
	}
	switch {
	case len(exact) > 0 && (ended || lower != ""):
		return nil, nil, "", errors.New("exact versions and bounds together are not understood")
	case len(exact) > 0:
		return exact, nil, "", nil
	}
	if lower == "" {
		lower = "0"
	}
	if !ended && e.ValidVersion(patched) && (lower == "0" || e.Compare(lower, patched) < 0) {
		upper.Fixed, ended = patched, true
	}
	g = &osv.Range{Type: osv.RangeEcosystem, Events: []osv.Event{{Introduced: lower}}}
	if slices.Contains(semver, eco) {
		g.Type = osv.RangeSemver
	}
	if ended {
		g.Events = append(g.Events, upper)
	}
	return nil, g, doubt, check(eco, g)
}

// check holds a range against the rules of OSV.
func check(eco string, g *osv.Range) error {
	r := osv.Record{ID: "GHSA-0000-0000-0000", Modified: "2000-01-01T00:00:00Z",
		Affected: []osv.Affected{{Package: osv.Package{Ecosystem: eco, Name: "x"}, Ranges: []osv.Range{*g}}}}
	var problems osv.Problems
	if errors.As(r.Validate(), &problems) {
		return errors.New(problems[0].Message)
	}
	return nil
}

var semverVersion = regexp.MustCompile(`^([0-9]{1,9}\.[0-9]{1,9}\.)([0-9]{1,9})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// successor is the version right behind another in the order of SemVer, where
// there is one: 1.0.1-0 is the least of those greater than 1.0.0, and 1.0.0-a.0 of those
// greater than 1.0.0-a (https://semver.org/#spec-item-11).
func successor(eco, version string) (string, bool) {
	m := semverVersion.FindStringSubmatch(version)
	if m == nil || !slices.Contains(semver, eco) {
		return "", false
	}
	if m[3] != "" {
		return m[1] + m[2] + m[3] + ".0", true
	}
	n, err := strconv.Atoi(m[2])
	if err != nil {
		return "", false
	}
	return m[1] + strconv.Itoa(n+1) + "-0", true
}
