package match_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// told records what a handler is told.
type told struct {
	lines []string
	fail  error
}

func (h *told) Begin(*rapsheet.Scan) error  { return nil }
func (h *told) End(*rapsheet.Summary) error { return nil }

func (h *told) Finding(f *rapsheet.Finding) error {
	h.lines = append(h.lines, fmt.Sprintf("%s %s %s advisory=%v catalog=%d", f.Record.ID, f.Package.Name, f.Verdict, f.Advisory != nil, f.Catalog))
	return h.fail
}

func (h *told) Note(n *rapsheet.Note) error {
	h.lines = append(h.lines, fmt.Sprintf("note %s %s", n.Kind, n.Path))
	return nil
}

// list is an index of one npm package, every version of which is malicious.
type list struct {
	id, name  string
	broken    error // of lookups
	texts     error // of documents
	documents int
}

func (l *list) Lookup(k rapsheet.Key) ([]rapsheet.Record, error) {
	if l.broken != nil || k.Name != l.name {
		return nil, l.broken
	}
	return []rapsheet.Record{{ID: l.id, Ecosystem: "npm", Name: l.name, Ranges: []rapsheet.Range{whole}}}, nil
}

func (l *list) LookupDigest(rapsheet.Digest) ([]rapsheet.Record, error) { return nil, l.broken }

func (l *list) Document(rapsheet.Record) (*osv.Record, error) {
	l.documents++
	if l.texts != nil {
		return nil, l.texts
	}
	return &osv.Record{ID: l.id}, nil
}

type event struct {
	name, path string
	err        error
}

func stream(events ...event) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		for _, e := range events {
			s := rapsheet.Sighting{
				Package:  rapsheet.Package{Ecosystem: "npm", Name: e.name, Version: "1.0.0"},
				Location: rapsheet.Location{Path: e.path},
			}
			if e.err != nil {
				s = rapsheet.Sighting{}
			}
			if !yield(s, e.err) {
				return
			}
		}
	}
}

func TestRun(t *testing.T) {
	one, two := &list{id: "MAL-2026-1", name: "evil"}, &list{id: "MAL-2026-2", name: "evil"}
	h := &told{}
	sum, err := match.Run(context.Background(), []match.Index{one, two}, stream(
		event{name: "good", path: "a"},
		event{name: "evil", path: "a"},
		event{err: &rapsheet.Note{Kind: rapsheet.NoteUnmatchable, Path: "a", Count: 7}},
		event{err: &rapsheet.Note{Kind: rapsheet.NoteInfo, Path: "a"}},
		event{name: "evil", path: "b"},
		event{name: "bad\x00name", path: "b"},
	), h)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"MAL-2026-1 evil package advisory=true catalog=0", "MAL-2026-2 evil package advisory=true catalog=1",
		"note unmatchable a", "note info a",
		"MAL-2026-1 evil package advisory=true catalog=0", "MAL-2026-2 evil package advisory=true catalog=1",
		"note unmatchable b",
	}
	if !slices.Equal(h.lines, want) {
		t.Errorf("got  %q\nwant %q", h.lines, want)
	}
	if sum.Sightings != 3 || sum.Files != 2 || sum.Findings != 4 || sum.Other != 0 || sum.Unmatchable != 8 || sum.Unread != 0 || !sum.Complete {
		t.Errorf("%+v", sum)
	}
	if one.documents != 1 || two.documents != 1 {
		t.Errorf("a record seen in two places was read %d and %d times", one.documents, two.documents)
	}
}

func TestRunIncomplete(t *testing.T) {
	sum, err := match.Run(context.Background(), nil, stream(event{err: &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: "a"}}), &told{})
	if err != nil || sum.Complete || sum.Unread != 1 || sum.Status() != rapsheet.ExitIncomplete {
		t.Errorf("%+v, %v", sum, err)
	}
}

// Nothing follows from a catalog that breaks in the middle, but what was found stands.
func TestRunBrokenCatalog(t *testing.T) {
	boom := errors.New("checksum")
	good := &list{id: "MAL-2026-1", name: "evil"}
	h := &told{}
	sum, err := match.Run(context.Background(), []match.Index{good, &list{broken: boom}}, stream(event{name: "evil", path: "a"}), h)
	var broken *match.CatalogError
	if !errors.As(err, &broken) || !errors.Is(err, boom) || sum.Findings != 1 || sum.Complete {
		t.Errorf("%+v, %v", sum, err)
	}
}

// A finding whose texts cannot be read is still a finding.
func TestRunBrokenTexts(t *testing.T) {
	h := &told{}
	sum, err := match.Run(context.Background(), []match.Index{&list{id: "MAL-2026-1", name: "evil", texts: errors.New("checksum")}},
		stream(event{name: "evil", path: "a"}), h)
	if err != nil || sum.Findings != 1 || !slices.Contains(h.lines, "MAL-2026-1 evil package advisory=false catalog=0") || !slices.Contains(h.lines, "note info ") {
		t.Errorf("%+v, %v, %q", sum, err, h.lines)
	}
}

func TestRunStops(t *testing.T) {
	evil := []match.Index{&list{id: "MAL-2026-1", name: "evil"}}
	full := errors.New("disk full")
	if _, err := match.Run(context.Background(), evil, stream(event{name: "evil", path: "a"}), &told{fail: full}); !errors.Is(err, full) {
		t.Errorf("the handler's error: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sum, err := match.Run(ctx, evil, stream(event{name: "evil", path: "a"}), &told{}); !errors.Is(err, context.Canceled) || sum.Complete {
		t.Errorf("cancelled: %+v, %v", sum, err)
	}
}

// states is an index of one npm package with a record in each state.
type states struct{}

func (states) Lookup(rapsheet.Key) ([]rapsheet.Record, error) {
	rec := rapsheet.Record{Ecosystem: "npm", Name: "evil", Ranges: []rapsheet.Range{whole}}
	active, withdrawn, disputed := rec, rec, rec
	active.ID, withdrawn.ID, disputed.ID = "MAL-1", "MAL-2", "MAL-3"
	withdrawn.Withdrawn = true
	disputed.Withdrawn, disputed.Disputed = true, true
	return []rapsheet.Record{active, withdrawn, disputed}, nil
}

func (states) LookupDigest(rapsheet.Digest) ([]rapsheet.Record, error) { return nil, nil }

func (states) Document(rec rapsheet.Record) (*osv.Record, error) { return &osv.Record{ID: rec.ID}, nil }

// A record counts by its state; a disputed one is no reason to fail.
func TestRunCountsByState(t *testing.T) {
	s := func(yield func(rapsheet.Sighting, error) bool) {
		public := rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "registry.npmjs.org"}
		if yield(rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "npm", Name: "evil", Version: "1.0.0"}, Evidence: public}, nil) {
			public.Host = "npm.acme.example"
			yield(rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "npm", Name: "evil", Version: "1.0.0"}, Evidence: public}, nil)
		}
	}
	var h told
	sum, err := match.Run(context.Background(), []match.Index{states{}}, s, &h)
	if err != nil || sum.Findings != 1 || sum.Disputed != 1 || sum.Other != 4 {
		t.Errorf("%+v, %v; want 1 finding, 1 disputed, 4 others\n%q", sum, err, h.lines)
	}
	sum.Findings = 0
	if got := sum.Status(); got != rapsheet.ExitClean {
		t.Errorf("disputed alone: status %d", got)
	}
}
