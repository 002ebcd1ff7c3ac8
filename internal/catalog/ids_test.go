package catalog_test

import (
	"fmt"
	"testing"

	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/source"
)

// An id under which a source publishes the package is a record whichever source comes first: the same in any order, and
// never one id less because its source came late.
func TestEveryPublishedIDIsARecord(t *testing.T) {
	alias := func(id string) string { return `"aliases":["` + id + `"],` }
	for _, tt := range []struct {
		name string
		docs []source.Document // each is a source's
		want string
	}{
		{"the second id names the first", []source.Document{
			advisory("MAL-2026-1", "evil", versions("1.0.0"), ""),
			advisory("MAL-2026-2", "evil", versions("1.0.1"), alias("MAL-2026-1")),
		}, "MAL-2026-1 in force 1.0.0,1.0.1; MAL-2026-2 withdrawn 1.0.1"},
		{"the first id names the second", []source.Document{
			advisory("MAL-2026-1", "evil", versions("1.0.0"), alias("MAL-2026-2")),
			advisory("MAL-2026-2", "evil", versions("1.0.1"), ""),
		}, "MAL-2026-1 in force 1.0.0,1.0.1; MAL-2026-2 withdrawn 1.0.1"},
		{"a third source ties them", []source.Document{
			advisory("MAL-2026-1", "evil", versions("1.0.0"), ""),
			advisory("MAL-2026-2", "evil", versions("1.0.1"), ""),
			advisory("MAL-2026-3", "evil", versions("1.0.2"), `"aliases":["MAL-2026-1","MAL-2026-2"],`),
		}, "MAL-2026-1 in force 1.0.0,1.0.1,1.0.2; MAL-2026-2 withdrawn 1.0.1; MAL-2026-3 withdrawn 1.0.2"},
		{"an alias that nobody publishes is no record", []source.Document{
			advisory("MAL-2026-1", "evil", versions("1.0.0"), alias("MAL-2026-2")),
			advisory("MAL-2026-3", "evil", versions("1.0.1"), ""),
		}, "MAL-2026-1 in force 1.0.0; MAL-2026-3 in force 1.0.1"},
		{"one that was withdrawn under the other id", []source.Document{
			advisory("MAL-2026-1", "evil", versions("1.0.0"), finder("one")),
			advisory("MAL-2026-2", "evil", versions("1.0.1"), alias("MAL-2026-1")+withdrawnAt+finder("two")),
		}, "MAL-2026-1 in force 1.0.0; MAL-2026-2 withdrawn 1.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for first := range tt.docs {
				d := newDesk(t)
				for i := range tt.docs {
					n := (first + i) % len(tt.docs)
					d.imports(fmt.Sprintf("feed%d", n), tt.docs[n])
				}
				d.want("evil", tt.want, "")
			}
		})
	}
}

// An id is one package's, whoever gave it: neither another package's claim nor the numbering of own ids takes it away.
func TestIDsAreNotTakenAway(t *testing.T) {
	accept := func(t *testing.T, d *desk, names ...string) {
		t.Helper()
		f := catalog.Filter{}
		for _, n := range names {
			f.Keys = append(f.Keys, key(n))
		}
		if _, _, err := d.Decide(t.Context(), f, catalog.Accept, nil, "both"); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a draft's id by another package's draft", func(t *testing.T) {
		d := newDesk(t)
		d.imports("tree", advisory("MAL-0000-draft-1", "one", versions("1.0.0"), ""))
		d.imports("fork", advisory("MAL-0000-draft-1", "two", versions("1.0.0"), ""))
		d.want("one", "MAL-0000-draft-1 in force 1.0.0", "")
		d.want("two", "MAL-0000-local-1 in force 1.0.0", "")
	})
	t.Run("an own id that a source brought, by the numbering", func(t *testing.T) {
		d := newDesk(t)
		d.imports("copy", advisory("MAL-0000-local-1", "one", versions("1.0.0"), ""), advisory("MAL-0000-local-2", "two", versions("1.0.0"), ""))
		d.list("list", "npm", "name,versions\nthree,1.0.0\nfour,1.0.0\n")
		d.want("one", "MAL-0000-local-1 in force 1.0.0", "")
		d.want("two", "MAL-0000-local-2 in force 1.0.0", "")
		d.want("four", "MAL-0000-local-3 in force 1.0.0", "")
		d.want("three", "MAL-0000-local-4 in force 1.0.0", "")
	})
	t.Run("an own id that was given, by a source", func(t *testing.T) {
		d := newDesk(t)
		d.list("list", "npm", "name,versions\none,1.0.0\n")
		d.imports("copy", advisory("MAL-0000-local-1", "two", versions("1.0.0"), ""))
		d.want("one", "MAL-0000-local-1 in force 1.0.0", "")
		d.want("two", "MAL-0000-local-2 in force 1.0.0", "")
	})
	t.Run("two packages under one new id that are released at once", func(t *testing.T) {
		d := newDesk(t)
		d.popular("one", "two")
		d.imports("tree", advisory("MAL-2026-1", "one", everyVersion, ""))
		d.imports("fork", advisory("MAL-2026-1", "two", everyVersion, ""))
		accept(t, d, "one", "two")
		d.want("one", "MAL-2026-1 in force all", "")
		d.want("two", "MAL-0000-local-1 in force all", "")
	})
	t.Run("another package's id takes over no record", func(t *testing.T) {
		d := newDesk(t)
		d.imports("tree", advisory("MAL-2026-1", "one", versions("1.0.0"), ""), advisory("MAL-2026-2", "two", versions("1.0.0"), ""))
		d.imports("fork", advisory("MAL-2026-1", "two", versions("1.0.1"), `"aliases":["MAL-2026-2"],`))
		d.want("two", "MAL-2026-2 in force 1.0.0", catalog.GuardIDReused)
		accept(t, d, "two")
		d.want("two", "MAL-2026-2 in force 1.0.0,1.0.1", "")
		d.want("one", "MAL-2026-1 in force 1.0.0", "")
	})
}

// A record that another one took over is no reason to hold what is said of the package.
func TestSupersededIsNotTakenBack(t *testing.T) {
	d := newDesk(t)
	d.imports("a", advisory("MAL-2026-1", "evil", versions("1.0.0"), finder("one")))
	d.imports("b", advisory("MAL-2026-2", "evil", versions("1.0.1"), `"aliases":["MAL-2026-1"],`+withdrawnAt+finder("two")))
	d.want("evil", "MAL-2026-1 in force 1.0.0; MAL-2026-2 withdrawn 1.0.1", "")
	d.imports("c", advisory("MAL-2026-1", "evil", versions("1.0.1"), finder("two")))
	d.want("evil", "MAL-2026-1 in force 1.0.0,1.0.1; MAL-2026-2 withdrawn 1.0.1", "")
}
