package catalog_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/catalog"
)

// The digest of an archive that another package has, under a name of no matter: whoever has that archive would be accused. What
// is claimed twice waits, whoever was first.
func TestAnothersArchive(t *testing.T) {
	a, b := "sha256:"+strings.Repeat("2a", 32), "sha256:"+strings.Repeat("2b", 32)
	table := func(rows ...string) string { return "name,version,sha256\n" + strings.Join(rows, "\n") + "\n" }
	row := func(name, version, digest string) string {
		return name + "," + version + "," + strings.TrimPrefix(digest, "sha256:")
	}
	withEvidence := func(id, name, digest string) string {
		return `{"id":"` + id + `","modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"` + name +
			`"},"versions":["1.0.0"],"database_specific":{"digests":["` + digest + `"]}}]}`
	}
	for _, tt := range []struct {
		name string
		have []string // lines of an inventory
		// in and then are lists, imported one after the other from two sources.
		in, then string
		want     map[string]string // the packages' states and guards
	}{
		{"of its own", nil, table(row("evil", "1.0.0", a)), table(row("worse", "1.0.0", b)),
			map[string]string{"evil": "in force 1.0.0", "worse": "in force 1.0.0"}},
		{"that is on record for another", nil, table(row("evil", "1.0.0", a)), table(row("other", "1.0.0", a), row("third", "1.0.0", b)),
			map[string]string{"evil": "in force 1.0.0", "other": catalog.GuardArchive, "third": "in force 1.0.0"}},
		{"said of the same package by a second source", nil, table(row("evil", "1.0.0", a)), table(row("evil", "1.0.1", a)),
			map[string]string{"evil": "in force 1.0.0,1.0.1"}},
		{"of two versions", nil, table(row("evil", "1.0.0", a), row("evil", "1.0.1", a)), "",
			map[string]string{"evil": "in force 1.0.0,1.0.1"}},
		{"of two packages in one import", nil, table(row("evil", "1.0.0", a), row("worse", "1.0.0", a), row("third", "1.0.0", b)), "",
			map[string]string{"evil": catalog.GuardArchive, "worse": catalog.GuardArchive, "third": "in force 1.0.0"}},
		{"of two packages in one import, and the next names one without it", nil, table(row("evil", "1.0.0", a), row("worse", "1.0.0", a)), "name,version\nevil,2.0.0\n",
			map[string]string{"evil": "in force 2.0.0 " + catalog.GuardArchive, "worse": catalog.GuardArchive}},
		{"of a package that the user has", []string{"npm\treact\t" + a, "npm\treact\t" + b, "npm\tleft-pad"}, table(row("evil", "1.0.0", a)), "",
			map[string]string{"evil": catalog.GuardArchive, "react": ""}},
		{"of the package itself, which the user has", []string{"npm\tevil\t" + a}, table(row("evil", "1.0.0", a)), "",
			map[string]string{"evil": "in force 1.0.0"}},
		{"that the user has under both names", []string{"npm\tevil\t" + a, "npm\trenamed\t" + a}, table(row("evil", "1.0.0", a)), "",
			map[string]string{"evil": "in force 1.0.0"}},
		{"of the same name elsewhere", []string{"PyPI\tevil\t" + a}, table(row("evil", "1.0.0", a)), "",
			map[string]string{"evil": catalog.GuardArchive}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			if tt.have != nil {
				d.input(catalog.InputInventory, "app", tt.have...)
			}
			d.list("in", "npm", tt.in)
			if tt.then != "" {
				d.list("then", "npm", tt.then)
			}
			for name, want := range tt.want {
				got := strings.TrimSpace(d.state(name) + " " + d.guards(name))
				if i := strings.Index(got, "in force"); i > 0 {
					got = got[i:]
				}
				if got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
	accept := func(t *testing.T, d *desk, name string) {
		t.Helper()
		if _, _, err := d.Decide(t.Context(), catalog.Filter{Keys: []rapsheet.Key{key(name)}, Guard: catalog.GuardArchive}, catalog.Accept, nil, "the same archive"); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("until it is accepted", func(t *testing.T) {
		d := newDesk(t)
		d.list("in", "npm", table(row("evil", "1.0.0", a)))
		d.list("then", "npm", table(row("other", "1.0.0", a)))
		d.want("other", "", catalog.GuardArchive)
		accept(t, d, "other")
		d.want("other", "MAL-0000-local-2 in force 1.0.0", "")
		// What the package has on record is not asked about again.
		d.list("third", "npm", table(row("other", "1.0.1", a)))
		d.want("other", "MAL-0000-local-2 in force 1.0.0,1.0.1", "")
	})
	t.Run("one that is no longer in force is nobody's", func(t *testing.T) {
		d := newDesk(t)
		wrong := advisory("MAL-2026-1", "evil", versions("1.0.0"), "")
		wrong.Data = []byte(withEvidence("MAL-2026-1", "evil", a))
		d.imports("tree", wrong)
		back := wrong
		back.Data = []byte(strings.Replace(string(wrong.Data), `"affected"`, withdrawnAt+`"affected"`, 1))
		d.imports("tree", back)
		d.want("evil", "MAL-2026-1 withdrawn 1.0.0", "")
		d.list("in", "npm", table(row("right", "1.0.0", a)))
		d.want("right", "MAL-0000-local-1 in force 1.0.0", "")
	})
	t.Run("what stood before stays while a statement with it waits", func(t *testing.T) {
		d := newDesk(t)
		d.list("in", "npm", table(row("evil", "1.0.0", a)))
		d.imports("tree", advisory("MAL-2026-1", "other", versions("1.0.0"), ""))
		changed := advisory("MAL-2026-1", "other", versions("1.0.0"), "")
		changed.Data = []byte(withEvidence("MAL-2026-1", "other", a))
		d.imports("tree", changed)
		d.want("other", "MAL-2026-1 in force 1.0.0", catalog.GuardArchive)
	})
}
