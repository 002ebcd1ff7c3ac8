package osvfeed

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// Bounds of what one document may become.
const (
	// maxClaims is one claim per affected entry and origin; package osv allows 100,000 entries.
	maxClaims = 100_000
	// maxExpansion is in bytes, for texts of the record repeated for every affected entry.
	maxExpansion = 64 << 20
	maxNoteText  = 200
)

// earliest is before any package registry: a time before it, or more than
// futureLimit ahead, is a mistake or a lie.
var earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

const futureLimit = 24 * time.Hour

// notMalicious is the reason of the note about a document that is about something else.
const notMalicious = "not about a malicious package"

// githubOrigin is what upstream calls GitHub's malware advisories. Under the
// same name a copy of one in the upstream tree is not a second, independent finder.
const githubOrigin = "ghsa-malware"

// Parse reads the claims in an OSV document in the name of a source, a slug.
//
// Each affected entry gives one claim, or, when the record says of which origins
// it was merged (database_specific.malicious-packages-origins), one per origin
// and one for the record itself, in this order. A document that is not about a
// malicious package gives none and a note, unless upstream's layout puts it
// among malicious packages.
//
// Of an origin's revisions, entries with the same source and id, only the
// newest counts; a range of which only older ones speak is dropped, with a note.
// What affected says and no origin does is the record's own claim. An origin
// never says more than affected still does.
//
// An error means that the document is not an OSV record, or that no claim could
// be made of one.
func Parse(doc source.Document, sourceName string) (source.Parsed, error) {
	rec, flags, err := osv.ParseNamed(doc.Data, doc.Name, osv.Limits{})
	if err != nil {
		return source.Parsed{}, err
	}
	p := &parser{rec: rec, source: sourceName, latest: time.Now().Add(futureLimit)}
	p.place, p.inLayout = placeOf(doc.Name)
	if !rec.Malicious() && !p.inLayout {
		p.note(rec.ID, notMalicious, true)
		return p.out, nil
	}
	for _, f := range flags {
		switch f.Kind {
		case osv.FlagCut, osv.FlagReplaced, osv.FlagDropped:
			p.note(f.Pointer, f.Message, false)
		}
	}
	if err := p.record(); err != nil {
		return source.Parsed{}, err
	}
	return p.out, nil
}

// parser is one run of [Parse].
type parser struct {
	rec      *osv.Record
	source   string
	place    place
	inLayout bool
	latest   time.Time

	published, modified, withdrawn time.Time
	indicators                     jsontext.Value
	out                            source.Parsed
	failed                         error // of the first claim that was not valid
}

func (p *parser) note(text, reason string, skipped bool) {
	if len(text) > maxNoteText {
		text = text[:maxNoteText]
	}
	p.out.Notes = append(p.out.Notes, source.Note{Text: text, Reason: reason, Skipped: skipped})
}

// time is zero for what is not given or not to be believed.
func (p *parser) time(ts osv.Timestamp) time.Time {
	t, err := ts.Time()
	if err != nil || t.Before(earliest) || t.After(p.latest) {
		return time.Time{}
	}
	return t
}

func (p *parser) record() error {
	p.published, p.modified = p.time(p.rec.Published), p.time(p.rec.Modified)
	if p.rec.IsWithdrawn() || p.place.withdrawn {
		p.withdrawn = p.time(p.rec.Withdrawn)
		// The time is less than the fact: a record that was taken back must not stand.
		for _, t := range []time.Time{p.modified, p.published, earliest} {
			if p.withdrawn.IsZero() {
				p.withdrawn = t
			}
		}
	}
	origins, indicators := p.databaseSpecific()
	p.indicators = indicators

	n := len(p.rec.Affected)
	if n == 0 {
		return errors.New("no affected package")
	}
	if n*(len(origins)+1) > maxClaims {
		return fmt.Errorf("%d affected packages by %d origins: more than %d claims", n, len(origins), maxClaims)
	}
	if size := n * p.textSize(); n > 1 && size > maxExpansion {
		return fmt.Errorf("%d affected packages with texts of %d bytes each: the limit is %d bytes together", n, size/n, maxExpansion)
	}
	stale, current := revisions(origins)
	for i := range p.rec.Affected {
		p.affected(i, current, stale)
	}
	if len(p.out.Claims) == 0 {
		return p.failed
	}
	return nil
}

// textSize is how much of the record each of its claims repeats.
func (p *parser) textSize() int {
	n := len(p.rec.Summary) + len(p.rec.Details) + len(p.indicators)
	for _, r := range p.rec.References {
		n += len(r.Type) + len(r.URL) + len(r.Unknown)
	}
	for _, c := range p.rec.Credits {
		n += len(c.Type) + len(c.Name) + len(c.Unknown)
		for _, s := range c.Contact {
			n += len(s)
		}
	}
	for _, a := range p.rec.Aliases {
		n += len(a)
	}
	return n
}

// affected makes the claims of one affected entry.
func (p *parser) affected(i int, current, stale []origin) {
	a := &p.rec.Affected[i]
	ref := p.rec.ID
	if len(p.rec.Affected) > 1 {
		ref += "/" + strconv.Itoa(i)
	}
	base := claim.Claim{
		Ref:       ref,
		Ecosystem: a.Package.Ecosystem,
		Name:      a.Package.Name,
		PURL:      a.Package.PURL,
		Hint:      p.hint(a.Package),
		ID:        p.rec.ID,
		Withdrawn: p.withdrawn,
	}

	archives, bad := ecosystem.RecordArchives(a.DatabaseSpecific)
	if bad > 0 {
		p.note(p.rec.ID, fmt.Sprintf("%d digest(s) of archives left out that are none", bad), false)
	}
	var texts []string
	for _, d := range archives {
		texts = append(texts, ecosystem.DigestText(d))
	}

	left := newStatement(a)
	refs := make(map[string]bool, len(current))
	first := len(p.out.Claims)
	for j := range current {
		o := &current[j]
		c := base
		c.Ref = o.ref(ref, refs)
		c.Origins = []string{o.Source}
		c.OriginID, c.OriginSHA256 = o.ID, o.SHA256
		c.Imported, c.Modified = p.time(o.Imported), p.time(o.Modified)
		c.Versions, c.Ranges = left.take(a, o)
		if len(c.Versions) == 0 && len(c.Ranges) == 0 {
			if len(p.rec.Affected) > 1 {
				continue // it speaks of another entry
			}
			p.note(o.Source, "nothing of what this origin said is left in the record", false)
		}
		p.add(c)
	}
	if dropped := left.drop(stale); dropped > 0 {
		p.note(p.rec.ID, fmt.Sprintf("%d range(s) dropped that a source's later statement replaced", dropped), false)
	}

	c := base
	c.Versions, c.Ranges = left.rest(a)
	c.Archives = texts
	// Whoever alone says the versions says the digests: they are held and taken back together.
	if of := saying(p.out.Claims[first:]); of != nil && len(c.Versions)+len(c.Ranges) == 0 {
		of.Archives, c.Archives = texts, nil
	}
	c.Aliases = append([]string(nil), p.rec.Aliases...)
	c.Summary, c.Details = p.rec.Summary, p.rec.Details
	c.References, c.Credits = p.rec.References, p.rec.Credits
	c.Published, c.Modified = p.published, p.modified
	c.Indicators = p.indicators
	c.Evidence = ordered(a.DatabaseSpecific)
	switch {
	case len(current) == 0:
		c.Origins = p.finders()
	case len(c.Versions) > 0 || len(c.Ranges) > 0:
		c.Origins = []string{p.source}
	}
	p.add(c)
}

// saying gives the one of claims that says anything of versions, nil when none or several do.
func saying(claims []claim.Claim) (one *claim.Claim) {
	for i := range claims {
		if c := &claims[i]; len(c.Versions)+len(c.Ranges) > 0 {
			if one != nil {
				return nil
			}
			one = c
		}
	}
	return one
}

// add takes a claim that is valid, and notes one that is not.
func (p *parser) add(c claim.Claim) {
	c.Normalise()
	if err := c.Validate(); err != nil {
		err = fmt.Errorf("claim %.80q: %w", c.Ref, err)
		if p.failed == nil {
			p.failed = err
		}
		p.note(c.Name, err.Error(), true)
		return
	}
	p.out.Claims = append(p.out.Claims, c)
}

// finders are who found what a record without origins is about.
func (p *parser) finders() []string {
	if strings.HasPrefix(p.rec.ID, "GHSA-") {
		return []string{githubOrigin}
	}
	var origins []string
	for _, c := range p.rec.Credits {
		if c.Type != "FINDER" {
			continue
		}
		if o := claim.Slug(c.Name); o != "" && len(origins) < maxOrigins {
			origins = append(origins, o)
		}
	}
	if origins == nil {
		origins = []string{p.source}
	}
	return origins
}

// ordered is a raw value in the one spelling of all that mean the same: compact,
// members sorted.
func ordered(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return nil
	}
	v = v.Clone()
	if err := v.Format(jsontext.ReorderRawObjects(true), jsontext.Multiline(false), jsontext.SpaceAfterComma(false), jsontext.SpaceAfterColon(false)); err != nil {
		return nil
	}
	return v
}
