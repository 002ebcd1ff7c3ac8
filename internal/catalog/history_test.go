package catalog_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/source/osvfeed"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// shared finds the real data beside the repository.
func shared(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "..", "shared", "data"}, parts...)...)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/data is not here: tests on real data are left out")
	}
	return path
}

// upstreamState is what a tree says, read without this project's claims: by id, the versions it lists, whether
// every version is meant, and whether it is withdrawn.
type upstreamState struct {
	name, ecosystem string
	versions        []string
	open, bounded   bool
	withdrawn       bool
	origins         int
}

func readTree(t *testing.T, path string) map[string]upstreamState {
	t.Helper()
	out := map[string]upstreamState{}
	for d, err := range source.Documents(t.Context(), path, source.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			ID        string
			Withdrawn string
			Affected  []struct {
				Package  struct{ Ecosystem, Name string }
				Versions []string
				Ranges   []struct{ Events []map[string]string }
			}
			DB struct {
				Origins []json.RawMessage `json:"malicious-packages-origins"`
			} `json:"database_specific"`
		}
		if err := json.Unmarshal(d.Data, &r); err != nil {
			t.Fatal(err)
		}
		if r.ID == "" {
			base := filepath.Base(d.Name)
			r.ID = base[:len(base)-len(".json")]
		}
		a := r.Affected[0]
		s := upstreamState{name: a.Package.Name, ecosystem: a.Package.Ecosystem, versions: a.Versions, withdrawn: r.Withdrawn != "", origins: len(r.DB.Origins)}
		for _, g := range a.Ranges {
			if len(g.Events) == 1 && g.Events[0]["introduced"] == "0" {
				s.open = true
			} else {
				s.bounded = true
			}
		}
		out[r.ID] = s
	}
	return out
}

// Real history: one state of a public tree, and three months later the next over it. What is compared is read from
// the second tree by encoding/json alone.
func TestRealHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("56,000 documents")
	}
	first := shared(t, "osv", "malicious-packages-2024-12-31.tar.zst")
	second := shared(t, "osv", "malicious-packages-2025-03-31.tar.zst")
	d := newDesk(t)
	before := map[string]store.Record{}
	for _, path := range []string{first, second} {
		r, err := d.Import(t.Context(), osvfeed.Tree(path, "ossf"), catalog.ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Quarantined) > 0 || r.Effect.HeldClaims > 0 {
			t.Fatalf("%d quarantined (%v), held %v", len(r.Quarantined), r.Quarantined, r.Effect.Held)
		}
		t.Logf("%s: %d documents, %d claims, %d added, %d changed, %d withdrawn, %d disputed", filepath.Base(path), r.Documents, r.Claims, r.Effect.Added, r.Effect.Changed, r.Effect.Withdrawn, r.Effect.Disputed)
		d.now = d.now.AddDate(0, 3, 0)
		after := map[string]store.Record{}
		_ = d.Store.View(t.Context(), func(r store.Reader) error {
			for rec, err := range r.Records(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				after[rec.ID] = rec
			}
			return nil
		})
		for id, old := range before {
			now, there := after[id]
			if !there || !now.Published.Equal(old.Published) || now.Modified.Before(old.Modified) {
				t.Errorf("%s: there %v, published %v then %v, modified %v then %v", id, there, old.Published, now.Published, old.Modified, now.Modified)
			}
		}
		before = after
	}
	want := readTree(t, second)
	classes := map[string]int{}
	byPackage := map[string][]string{}
	for id, w := range want {
		e, _ := ecosystem.Find(w.ecosystem)
		byPackage[w.ecosystem+"/"+e.Canonical(w.name)] = append(byPackage[w.ecosystem+"/"+e.Canonical(w.name)], id)
	}
	for id, w := range want {
		e, _ := ecosystem.Find(w.ecosystem)
		together := byPackage[w.ecosystem+"/"+e.Canonical(w.name)]
		rec, there := before[id]
		if !there {
			// A draft that never was a record of its own is found under the assigned id, as its alias.
			if !slices.ContainsFunc(together, func(other string) bool { return slices.Contains(aliases(t, before[other]), id) }) {
				t.Errorf("%s of upstream is neither a record nor an alias", id)
			}
			classes["a draft beside an assigned id: its alias"]++
			continue
		}
		doc, _, err := osv.Parse(rec.JSON)
		if err != nil {
			t.Fatal(err)
		}
		a := doc.Affected[0]
		switch {
		case len(together) > 1 && rec.State == store.Withdrawn && !w.withdrawn:
			classes["a draft beside an assigned id is superseded by it"]++
			continue
		case len(together) > 1:
			classes["an assigned id that took in a draft"]++
			continue
		case (rec.State == store.Withdrawn) != w.withdrawn:
			t.Errorf("%s is in state %d, upstream withdrawn %v", id, rec.State, w.withdrawn)
		}
		all := len(a.Versions) == 0 && len(a.Ranges) == 1 && len(a.Ranges[0].Events) == 1 && a.Ranges[0].Events[0].Introduced == "0"
		switch {
		case w.open && !w.bounded && len(w.versions) == 0:
			classes["every version"]++
			if !all {
				t.Errorf("%s: upstream means every version, the record %v", id, a.Versions)
			}
		case w.open:
			classes["versions beside another origin's open range: the versions"]++
			if all {
				t.Errorf("%s: the open range swallowed the versions", id)
			}
		default:
			classes["versions or bounded ranges"]++
			if all {
				t.Errorf("%s covers every version and upstream does not", id)
			}
		}
		for _, v := range w.versions {
			if !all && !e.HoldingVersion(v) && !slices.ContainsFunc(a.Versions, func(x string) bool { return x == v || e.EqualVersion(x, v) }) {
				t.Errorf("%s lacks version %s", id, v)
			}
		}
		for _, v := range a.Versions {
			if !slices.ContainsFunc(w.versions, func(x string) bool { return x == v || e.EqualVersion(x, v) }) {
				t.Errorf("%s has version %s, upstream has not", id, v)
			}
		}
	}
	t.Logf("%d records, %v", len(before), classes)
}

func aliases(t *testing.T, rec store.Record) []string {
	t.Helper()
	if rec.JSON == nil {
		return nil
	}
	doc, _, err := osv.Parse(rec.JSON)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Aliases
}
