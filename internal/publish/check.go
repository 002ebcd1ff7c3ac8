package publish

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bucket"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// maxDocument is how large one document may be, in bytes; package osv makes no larger ones.
const maxDocument = 8 << 20

// check gives the reasons why a document cannot be published, each one printable
// line. A record that passes can be served as it is to every client that was
// looked at: the reason for each rule is beside it.
func check(r *osv.Record) []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	if err := checkID(r.ID); err != nil {
		bad("%v", err)
	}
	for _, t := range [...]struct {
		name string
		t    osv.Timestamp
	}{{"modified", r.Modified}, {"published", r.Published}} {
		if t.t == "" {
			bad("%s is missing", t.name)
		}
	}
	for _, t := range [...]struct {
		name string
		t    osv.Timestamp
	}{{"modified", r.Modified}, {"published", r.Published}, {"withdrawn", r.Withdrawn}} {
		if t.t != "" && !plainTime(string(t.t)) {
			bad("%s is %s: it must be in UTC, written with Z, with at most six digits of a second", t.name, printable.Cut(string(t.t), 64))
		}
	}
	// OSV-Scanner and the malicious-packages tools decode strictly: they drop a record
	// with an unknown member in silence.
	if where := unknown(r); where != "" {
		bad("%s has a member that OSV does not know", where)
	}
	if len(r.DatabaseSpecific) > 0 && r.DatabaseSpecific.Kind() != '{' {
		bad("database_specific is not an object")
	}
	for i := range r.References {
		if u, err := url.Parse(r.References[i].URL); err != nil || !u.IsAbs() {
			bad("reference %d is not an absolute URL", i)
			break
		}
	}
	if len(r.Affected) != 1 {
		bad("%d affected packages instead of one", len(r.Affected))
		return out
	}
	return append(out, checkAffected(&r.Affected[0])...)
}

func checkAffected(a *osv.Affected) []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	p := a.Package
	base, err := bucket.Directory(p.Ecosystem)
	if err != nil {
		bad("%v", err)
		return out
	}
	eco, known := ecosystem.Find(p.Ecosystem)
	if known {
		key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: p.Ecosystem, Name: p.Name})
		switch {
		case !ok:
			bad("%s cannot be the name of a package of %s", printable.Cut(p.Name, 80), base)
		case eco.PURLType == "":
		case p.PURL == "":
			// osv-offline and Dependency-Track match by purl alone.
			bad("the package has no purl")
		default:
			if err := checkPURL(p.PURL, key); err != nil {
				bad("%v", err)
			}
		}
	} else if p.Name == "" {
		bad("the package has no name")
	}
	// PEP 503; clients of PyPI compare normalised names only.
	if base == "PyPI" && eco != nil && eco.Canonical(p.Name) != p.Name {
		bad("%s is not the normalised name", printable.Cut(p.Name, 80))
	}
	open := false
	for i := range a.Ranges {
		g := &a.Ranges[i]
		if g.Type == osv.RangeSemver && !bucket.Semver(base) {
			bad("a range of type SEMVER in %s", base)
		}
		if g.Type != osv.RangeGit && len(g.Events) == 1 && g.Events[0].Introduced == "0" {
			open = true
		}
		for _, e := range g.Events {
			// pip-audit stops at a version that is not one.
			for _, v := range [...]string{e.Fixed, e.LastAffected} {
				if base == "PyPI" && v != "" && !eco.ValidVersion(v) {
					bad("%s ends a range and is no version of PyPI", printable.Cut(v, 80))
				}
			}
		}
	}
	switch {
	case len(a.Ranges) == 0 && len(a.Versions) == 0:
		// OSV-Scanner ignores such an entry.
		bad("neither versions nor ranges")
	case open && len(a.Versions) > 0:
		// Every client takes the union: the versions would say nothing.
		bad("versions beside a range of all versions")
	}
	if len(a.DatabaseSpecific) > 0 && a.DatabaseSpecific.Kind() != '{' || len(a.EcosystemSpecific) > 0 && a.EcosystemSpecific.Kind() != '{' {
		bad("database_specific or ecosystem_specific of the package is not an object")
	}
	return out
}

func checkPURL(purl string, key rapsheet.Key) error {
	if strings.ContainsAny(purl, "?#") {
		return errors.New("the purl has qualifiers")
	}
	p, _, err := ecosystem.ParsePURL(purl)
	if err != nil {
		return fmt.Errorf("the purl: %w", err)
	}
	if p.Version != "" {
		return errors.New("the purl has a version")
	}
	if k, ok := ecosystem.KeyOf(p); !ok || k != key {
		return fmt.Errorf("the purl %s is of another package", printable.Cut(purl, 80))
	}
	return nil
}

// checkID says why an id cannot name a file on every system, or is not known for what it is.
func checkID(id string) error {
	if err := bucket.CheckID(id); err != nil {
		return err
	}
	// Renovate, uv, Dependency-Track and others know a malicious package by this prefix.
	if !strings.HasPrefix(id, "MAL-") {
		return errors.New("the id does not begin with MAL-")
	}
	return nil
}

// plainTime reports whether s, a valid RFC 3339 time, is as every client reads
// it: pip-audit's strptime takes at most six digits of a second, the schema wants "Z".
func plainTime(s string) bool {
	body, utc := strings.CutSuffix(s, "Z")
	_, fraction, _ := strings.Cut(body, ".")
	return utc && len(fraction) <= 6
}

// unknown names the first part of r with a member that is not OSV's.
func unknown(r *osv.Record) string {
	if len(r.Unknown) > 0 {
		return "the record"
	}
	for i := range r.Severity {
		if len(r.Severity[i].Unknown) > 0 {
			return "severity"
		}
	}
	for i := range r.References {
		if len(r.References[i].Unknown) > 0 {
			return "references"
		}
	}
	for i := range r.Credits {
		if len(r.Credits[i].Unknown) > 0 {
			return "credits"
		}
	}
	for i := range r.Affected {
		a := &r.Affected[i]
		if len(a.Unknown) > 0 || len(a.Package.Unknown) > 0 {
			return "affected"
		}
		for j := range a.Severity {
			if len(a.Severity[j].Unknown) > 0 {
				return "severity"
			}
		}
		for j := range a.Ranges {
			if len(a.Ranges[j].Unknown) > 0 {
				return "ranges"
			}
			for k := range a.Ranges[j].Events {
				if len(a.Ranges[j].Events[k].Unknown) > 0 {
					return "events"
				}
			}
		}
	}
	return ""
}
