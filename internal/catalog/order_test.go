package catalog_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/sqlite"
	"github.com/rapsheet/rapsheet/osv"
)

// drawFeeds makes a few sources with a few documents each, from small pools, so that they speak of the same packages
// under the same and other ids.
func drawFeeds(t *rapid.T) []*feed {
	feeds := make([]*feed, rapid.IntRange(2, 3).Draw(t, "feeds"))
	// An id is about one package wherever it stands: another package's would wait for a decision.
	packages := map[string]string{
		"MAL-2026-1": "alpha", "MAL-2026-2": "alpha", "GHSA-aaaa-bbbb-cccc": "alpha",
		"MAL-2026-3": "beta", "MAL-0000-draft-1": "beta", "MAL-0000-draft-2": "gamma", "GHSA-dddd-eeee-ffff": "gamma",
	}
	ids := slices.Sorted(maps.Keys(packages))
	for i := range feeds {
		feeds[i] = &feed{name: fmt.Sprintf("feed%d", i)}
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, len(ids), rapid.ID[string]).Draw(t, fmt.Sprint("ids ", i))
		for _, id := range some {
			label := fmt.Sprint(i, id)
			extra := finder(rapid.SampledFrom([]string{"amazon", "datadog", "wiz"}).Draw(t, label+" finder"))
			switch rapid.SampledFrom([]string{"", "", "alias", "cwe"}).Draw(t, label+" more") {
			case "alias":
				alias := rapid.SampledFrom(ids).Draw(t, label+" alias")
				if alias != id && packages[alias] == packages[id] {
					extra += fmt.Sprintf(`"aliases":[%q],`, alias)
				}
			case "cwe":
				extra += `"summary":"it steals",`
			}
			affected := everyVersion
			if rapid.Bool().Draw(t, label+" exact") {
				affected = versions(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1.0.0", "1.0.1", "v1.0.0", "2.0.0-beta"}), 1, 3, rapid.ID[string]).Draw(t, label+" versions")...)
			}
			// What GitHub publishes is about malware only when it says so.
			extra += `"database_specific":{"cwe_ids":["CWE-506"]},`
			feeds[i].docs = append(feeds[i].docs, advisory(id, packages[id], affected, extra))
		}
	}
	return feeds
}

// said is what the records of a store say. Ids that no database assigned (own ones, drafts) depend on the order of
// imports, as they must: a record keeps the first that it gets, own ones are numbered as packages first come, and one
// that was given is kept, withdrawn, when another source comes with an id of a database.
type said struct {
	// content gives for each package the states, versions and aliases of its records, without superseded ones that nobody assigned.
	content map[rapsheet.Key][]string
	// own gives the package of every id that no database assigned.
	own map[string]rapsheet.Key
	raw map[string]string
}

func whatIsSaid(t *rapid.T, s store.Store) said {
	out := said{map[rapsheet.Key][]string{}, map[string]rapsheet.Key{}, map[string]string{}}
	err := s.View(context.Background(), func(r store.Reader) error {
		for rec, err := range r.Records(context.Background()) {
			if err != nil {
				return err
			}
			doc, _, err := osv.Parse(rec.JSON)
			if err != nil {
				return err
			}
			if len(doc.Affected) != 1 {
				return fmt.Errorf("%s is about %d packages", rec.ID, len(doc.Affected))
			}
			id := rec.ID
			if strings.HasPrefix(id, "MAL-0000-") {
				if at, again := out.own[id]; again {
					return fmt.Errorf("%s is given to %v and %v", id, at, rec.Key)
				}
				out.own[id], id = rec.Key, "unassigned"
			}
			out.raw[rec.ID] = string(rec.JSON)
			aliases := slices.DeleteFunc(slices.Clone(doc.Aliases), func(a string) bool { return strings.HasPrefix(a, "MAL-0000-") })
			if id == "unassigned" && rec.State == store.Withdrawn {
				continue
			}
			out.content[rec.Key] = append(out.content[rec.Key],
				fmt.Sprint(id, " ", rec.State, " ", doc.Affected[0].Versions, " ", len(doc.Affected[0].Ranges), " ranges, aliases ", aliases))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.content {
		slices.Sort(c)
	}
	return out
}

// Whatever the order in which sources come, the records say the same in the end; importing again changes nothing; an own
// id stays its package's and is not given again.
func TestImportIsOrderFreeAndIdempotent(t *testing.T) {
	// A check is a dozen imports, each synced to the disk.
	checks := "25"
	if testing.Short() {
		checks = "5"
	}
	set := flag.Lookup("rapid.checks")
	defer set.Value.Set(set.Value.String())
	if set.Value.String() == set.DefValue {
		if err := set.Value.Set(checks); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		feeds := drawFeeds(t)
		var first said
		for round := range 2 {
			order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), uint64(round))).Perm(len(feeds))
			path, err := os.MkdirTemp(dir, "")
			if err != nil {
				t.Fatal(err)
			}
			s, err := sqlite.Open(context.Background(), path+"/store.db", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
			c := &catalog.Catalog{Store: s, Actor: "anna", Now: func() time.Time { at = at.Add(time.Minute); return at }}
			own := map[string]rapsheet.Key{}
			take := func(i int) *catalog.ImportReport {
				r, err := c.Import(context.Background(), feeds[i], catalog.ImportOptions{})
				if err != nil {
					t.Fatal(err)
				}
				now := whatIsSaid(t, s)
				for id, key := range own {
					if now.own[id] != key {
						t.Fatalf("%s was %v's and is %v's", id, key, now.own[id])
					}
				}
				own = now.own
				return r
			}
			for _, i := range order {
				take(i)
			}
			done := whatIsSaid(t, s)
			// The same again, and the same in documents that are written otherwise.
			for _, i := range order[round:] {
				if r := take(i); !r.Same {
					t.Fatalf("the second import of %s is not the same", feeds[i].name)
				}
				spaced := &feed{name: feeds[i].name}
				for _, d := range feeds[i].docs {
					spaced.docs = append(spaced.docs, source.Document{Name: d.Name, Data: append(bytes.Clone(d.Data), ' ', '\n')})
				}
				slices.Reverse(spaced.docs)
				r, err := c.Import(context.Background(), spaced, catalog.ImportOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if r.NewClaims != 0 || r.Effect.Total() != 0 {
					t.Fatalf("the same in other bytes is %d new claims, %+v", r.NewClaims, r.Effect)
				}
			}
			if again := whatIsSaid(t, s); !maps.Equal(again.raw, done.raw) {
				t.Fatalf("importing again changed the records:\n%v\n%v", done.raw, again.raw)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				first = done
				continue
			}
			if !maps.EqualFunc(first.content, done.content, slices.Equal) {
				t.Fatalf("another order of sources gives\n%v\ninstead of\n%v", done.content, first.content)
			}
		}
	})
}
