package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/source/list"
	"github.com/rapsheet/rapsheet/internal/source/osvfeed"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/sqlite"
	"github.com/rapsheet/rapsheet/osv"
)

// feed is a complete source of OSV documents that a test holds in its hands.
type feed struct {
	name string
	docs []source.Document
	err  error
}

func (f *feed) Info() source.Info { return source.Info{Name: f.name, Kind: "osv", Complete: true} }
func (f *feed) Cursor() string    { return "" }
func (f *feed) Parse(d source.Document) (source.Parsed, error) {
	return osvfeed.Parse(d, f.name)
}
func (f *feed) Fetch(context.Context, string) iter.Seq2[source.Document, error] {
	return func(yield func(source.Document, error) bool) {
		for _, d := range f.docs {
			if !yield(d, nil) {
				return
			}
		}
		if f.err != nil {
			yield(source.Document{}, f.err)
		}
	}
}

// advisory is a small OSV document; extra goes in front of affected.
func advisory(id, name, affected, extra string) source.Document {
	path := fmt.Sprintf("osv/malicious/npm/%s/%s.json", strings.ToLower(name), id)
	return source.Document{Name: path, Data: fmt.Appendf(nil,
		`{"id":%q,"modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z",%s"affected":[{"package":{"ecosystem":"npm","name":%q},%s}]}`,
		id, extra, name, affected)}
}

const (
	everyVersion = `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]`
	withdrawnAt  = `"withdrawn":"2026-02-01T00:00:00Z",`
)

func versions(v ...string) string { return fmt.Sprintf(`"versions":["%s"]`, strings.Join(v, `","`)) }

func finder(names ...string) string {
	var out []string
	for _, n := range names {
		out = append(out, fmt.Sprintf(`{"name":%q,"type":"FINDER"}`, n))
	}
	return `"credits":[` + strings.Join(out, ",") + `],`
}

// desk is a catalog on a store of its own, with a clock that each import moves.
type desk struct {
	*catalog.Catalog
	t   *testing.T
	now time.Time
	// opt are the options of the next imports.
	opt catalog.ImportOptions
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return deskOn(t, s)
}

func deskOn(t *testing.T, s store.Store) *desk {
	d := &desk{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	d.Catalog = &catalog.Catalog{Store: s, Actor: "anna", Now: func() time.Time { return d.now }}
	return d
}

func (d *desk) imports(name string, docs ...source.Document) *catalog.ImportReport {
	d.t.Helper()
	d.now = d.now.Add(time.Hour)
	r, err := d.Import(d.t.Context(), &feed{name: name, docs: docs}, d.opt)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) list(name, ecosystem, content string) *catalog.ImportReport {
	d.t.Helper()
	d.now = d.now.Add(time.Hour)
	l, err := list.New([]byte(content), list.Options{Name: name, Ecosystem: ecosystem})
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := d.Import(d.t.Context(), l, d.opt)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) popular(names ...string) { d.input(catalog.InputPopular, "npm", names...) }

// input tells the guards of a list, with the next import.
func (d *desk) input(kind, name string, lines ...string) {
	d.t.Helper()
	in, err := catalog.NewInput(kind, name, lines, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	d.opt.Inputs = append(d.opt.Inputs, in)
}

func key(name string) rapsheet.Key {
	k, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "npm", Name: name})
	if !ok {
		panic(name)
	}
	return k
}

// state gives the records about a package in words: "MAL-1 in force 1.0.0,1.0.1".
func (d *desk) state(name string) string {
	d.t.Helper()
	var out []string
	err := d.Store.View(d.t.Context(), func(r store.Reader) error {
		records, err := r.RecordsOf(d.t.Context(), []rapsheet.Key{key(name)})
		for _, rec := range records {
			doc, _, err := osv.Parse(rec.JSON)
			if err != nil {
				return err
			}
			word := map[store.State]string{store.Active: "in force", store.Disputed: "disputed", store.Withdrawn: "withdrawn"}[rec.State]
			what := strings.Join(doc.Affected[0].Versions, ",")
			for _, g := range doc.Affected[0].Ranges {
				for _, e := range g.Events {
					what += strings.TrimRight(" "+e.Introduced+"<"+e.Fixed, "<")
				}
			}
			if what == " 0" {
				what = "all"
			}
			out = append(out, rec.ID+" "+word+" "+strings.TrimSpace(what))
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Join(out, "; ")
}

func (d *desk) guards(name string) string {
	d.t.Helper()
	held, err := d.Held(d.t.Context(), catalog.Filter{Keys: []rapsheet.Key{key(name)}})
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, h := range held {
		for _, x := range h.Holds {
			out = append(out, x.Guard)
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

func (d *desk) want(name, state, guards string) {
	d.t.Helper()
	if got := d.state(name); got != state {
		d.t.Errorf("%s is %q, want %q", name, got, state)
	}
	if got := d.guards(name); got != guards {
		d.t.Errorf("%s is held by %q, want %q", name, got, guards)
	}
}

// The incidents of the past, each with what the guards promise.

// In April 2024 MAL-2024-2929 listed react instead of @zettle-bo/react; it was withdrawn.
func TestDroppedScope(t *testing.T) {
	t.Run("the path still has the scope", func(t *testing.T) {
		d := newDesk(t)
		bad := advisory("MAL-2024-2929", "react", versions("9.9.9", "99.9.9"), "")
		bad.Name = "osv/malicious/npm/@zettle-bo/react/MAL-2024-2929.json"
		d.imports("tree", bad)
		d.want("react", "", catalog.GuardScope)
	})
	t.Run("the purl still has the scope", func(t *testing.T) {
		d := newDesk(t)
		bad := advisory("MAL-2024-2929", "react", versions("9.9.9"), "")
		bad.Data = []byte(strings.Replace(string(bad.Data), `"name":"react"`, `"name":"react","purl":"pkg:npm/%40zettle-bo/react"`, 1))
		d.imports("tree", bad)
		d.want("react", "", "lost-scope purl-disagrees")
	})
	t.Run("nothing but the name: popularity holds it", func(t *testing.T) {
		d := newDesk(t)
		d.popular("semver", "react")
		d.imports("tree", advisory("MAL-2024-2929", "react", versions("9.9.9"), finder("one")))
		d.want("react", "", catalog.GuardPopularOne)
	})
	t.Run("what was published before is taken back, and stays", func(t *testing.T) {
		d := newDesk(t)
		d.imports("tree", advisory("MAL-2024-2929", "react", versions("9.9.9"), ""))
		d.want("react", "MAL-2024-2929 in force 9.9.9", "")
		d.imports("tree", advisory("MAL-2024-2929", "react", versions("9.9.9"), withdrawnAt))
		d.want("react", "MAL-2024-2929 withdrawn 9.9.9", "")
	})
}

// stylus (July 2025) and supabase were put on lists with all versions.
func TestAllVersionsOfPopularPackages(t *testing.T) {
	d := newDesk(t)
	d.popular("stylus", "supabase", "@mistralai/mistralai")
	d.imports("tree",
		advisory("MAL-2025-1", "stylus", everyVersion, finder("one")),
		advisory("MAL-2025-2", "supabase", everyVersion, finder("one")),
		advisory("MAL-2025-3", "nobody-knows-me", everyVersion, finder("one")))
	d.want("stylus", "", catalog.GuardPopularAll)
	d.want("supabase", "", catalog.GuardPopularAll)
	d.want("nobody-knows-me", "MAL-2025-3 in force all", "")
	// A second origin that says the same is no proof of every version.
	d.imports("other", advisory("MAL-2025-1", "stylus", everyVersion, finder("two")))
	d.want("stylus", "", catalog.GuardPopularAll)
	// Exact versions that two origins agree on pass, beside what is held.
	d.list("worm", "npm", "name,versions,sources\nstylus,0.64.1,\"wiz, datadog\"\n")
	d.want("stylus", "MAL-0000-local-1 in force 0.64.1", catalog.GuardPopularAll)
}

// @mistralai/mistralai: exact versions beside one source's stale open range.
func TestOpenRangeGivesWay(t *testing.T) {
	d := newDesk(t)
	d.imports("stale", advisory("MAL-2026-7", "@mistralai/mistralai", everyVersion, finder("stale")))
	d.want("@mistralai/mistralai", "MAL-2026-7 in force all", "")
	d.list("worm", "npm", "name,versions,sources\n@mistralai/mistralai,2.2.3 2.2.4,\"wiz, datadog\"\n")
	d.want("@mistralai/mistralai", "MAL-2026-7 in force 2.2.3,2.2.4", "")
	var mark string
	_ = d.Store.View(t.Context(), func(r store.Reader) error {
		recs, err := r.RecordsByID(t.Context(), []string{"MAL-2026-7"})
		mark = string(recs[0].JSON)
		return err
	})
	if !strings.Contains(mark, `"disputed_range":["stale"]`) {
		t.Errorf("the record does not say whose range is disputed: %s", mark)
	}
}

// A record that was withdrawn, reported again by a list that copied the feed.
func TestWithdrawnRepeated(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "left", versions("1.0.0"), finder("amazon")))
	d.imports("tree", advisory("MAL-2026-1", "left", versions("1.0.0"), withdrawnAt+finder("amazon")))
	d.want("left", "MAL-2026-1 withdrawn 1.0.0", "")
	d.list("copy", "npm", "name,versions,sources\nleft,1.0.0,amazon\n")
	d.want("left", "MAL-2026-1 withdrawn 1.0.0", catalog.GuardCopy)
	// Somebody who found it independently restores it.
	d.list("research", "npm", "name,versions,sources\nleft,1.0.0,datadog\n")
	d.want("left", "MAL-2026-1 in force 1.0.0", catalog.GuardCopy)
}

func TestWithdrawnByOneOfTwo(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "left", versions("1.0.0"), finder("amazon")))
	d.list("copy", "npm", "name,versions,sources\nleft,1.0.0,amazon\nright,1.0.0,amazon\n")
	d.imports("tree", advisory("MAL-2026-1", "left", versions("1.0.0"), withdrawnAt+finder("amazon")))
	// What still stands only repeats the origin that took it back.
	d.want("left", "MAL-2026-1 disputed 1.0.0", "")
	d.list("research", "npm", "name,versions,sources\nleft,1.0.0,datadog\n")
	d.want("left", "MAL-2026-1 in force 1.0.0", "")
	// Its own source may take the withdrawal back, too.
	d.imports("tree", advisory("MAL-2026-1", "left", versions("1.0.0"), finder("amazon")))
	d.want("left", "MAL-2026-1 in force 1.0.0", "")
}

func TestHoldingVersion(t *testing.T) {
	d := newDesk(t)
	d.imports("tree",
		advisory("MAL-2026-1", "held-name", versions("0.0.1-security"), ""),
		advisory("MAL-2026-2", "other", versions("0.0.1-security", "1.0.0"), ""))
	d.want("held-name", "", catalog.GuardHolding)
	d.want("other", "MAL-2026-2 in force 1.0.0", "")
}

// A name that passed to a new owner: the record is narrowed to the old owner's versions, and stays so.
func TestNewOwner(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2024-5", "reborn", everyVersion, finder("amazon")))
	d.want("reborn", "MAL-2024-5 in force all", "")
	d.now = d.now.Add(time.Hour)
	if _, _, err := d.DecideRecord(t.Context(), "MAL-2024-5", catalog.Narrow, []string{"1.0.0", "1.0.1"}, "new owner since 2.0.0", false); err != nil {
		t.Fatal(err)
	}
	d.want("reborn", "MAL-2024-5 in force 1.0.0,1.0.1", "")
	// Another feed that still says every version does not widen it.
	d.imports("late", advisory("MAL-2024-5", "reborn", everyVersion, finder("late")))
	d.want("reborn", "MAL-2024-5 in force 1.0.0,1.0.1", "")
	// With the name in the user's own inventory, a new claim about every version waits.
	d.input(catalog.InputInventory, "app", "npm\tmine")
	d.imports("late", advisory("MAL-2024-5", "reborn", everyVersion, finder("late")), advisory("MAL-2024-6", "mine", everyVersion, ""))
	d.want("mine", "", catalog.GuardOwnAll)
}

func TestVersionNeverListed(t *testing.T) {
	d := newDesk(t)
	d.input(catalog.InputListing, "npm", "npm\tone\t1.0.0", "npm\tone\t1.0.1")
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0", "7.0.0"), ""), advisory("MAL-2026-2", "two", versions("7.0.0"), ""))
	d.want("one", "", catalog.GuardListing)
	d.want("two", "MAL-2026-2 in force 7.0.0", "")
}

func TestNameThatReadsLikeAnother(t *testing.T) {
	d := newDesk(t)
	d.popular("lodash", "JSONStream")
	d.imports("tree",
		advisory("MAL-2026-1", "Lodash", versions("1.0.0"), ""),
		advisory("MAL-2026-2", "jsonstream", versions("1.0.0"), ""),
		advisory("MAL-2026-3", "lo-dash", versions("1.0.0"), ""))
	d.want("Lodash", "", catalog.GuardLookalike)
	d.want("jsonstream", "", catalog.GuardLookalike)
	d.want("lo-dash", "MAL-2026-3 in force 1.0.0", "")
}

// Exact versions of a popular package: one origin waits for a second, which releases both at once.
func TestWormDoesNotWait(t *testing.T) {
	d := newDesk(t)
	d.popular("chalk")
	d.list("first", "npm", "name,versions,sources\nchalk,5.6.1,aikido\n")
	d.want("chalk", "", catalog.GuardPopularOne)
	// The same origin through another feed is no second one.
	d.list("repeat", "npm", "name,versions,sources\nchalk,5.6.1,Aikido\n")
	d.want("chalk", "", catalog.GuardPopularOne)
	d.list("second", "npm", "name,versions,sources\nchalk,5.6.1,wiz\n")
	d.want("chalk", "MAL-0000-local-1 in force 5.6.1", "")
	// A version that only one of them names waits on its own.
	d.list("third", "npm", "name,versions,sources\nchalk,5.6.2,wiz\n")
	d.want("chalk", "MAL-0000-local-1 in force 5.6.1", catalog.GuardPopularOne)
}

func TestIDReused(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""), advisory("MAL-2026-2", "two", versions("1.0.0"), ""))
	r := d.imports("fork", advisory("MAL-2026-1", "three", versions("1.0.0"), ""))
	if r.Effect.Added != 0 {
		t.Errorf("%d records added", r.Effect.Added)
	}
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
	d.want("three", "", catalog.GuardIDReused)
	// Released, the other package gets an id of its own.
	if _, _, err := d.Decide(t.Context(), catalog.Filter{Keys: []rapsheet.Key{key("three")}}, catalog.Accept, nil, "a fork's numbers"); err != nil {
		t.Fatal(err)
	}
	d.want("three", "MAL-0000-local-1 in force 1.0.0", "")
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
}

// The same source puts another package under its id (bad input A22).
func TestReferenceMoved(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""))
	d.imports("tree", advisory("MAL-2026-1", "other", versions("1.0.0"), ""))
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
	d.want("other", "", "id-reused reference-moved")
	if r := d.imports("tree", advisory("MAL-2026-1", "other", versions("1.0.0"), "")); !r.Same && r.NewClaims != 0 {
		t.Errorf("the same again is %d new claims", r.NewClaims)
	}
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
	if _, _, err := d.Decide(t.Context(), catalog.Filter{Keys: []rapsheet.Key{key("other")}}, catalog.Accept, nil, "upstream corrected it"); err != nil {
		t.Fatal(err)
	}
	d.want("other", "MAL-0000-local-1 in force 1.0.0", "")
	d.want("one", "MAL-2026-1 disputed 1.0.0", "")
}

// What was in force stays while its change is held, and the change comes with the decision.
func TestHeldChange(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), finder("amazon")))
	d.popular("one")
	d.imports("tree", advisory("MAL-2026-1", "one", everyVersion, finder("amazon")))
	d.want("one", "MAL-2026-1 in force 1.0.0", catalog.GuardPopularAll)
	t.Run("the source takes the change back", func(t *testing.T) {
		d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), finder("amazon")))
		d.want("one", "MAL-2026-1 in force 1.0.0", "")
		d.imports("tree", advisory("MAL-2026-1", "one", everyVersion, finder("amazon")))
		d.want("one", "MAL-2026-1 in force 1.0.0", catalog.GuardPopularAll)
	})
	t.Run("rejected, and not asked again", func(t *testing.T) {
		if _, _, err := d.Decide(t.Context(), catalog.Filter{Guard: catalog.GuardPopularAll}, catalog.Reject, nil, "no"); err != nil {
			t.Fatal(err)
		}
		d.want("one", "MAL-2026-1 in force 1.0.0", "")
		d.imports("tree", advisory("MAL-2026-1", "one", everyVersion, finder("amazon")), advisory("MAL-2026-2", "two", versions("1.0.0"), ""))
		d.want("one", "MAL-2026-1 in force 1.0.0", "")
	})
	t.Run("something else is asked again, and accepted", func(t *testing.T) {
		d.imports("tree", advisory("MAL-2026-1", "one", everyVersion, finder("amazon")+`"summary":"new",`), advisory("MAL-2026-2", "two", versions("1.0.0"), ""))
		d.want("one", "MAL-2026-1 in force 1.0.0", catalog.GuardPopularAll)
		if _, _, err := d.Decide(t.Context(), catalog.Filter{Guard: catalog.GuardPopularAll}, catalog.Accept, nil, "yes"); err != nil {
			t.Fatal(err)
		}
		d.want("one", "MAL-2026-1 in force all", "")
	})
	t.Run("the decision stays when the source is imported again", func(t *testing.T) {
		d.imports("tree", advisory("MAL-2026-1", "one", everyVersion, finder("amazon")+`"summary":"new",`), advisory("MAL-2026-2", "two", versions("1.0.1"), ""))
		d.want("one", "MAL-2026-1 in force all", "")
	})
}

func TestNarrowedWhenHeld(t *testing.T) {
	d := newDesk(t)
	d.popular("stylus")
	d.imports("tree", advisory("MAL-2026-1", "stylus", everyVersion, finder("amazon")))
	if _, _, err := d.Decide(t.Context(), catalog.Filter{Keys: []rapsheet.Key{key("stylus")}}, catalog.Narrow, []string{"0.64.1"}, "only this one"); err != nil {
		t.Fatal(err)
	}
	d.want("stylus", "MAL-2026-1 in force 0.64.1", "")
	if _, _, err := d.Decide(t.Context(), catalog.Filter{}, catalog.Accept, nil, "again"); !errors.Is(err, catalog.ErrNothingHeld) {
		t.Errorf("deciding about nothing gives %v", err)
	}
}

// Withdrawal goes by way of dispute, and can be undone.
func TestWithdrawDisputeRestore(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), finder("amazon")), advisory("MAL-2026-2", "two", versions("1.0.0"), finder("amazon", "wiz")))
	decide := func(id, verdict string, now bool) error {
		d.now = d.now.Add(time.Hour)
		_, _, err := d.DecideRecord(t.Context(), id, verdict, nil, "because", now)
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(decide("MAL-2026-1", catalog.Withdraw, false))
	d.want("one", "MAL-2026-1 disputed 1.0.0", "")
	must(decide("MAL-2026-1", catalog.Withdraw, false))
	d.want("one", "MAL-2026-1 withdrawn 1.0.0", "")
	// A claim that comes after the decision waits for another.
	d.list("late", "npm", "name,versions,sources\none,1.0.5,wiz\n")
	d.want("one", "MAL-2026-1 withdrawn 1.0.0", catalog.GuardDecided)
	must(decide("MAL-2026-1", catalog.Restore, false))
	d.want("one", "MAL-2026-1 in force 1.0.0,1.0.5", "")
	var stands *catalog.StandsError
	if err := decide("MAL-2026-2", catalog.Withdraw, false); !errors.As(err, &stands) {
		t.Errorf("a record that two origins stand by: %v", err)
	}
	must(decide("MAL-2026-2", catalog.Withdraw, true))
	d.want("two", "MAL-2026-2 withdrawn 1.0.0", "")
	if err := decide("MAL-2026-99", catalog.Withdraw, true); !errors.Is(err, catalog.ErrNoRecord) {
		t.Errorf("an unknown id: %v", err)
	}
}

// Own ids are given once, stay, and give way to an id that upstream assigns.
func TestOwnIDs(t *testing.T) {
	d := newDesk(t)
	d.opt.Org = "acme"
	const csv = "name,versions\nalpha,1.0.0\nbeta,1.0.0\n"
	d.list("ours", "npm", csv)
	d.want("alpha", "MAL-0000-acme-1 in force 1.0.0", "")
	d.want("beta", "MAL-0000-acme-2 in force 1.0.0", "")
	if r := d.list("ours", "npm", csv); !r.Same || r.Effect.Total() != 0 {
		t.Errorf("the same list again: %+v", r.Effect)
	}
	d.list("ours", "npm", "name,versions\nbeta,1.0.0\nalpha,1.0.1\ngamma,1.0.0\n")
	d.want("alpha", "MAL-0000-acme-1 in force 1.0.0,1.0.1", "")
	d.want("gamma", "MAL-0000-acme-3 in force 1.0.0", "")
	d.imports("tree", advisory("MAL-2026-77", "alpha", versions("1.0.0"), ""))
	d.want("alpha", "MAL-0000-acme-1 withdrawn 1.0.0,1.0.1; MAL-2026-77 in force 1.0.0,1.0.1", "")
	_ = d.Store.View(t.Context(), func(r store.Reader) error {
		recs, _ := r.RecordsByID(t.Context(), []string{"MAL-0000-acme-1", "MAL-2026-77"})
		for i, want := range []string{`"aliases":["MAL-2026-77"]`, `"aliases":["MAL-0000-acme-1"]`} {
			if !strings.Contains(string(recs[i].JSON), want) {
				t.Errorf("%s lacks %s: %s", recs[i].ID, want, recs[i].JSON)
			}
		}
		return nil
	})
}

// published is fixed, modified never goes back, and a change moves it (promise 4).
func TestTimes(t *testing.T) {
	d := newDesk(t)
	times := func() (published, modified string) {
		_ = d.Store.View(t.Context(), func(r store.Reader) error {
			recs, err := r.RecordsByID(t.Context(), []string{"MAL-2026-1"})
			doc, _, _ := osv.Parse(recs[0].JSON)
			published, modified = string(doc.Published), string(doc.Modified)
			return err
		})
		return published, modified
	}
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""))
	p1, m1 := times()
	if p1 != "2026-01-01T00:00:00Z" || m1 != "2026-11-22T13:00:00Z" {
		t.Errorf("published %s, modified %s", p1, m1)
	}
	earlier := advisory("MAL-2026-1", "one", versions("1.0.0", "1.0.1"), "")
	earlier.Data = []byte(strings.Replace(string(earlier.Data), "2026-01-01", "2025-06-01", 1))
	d.imports("tree", earlier)
	p2, m2 := times()
	if p2 != p1 || m2 != "2026-11-22T14:00:00Z" {
		t.Errorf("published %s, modified %s", p2, m2)
	}
	d.now = d.now.Add(-48 * time.Hour) // the clock was wrong
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""))
	if _, m3 := times(); m3 <= m2 {
		t.Errorf("modified went from %s to %s", m2, m3)
	}
}

func TestSourceThatLosesMuch(t *testing.T) {
	d := newDesk(t)
	var docs []source.Document
	for i := range 100 {
		docs = append(docs, advisory(fmt.Sprintf("MAL-2026-%d", i+1), fmt.Sprintf("p%d", i), versions("1.0.0"), ""))
	}
	d.imports("tree", docs...)
	var loss *catalog.LossError
	_, err := d.Import(t.Context(), &feed{name: "tree", docs: docs[:50]}, catalog.ImportOptions{})
	if !errors.As(err, &loss) || loss.Lost != 50 {
		t.Fatalf("half of the source vanished: %v", err)
	}
	var back []source.Document
	for i := range docs {
		back = append(back, advisory(fmt.Sprintf("MAL-2026-%d", i+1), fmt.Sprintf("p%d", i), versions("1.0.0"), withdrawnAt))
	}
	if _, err = d.Import(t.Context(), &feed{name: "tree", docs: back}, catalog.ImportOptions{}); !errors.As(err, &loss) {
		t.Fatalf("the whole source withdrawn: %v", err)
	}
	if _, err = d.Import(t.Context(), &feed{name: "tree"}, catalog.ImportOptions{}); !errors.Is(err, source.ErrNoRecords) {
		t.Fatalf("an empty source: %v", err)
	}
	d.want("p7", "MAL-2026-8 in force 1.0.0", "")
	// Few may go: what is gone is disputed, not deleted, and comes back.
	r := d.imports("tree", docs[:95]...)
	if r.Gone != 5 || r.Effect.Disputed != 5 {
		t.Errorf("gone %d, disputed %d", r.Gone, r.Effect.Disputed)
	}
	d.want("p97", "MAL-2026-98 disputed 1.0.0", "")
	d.imports("tree", docs...)
	d.want("p97", "MAL-2026-98 in force 1.0.0", "")
}

// A statement that would make a record which no release may have is held, new or changed; the rest goes on.
func TestUnpublishable(t *testing.T) {
	d := newDesk(t)
	d.Check = func(document []byte) []string {
		if strings.Contains(string(document), "6.6.6") {
			return []string{"it has a 6.6.6"}
		}
		return nil
	}
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""), advisory("MAL-2026-2", "two", versions("6.6.6"), ""))
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
	d.want("two", "", catalog.GuardUnfit)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0", "6.6.6"), ""), advisory("MAL-2026-2", "two", versions("6.6.6"), ""))
	d.want("one", "MAL-2026-1 in force 1.0.0", catalog.GuardUnfit)
	// Accepting does not help; saying something else does.
	if _, _, err := d.Decide(t.Context(), catalog.Filter{Keys: []rapsheet.Key{key("one")}}, catalog.Accept, nil, "publish it"); err != nil {
		t.Fatal(err)
	}
	d.want("one", "MAL-2026-1 in force 1.0.0", catalog.GuardUnfit)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0", "1.0.1"), ""), advisory("MAL-2026-2", "two", versions("1.0.0"), ""))
	d.want("one", "MAL-2026-1 in force 1.0.0,1.0.1", "")
	d.want("two", "MAL-2026-2 in force 1.0.0", "")
}

// One bad document is kept aside and the rest goes on; what it said before stays in force.
func TestBadDocumentAmongGood(t *testing.T) {
	d := newDesk(t)
	one, two := advisory("MAL-2026-1", "one", versions("1.0.0"), ""), advisory("MAL-2026-2", "two", versions("1.0.0"), "")
	d.imports("tree", one, two)
	broken := one
	broken.Data = []byte("<html>log in</html>")
	r := d.imports("tree", broken, advisory("MAL-2026-2", "two", versions("1.0.1"), ""))
	if len(r.Quarantined) != 1 || r.Kept != 1 {
		t.Errorf("quarantined %d, kept %d", len(r.Quarantined), r.Kept)
	}
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
	d.want("two", "MAL-2026-2 in force 1.0.1", "")
	t.Run("A20 the same id twice with other content", func(t *testing.T) {
		twice := advisory("MAL-2026-3", "three", versions("1.0.0"), "")
		again := advisory("MAL-2026-3", "three", versions("2.0.0"), "")
		again.Name = "osv/malicious/npm/three/copy/MAL-2026-3.json"
		r := d.imports("tree", one, two, twice, again)
		if len(r.Quarantined) != 2 {
			t.Errorf("quarantined %d, want both", len(r.Quarantined))
		}
		d.want("three", "", "")
	})
}

func TestSourceThatFails(t *testing.T) {
	d := newDesk(t)
	d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""))
	broken := &feed{name: "tree", docs: []source.Document{advisory("MAL-2026-2", "two", versions("1.0.0"), "")}, err: source.ErrDamaged}
	if _, err := d.Import(t.Context(), broken, catalog.ImportOptions{}); !errors.Is(err, source.ErrDamaged) {
		t.Fatalf("half an archive: %v", err)
	}
	d.want("one", "MAL-2026-1 in force 1.0.0", "")
	d.want("two", "", "")
}

func TestDryRunKeepsNothing(t *testing.T) {
	d := newDesk(t)
	r, err := d.Import(t.Context(), &feed{name: "tree", docs: []source.Document{advisory("MAL-2026-1", "one", versions("1.0.0"), "")}}, catalog.ImportOptions{DryRun: true, Campaign: "c"})
	if err != nil || r.Effect.Added != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	d.want("one", "", "")
	st, err := d.Status(t.Context(), 10)
	if err != nil || len(st.Sources)+len(st.Campaigns)+len(st.Audit) > 0 {
		t.Errorf("a dry run left %+v, %v", st, err)
	}
}

func TestCampaign(t *testing.T) {
	d := newDesk(t)
	l, err := list.New([]byte("name,versions\na1,1.0.0\na2,1.0.0\n"), list.Options{Name: "worm", Ecosystem: "npm"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Import(t.Context(), l, catalog.ImportOptions{Campaign: "shai-hulud-2"}); err != nil {
		t.Fatal(err)
	}
	st, err := d.Status(t.Context(), 1)
	if err != nil || len(st.Campaigns) != 1 || st.Campaigns[0].Name != "shai-hulud-2" || st.Campaigns[0].Members != 2 {
		t.Fatalf("%+v, %v", st.Campaigns, err)
	}
	if _, err := d.EditCampaign(t.Context(), store.Campaign{Name: "shai-hulud-2", Summary: "a worm", References: []string{"https://example.org"}}); err != nil {
		t.Fatal(err)
	}
	if c, err := d.EditCampaign(t.Context(), store.Campaign{Name: "shai-hulud-2", Indicators: []string{"bad.example"}}); err != nil || c.Summary != "a worm" || len(c.References) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}
