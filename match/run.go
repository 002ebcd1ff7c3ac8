package match

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// Index answers which records a key has; *index.Index is one. Implementations
// are safe for concurrent use.
type Index interface {
	// Lookup gives the records of key, none when it is not on record.
	Lookup(key rapsheet.Key) ([]rapsheet.Record, error)
	// LookupDigest gives the records that have d as the digest of a malicious archive, of whatever package, none when it
	// is not on record.
	LookupDigest(d rapsheet.Digest) ([]rapsheet.Record, error)
	// Document gives the full record behind one that Lookup or LookupDigest gave.
	Document(rec rapsheet.Record) (*osv.Record, error)
}

// maxAdvisories is how many full records are kept while a scan runs: a worm's
// packages are seen in many places, a record is a few kilobytes.
const maxAdvisories = 4096

// CatalogError says that a catalog could not be used in the middle of a scan: no
// "nothing found" may be drawn from it.
type CatalogError struct{ Err error }

func (e *CatalogError) Error() string { return "catalog: " + e.Err.Error() }
func (e *CatalogError) Unwrap() error { return e.Err }

// Run matches a stream of sightings against indexes and tells h every finding, one
// per sighting and record of a key, and every note; it calls neither Begin nor End. It
// returns what it counted. An error is a *[CatalogError], the context's, or h's;
// the counts are right up to it.
//
// A sighting is looked up by its name and by each of its digests: an archive that was renamed is found, and one whose name cannot be
// looked up is a note only if no digest of it is on record either. The same record is not reported for both.
//
// One lookup is made per sighting, not per distinct key: a miss costs less than
// remembering would.
func Run(ctx context.Context, indexes []Index, sightings rapsheet.Sightings, h rapsheet.Handler) (rapsheet.Summary, error) {
	r := runner{indexes: indexes, h: h, advisories: map[advisoryKey]*osv.Record{}}
	for s, err := range sightings {
		if ctx.Err() != nil {
			return r.sum, ctx.Err()
		}
		if err != nil {
			err = r.note(err)
		} else {
			err = r.sighting(&s)
		}
		if err != nil {
			return r.sum, err
		}
	}
	r.sum.Complete = r.sum.Unread == 0
	return r.sum, ctx.Err()
}

type advisoryKey struct {
	index int
	doc   uint32
}

type runner struct {
	indexes    []Index
	h          rapsheet.Handler
	sum        rapsheet.Summary
	path       string
	advisories map[advisoryKey]*osv.Record
	found      []advisoryKey // with a digest of the sighting at hand
}

func (r *runner) note(err error) error {
	var n *rapsheet.Note
	if !errors.As(err, &n) {
		return err
	}
	count := max(n.Count, 1)
	switch n.Kind {
	case rapsheet.NoteUnread:
		r.sum.Unread += count
	case rapsheet.NoteUnmatchable:
		r.sum.Unmatchable += count
	}
	return r.h.Note(n)
}

func (r *runner) sighting(s *rapsheet.Sighting) error {
	if s.Location.Path != r.path || r.sum.Files == 0 {
		r.path = s.Location.Path
		r.sum.Files++
	}
	r.found = r.found[:0]
	key, ok := ecosystem.KeyOf(s.Package)
	if !ok {
		if err := r.digests(s); err != nil {
			return err
		}
		if len(r.found) > 0 {
			r.sum.Sightings++
			return nil
		}
		return r.note(&rapsheet.Note{
			Kind: rapsheet.NoteUnmatchable, Path: s.Location.Path, Line: s.Location.Line,
			Message: fmt.Sprintf("%s is not a name that can be looked up", s.Package),
		})
	}
	r.sum.Sightings++
	for i, ix := range r.indexes {
		recs, err := ix.Lookup(key)
		if err != nil {
			return &CatalogError{err}
		}
		for k := range recs {
			if err := r.judge(i, &recs[k], s); err != nil {
				return err
			}
		}
	}
	return r.digests(s)
}

// digests looks a sighting up by its digests. What was found by name has been told.
func (r *runner) digests(s *rapsheet.Sighting) error {
	for _, d := range s.Evidence.Digests {
		for i, ix := range r.indexes {
			recs, err := ix.LookupDigest(d)
			if err != nil {
				return &CatalogError{err}
			}
			for k := range recs {
				if slices.Contains(r.found, advisoryKey{i, recs[k].Document}) {
					continue
				}
				if err := r.judge(i, &recs[k], s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *runner) judge(i int, rec *rapsheet.Record, s *rapsheet.Sighting) error {
	j := Judge(rec, s)
	if j.Unparsed {
		r.sum.Unparsed++
	}
	if j.Verdict == rapsheet.VerdictNone {
		return nil
	}
	if j.Provenance == rapsheet.ProvenanceHash {
		r.found = append(r.found, advisoryKey{i, rec.Document})
	}
	f := rapsheet.Finding{
		Record: *rec, Package: s.Package, Verdict: j.Verdict, Provenance: j.Provenance,
		Evidence: s.Evidence, Why: j.Why, Locations: []rapsheet.Location{s.Location}, Catalog: i,
	}
	switch {
	case f.Malicious():
		r.sum.Findings++
	case f.Warning():
		r.sum.Disputed++
	default:
		r.sum.Other++
	}
	var err error
	if f.Advisory, err = r.advisory(i, *rec); err != nil {
		// The finding stands without its texts.
		if err := r.note(&rapsheet.Note{Kind: rapsheet.NoteInfo, Message: fmt.Sprintf("the full record %s cannot be read: %v", rec.ID, err)}); err != nil {
			return err
		}
	}
	return r.h.Finding(&f)
}

func (r *runner) advisory(i int, rec rapsheet.Record) (*osv.Record, error) {
	k := advisoryKey{i, rec.Document}
	if a, ok := r.advisories[k]; ok {
		return a, nil
	}
	a, err := r.indexes[i].Document(rec)
	if err != nil {
		return nil, err
	}
	if len(r.advisories) >= maxAdvisories {
		clear(r.advisories)
	}
	r.advisories[k] = a
	return a, nil
}
