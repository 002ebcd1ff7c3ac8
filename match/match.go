// Package match decides what a sighting means: it looks its key up in the
// catalogs, and its digests too, and judges every record it meets.
//
// Flow: [Run] takes a stream of sightings, asks each [Index] for the records of
// the sighting's key and of its digests, and hands what [Judge] makes of the pair to a handler.
// Judge is pure: it is OSV's evaluation (`versions` or `ranges`, either suffices)
// with the verdicts and provenances of this project on top.
//
// Promise: nothing is dropped in silence. A sighting that cannot be looked up is
// a note, a version that cannot be ordered is counted, a catalog that turns out
// to be damaged is an error.
package match

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// Judgement is what one record means for one sighting.
type Judgement struct {
	Verdict    rapsheet.Verdict
	Provenance rapsheet.Provenance
	// Why is one line: the reason for the verdict, then for the provenance. It is
	// empty without a verdict.
	Why string
	// Unparsed is true when a version could not be ordered, so that only text equal
	// to the letter could match.
	Unparsed bool
}

// Judge says what rec means for s, both of the same key or with a digest in common. It changes neither.
//
// Versions follow the evaluation algorithm of OSV
// (https://ossf.github.io/osv-schema/#evaluation): an exact version or a range
// suffices. A registry's holding version is never a finding unless its digest is
// on record, and neither is a name that only shares a key (see
// [ecosystem.Ecosystem.SameName]).
//
// A digest in common says that s is the very archive on record, whatever name and version it goes by: the verdict is exact
// where name and version say nothing. It is believed of every algorithm, MD5 and SHA-1 too. Collisions can be made
// in those, but only by whoever makes both archives: a second archive for the digest of a given one is out of reach (RFC 6151 on
// MD5, RFC 6194 on SHA-1). So nobody's own archive can be made to bear the digest of a malicious one, and whoever
// published a harmless twin of a malicious archive is not accused wrongly. What a record's keepers write into it is believed of
// digests as it is of names. Why names the algorithm, the strongest where several agree.
func Judge(rec *rapsheet.Record, s *rapsheet.Sighting) Judgement {
	e, ok := ecosystem.Find(rec.Ecosystem)
	if !ok {
		return Judgement{}
	}
	if algorithm := sameDigest(rec.Digests, s.Evidence.Digests); algorithm != "" {
		return judgeArchive(e, rec, s, algorithm)
	}
	if !e.SameName(rec.Name, s.Package.Name) || e.HoldingVersion(s.Package.Version) {
		return Judgement{}
	}
	j := judgeVersion(e, rec, s.Package.Version)
	if j.Verdict == rapsheet.VerdictNone {
		return j
	}
	other := ""
	if j.Verdict == rapsheet.VerdictExact {
		other = otherDigest(rec, s.Evidence.Digests)
	}
	j.withdraw(rec)
	var why string
	j.Provenance, why = judgeProvenance(e, &s.Evidence)
	j.Why += "; " + why + other
	return j
}

// judgeArchive judges a sighting with a digest of rec.
func judgeArchive(e *ecosystem.Ecosystem, rec *rapsheet.Record, s *rapsheet.Sighting, algorithm string) Judgement {
	on := rapsheet.Package{Ecosystem: rec.Ecosystem, Name: rec.Name}
	if len(rec.Versions) == 1 && len(rec.Ranges) == 0 {
		on.Version = rec.Versions[0]
	}
	j := Judgement{Verdict: rapsheet.VerdictExact, Provenance: rapsheet.ProvenanceHash}
	why := fmt.Sprintf("its %s digest is that of %s, under another ", algorithm, on)
	if sameKey(e, rec, &s.Package) {
		switch v := judgeVersion(e, rec, s.Package.Version); v.Verdict {
		case rapsheet.VerdictNone, rapsheet.VerdictUnversioned:
			why += "version"
			if s.Package.Version == "" {
				why = "its " + algorithm + " digest is on record"
			}
		default:
			j.Verdict, j.Why = v.Verdict, v.Why
			why = "its " + algorithm + " digest is on record"
		}
	} else {
		why += "name"
	}
	j.withdraw(rec)
	if j.Why != "" {
		why = j.Why + "; " + why
	}
	j.Why = why
	return j
}

// withdraw makes the verdict that of a record that was taken back, if it was. A disputed record is judged as if it stood:
// it is the finding that is no alarm.
func (j *Judgement) withdraw(rec *rapsheet.Record) {
	if rec.Withdrawn && !rec.Disputed {
		j.Verdict, j.Why = rapsheet.VerdictWithdrawn, "the record was withdrawn"
	}
}

// sameKey reports whether p is the package of rec.
func sameKey(e *ecosystem.Ecosystem, rec *rapsheet.Record, p *rapsheet.Package) bool {
	of, ok := ecosystem.Find(p.Ecosystem)
	return ok && of == e && e.Canonical(p.Name) == e.Canonical(rec.Name) && e.SameName(rec.Name, p.Name)
}

func judgeVersion(e *ecosystem.Ecosystem, rec *rapsheet.Record, v string) Judgement {
	if v == "" {
		switch {
		case slices.ContainsFunc(rec.Ranges, open):
			return Judgement{Verdict: rapsheet.VerdictPackage, Why: "every version is malicious"}
		case len(rec.Versions)+len(rec.Ranges) > 0:
			return Judgement{Verdict: rapsheet.VerdictUnversioned, Why: "only some versions are malicious, and the version is not known"}
		}
		return Judgement{}
	}
	var unparsed bool
	valid := e.ValidVersion(v)
	for _, on := range rec.Versions {
		if on == v || valid && e.EqualVersion(on, v) {
			return Judgement{Verdict: rapsheet.VerdictExact, Why: "this very version is on record"}
		}
		unparsed = unparsed || !valid || !e.ValidVersion(on)
	}
	bounded := ""
	for _, g := range rec.Ranges {
		if open(g) {
			return Judgement{Verdict: rapsheet.VerdictPackage, Why: "every version is malicious"}
		}
		in, parsed := inRange(e, g, v, valid)
		unparsed = unparsed || !parsed
		if in && bounded == "" {
			bounded = describe(g)
		}
	}
	if bounded != "" {
		return Judgement{Verdict: rapsheet.VerdictRange, Why: "inside the malicious range " + bounded, Unparsed: unparsed}
	}
	return Judgement{Unparsed: unparsed}
}

// open reports whether g covers every version there is.
func open(g rapsheet.Range) bool {
	start := false
	for _, e := range g.Events {
		everything := e.Kind == rapsheet.Limit && e.Version == "*"
		if e.Kind != rapsheet.Introduced && !everything {
			return false
		}
		start = start || zero(e)
	}
	return start
}

// inRange evaluates one range. parsed is false when v or an event cannot be
// ordered; then only a version equal to an event's text counts as inside.
func inRange(e *ecosystem.Ecosystem, g rapsheet.Range, v string, valid bool) (in, parsed bool) {
	orderable := func(ev rapsheet.Event) bool { return zero(ev) || ev.Version == "*" || e.ValidVersion(ev.Version) }
	if !valid || slices.ContainsFunc(g.Events, func(ev rapsheet.Event) bool { return !orderable(ev) }) {
		in = slices.ContainsFunc(g.Events, func(ev rapsheet.Event) bool {
			return ev.Version == v && (ev.Kind == rapsheet.Introduced || ev.Kind == rapsheet.LastAffected)
		})
		return in, false
	}
	events := g.Events
	order := func(a, b rapsheet.Event) int {
		switch {
		case zero(a) || zero(b):
			return cmp.Compare(btoi(zero(b)), btoi(zero(a)))
		case a.Version == "*" || b.Version == "*":
			return cmp.Compare(btoi(a.Version == "*"), btoi(b.Version == "*"))
		}
		return e.Compare(a.Version, b.Version)
	}
	if !slices.IsSortedFunc(events, order) {
		events = slices.SortedStableFunc(slices.Values(events), order)
	}
	limited, below := false, false
	for _, ev := range events {
		switch ev.Kind {
		case rapsheet.Introduced:
			if zero(ev) || e.Compare(v, ev.Version) >= 0 {
				in = true
			}
		case rapsheet.Fixed:
			if e.Compare(v, ev.Version) >= 0 {
				in = false
			}
		case rapsheet.LastAffected:
			if e.Compare(v, ev.Version) > 0 {
				in = false
			}
		case rapsheet.Limit:
			limited = true
			below = below || ev.Version == "*" || e.Compare(v, ev.Version) < 0
		}
	}
	return in && (!limited || below), true
}

// zero reports whether ev is OSV's "introduced: 0", a version before any other.
func zero(ev rapsheet.Event) bool { return ev.Kind == rapsheet.Introduced && ev.Version == "0" }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func describe(g rapsheet.Range) string {
	signs := map[rapsheet.EventKind]string{
		rapsheet.Introduced: ">=", rapsheet.Fixed: "<", rapsheet.LastAffected: "<=", rapsheet.Limit: "below limit ",
	}
	var parts []string
	for _, e := range g.Events {
		parts = append(parts, signs[e.Kind]+e.Version)
	}
	return strings.Join(parts, " ")
}

// sameDigest gives the strongest algorithm under which on and seen have a digest in common, "" for none.
func sameDigest(on, seen []rapsheet.Digest) string {
	algorithm := ""
	if len(seen) == 0 {
		return algorithm
	}
	for _, a := range on {
		if slices.Contains(seen, a) {
			algorithm = max(algorithm, a.Algorithm) // md5 < sha1 < sha256 < sha384 < sha512
		}
	}
	return algorithm
}

// otherDigest says that none of the digests that were seen is on record for this version, where that is known: the record is
// about one version alone, and has digests of the same algorithm. It is empty where it is not.
func otherDigest(rec *rapsheet.Record, seen []rapsheet.Digest) string {
	if len(rec.Versions) != 1 || len(rec.Ranges) > 0 {
		return ""
	}
	algorithm := ""
	for _, a := range rec.Digests {
		if slices.ContainsFunc(seen, func(d rapsheet.Digest) bool { return d.Algorithm == a.Algorithm }) {
			algorithm = max(algorithm, a.Algorithm)
		}
	}
	if algorithm == "" {
		return ""
	}
	return ", and its " + algorithm + " digest is not the one on record for this version"
}

// judgeProvenance grades a sighting without a digest of the record.
func judgeProvenance(e *ecosystem.Ecosystem, ev *rapsheet.Evidence) (rapsheet.Provenance, string) {
	host := ev.Host
	if h, _, ok := strings.Cut(host, ":"); ok {
		host = h
	}
	switch {
	case ev.Mirror:
		return rapsheet.ProvenanceRegistry, fmt.Sprintf("resolved from %s, declared a mirror of the public registry", ev.Host)
	case host != "" && e.PublicHost(host) && ev.Internal:
		return rapsheet.ProvenanceRegistry, "declared internal, and yet resolved from the public registry at " + host
	case host != "" && e.PublicHost(host):
		return rapsheet.ProvenanceRegistry, "resolved from the public registry at " + host
	case ev.Internal && host == "":
		return rapsheet.ProvenanceElsewhere, "declared internal, and nothing says that it came from the public registry"
	case ev.Origin == rapsheet.OriginRegistry && host != "":
		return rapsheet.ProvenanceElsewhere, fmt.Sprintf("resolved from %s, which is not the public registry", ev.Host)
	case ev.Origin == rapsheet.OriginRegistry:
		return rapsheet.ProvenanceUnknown, "resolved from a registry that is not named"
	case ev.Origin == rapsheet.OriginUnknown && host != "":
		return rapsheet.ProvenanceUnknown, fmt.Sprintf("the settings of the user or the machine name %s for everything, which may be a proxy of the public registry", ev.Host)
	case ev.Origin == rapsheet.OriginUnknown:
		return rapsheet.ProvenanceUnknown, "where it came from is not said"
	case ev.Origin == rapsheet.OriginGit:
		return rapsheet.ProvenanceElsewhere, "comes from a git repository, not from the registry"
	case ev.Origin == rapsheet.OriginFile:
		return rapsheet.ProvenanceElsewhere, "comes from a local path, not from the registry"
	}
	return rapsheet.ProvenanceElsewhere, fmt.Sprintf("comes from an archive at %s, not from the registry", cmp.Or(ev.Host, "a URL"))
}
