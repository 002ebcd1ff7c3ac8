package advisory

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bucket"
	"github.com/rapsheet/rapsheet/osv"
)

// Plain gives rec as every client of OSV reads it, wherever it came from; rec is not changed and shares memory with the result.
// It covers the same versions. What is mended, and for whom:
//
//   - members that OSV does not know are left out, and words that are not of its lists: OSV-Scanner and OSV-Scalibr decode strictly, and drop the record in silence;
//   - times are in UTC with at most six digits of a second: pip-audit stops at more;
//   - references that are no absolute address are left out: uv stops at one;
//   - a package of PyPI has its name in the form of PEP 503, as OSV's schema wants it: clients compare it letter by letter with theirs in that form;
//   - a package has its purl: osv-offline and Dependency-Track 5 match by nothing else;
//   - parts without a package are left out where there are others: pip-audit stops at one;
//   - a range of PyPI that ends in what is no version, at which pip-audit stops, becomes the versions that its text names,
//     which is all that anybody can match of it;
//   - a listed version of a Go module is a range as well, from it through it: records write 1.0.0 and go.mod v1.0.0, and
//     OSV-Scanner and Renovate compare listed versions as text;
//   - ranges are of type SEMVER only where the ecosystem's may be.
//
// With Links.Base the page of the record there is the first reference of type ADVISORY, which is the one that clients show.
func Plain(rec *osv.Record, links Links) *osv.Record {
	out := *rec
	out.Unknown = nil
	out.Modified, out.Published, out.Withdrawn = PlainTime(rec.Modified), PlainTime(rec.Published), PlainTime(rec.Withdrawn)
	if out.Withdrawn == "" && rec.IsWithdrawn() {
		out.Withdrawn = out.Modified // taken back at a time that cannot be read is taken back
	}
	out.Severity = plainSeverity(rec.Severity)
	out.References = plainReferences(rec, links)
	out.Credits = slices.Clone(rec.Credits)
	for i := range out.Credits {
		c := &out.Credits[i]
		c.Unknown = nil
		if c.Type != "" && !slices.Contains(creditTypes, c.Type) {
			c.Type = "OTHER"
		}
	}
	out.Affected = make([]osv.Affected, 0, len(rec.Affected))
	named := slices.ContainsFunc(rec.Affected, func(a osv.Affected) bool { return a.Package.Name != "" })
	for i := range rec.Affected {
		if rec.Affected[i].Package.Name != "" || !named {
			out.Affected = append(out.Affected, plainAffected(&rec.Affected[i]))
		}
	}
	return &out
}

// Words of the schema, definitions "severity", "references" and "credits"
// (https://ossf.github.io/osv-schema/, 1.7.5).
var (
	severityTypes  = []string{"CVSS_V2", "CVSS_V3", "CVSS_V4", "Ubuntu"}
	referenceTypes = []string{"ADVISORY", "ARTICLE", "DETECTION", "DISCUSSION", "REPORT", "FIX", "INTRODUCED", "GIT", "PACKAGE", "EVIDENCE", "WEB"}
	creditTypes    = []string{
		"FINDER", "REPORTER", "ANALYST", "COORDINATOR", "REMEDIATION_DEVELOPER", "REMEDIATION_REVIEWER",
		"REMEDIATION_VERIFIER", "TOOL", "SPONSOR", "OTHER",
	}
)

// PlainTime gives t in UTC with at most six digits of a second, and "" for what is no time.
func PlainTime(t osv.Timestamp) osv.Timestamp {
	v, err := t.Time()
	if err != nil || v.IsZero() || v.Year() < 1 || v.Year() > 9999 {
		return ""
	}
	return osv.Timestamp(v.Truncate(time.Microsecond).Format(time.RFC3339Nano))
}

func plainSeverity(list []osv.Severity) []osv.Severity {
	var out []osv.Severity
	for _, s := range list {
		if slices.Contains(severityTypes, s.Type) {
			s.Unknown = nil
			out = append(out, s)
		}
	}
	return out
}

func plainReferences(rec *osv.Record, links Links) []osv.Reference {
	var out []osv.Reference
	page := ""
	if links.Base != "" {
		page = links.of(rec)
		out = append(out, osv.Reference{Type: "ADVISORY", URL: page})
	}
	for _, r := range rec.References {
		if u, err := url.Parse(r.URL); err != nil || !u.IsAbs() || r.URL == page {
			continue
		}
		r.Unknown = nil
		if !slices.Contains(referenceTypes, r.Type) {
			r.Type = "WEB"
		}
		out = append(out, r)
	}
	return out
}

func plainAffected(of *osv.Affected) osv.Affected {
	a := *of
	a.Unknown, a.Package.Unknown = nil, nil
	a.Severity = plainSeverity(of.Severity)
	base, _, _ := strings.Cut(of.Package.Ecosystem, ":")
	eco, _ := ecosystem.Find(base)
	if base == "PyPI" {
		a.Package.Name = eco.Canonical(a.Package.Name)
	}
	if eco != nil && eco.PURLType != "" {
		if want := ecosystem.PURL(rapsheet.Package{Ecosystem: base, Name: a.Package.Name}); want != "" && !samePURL(of.Package, want) {
			a.Package.PURL = want
		}
	}
	a.Ranges = nil
	for _, g := range of.Ranges {
		g.Unknown = nil
		g.Events = slices.Clone(g.Events)
		for i := range g.Events {
			g.Events[i].Unknown = nil
		}
		switch {
		case g.Type == osv.RangeSemver && !bucket.Semver(base):
			g.Type = osv.RangeEcosystem
		case g.Type != osv.RangeSemver && g.Type != osv.RangeEcosystem && g.Type != osv.RangeGit:
			continue // of no type that anybody evaluates
		}
		if base == "PyPI" && g.Type == osv.RangeEcosystem && !ordered(eco, g.Events) {
			a.Versions = slices.Clone(a.Versions)
			for _, e := range g.Events {
				for _, v := range [...]string{e.Introduced, e.LastAffected} {
					if v != "" && v != "0" && !slices.Contains(a.Versions, v) {
						a.Versions = append(a.Versions, v)
					}
				}
			}
			continue
		}
		a.Ranges = append(a.Ranges, g)
	}
	if base == "Go" {
		for _, v := range of.Versions {
			if v = strings.TrimPrefix(v, "v"); eco.ValidVersion(v) {
				a.Ranges = append(a.Ranges, osv.Range{Type: osv.RangeSemver, Events: []osv.Event{{Introduced: v}, {LastAffected: v}}})
			}
		}
	}
	return a
}

// samePURL reports whether the package's own purl can stay: it names the package, and nothing but the package.
func samePURL(p osv.Package, want string) bool {
	if p.PURL == want {
		return true
	}
	if p.PURL == "" || strings.ContainsAny(p.PURL, "?#") {
		return false
	}
	got, _, err := ecosystem.ParsePURL(p.PURL)
	return err == nil && got.Version == "" && ecosystem.PURL(got) == want
}

// ordered reports whether all ends of a range are versions.
func ordered(eco *ecosystem.Ecosystem, events []osv.Event) bool {
	for _, e := range events {
		for _, v := range [...]string{e.Fixed, e.LastAffected} {
			if v != "" && !eco.ValidVersion(v) {
				return false
			}
		}
	}
	return true
}
