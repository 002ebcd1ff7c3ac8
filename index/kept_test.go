package index_test

import (
	"bytes"
	"testing"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/osv"
)

// Records taken over without their documents give the same bytes as records made
// ready: also those with aliases, with several packages, of unknown ecosystems, and
// where blocks of documents are cut anew.
func TestKeep(t *testing.T) {
	n := 4000
	if testing.Short() {
		n = 1000
	}
	var list []*osv.Record
	for r := range corpus.Records(1, n) {
		list = append(list, r)
	}
	list[5].Aliases = []string{"GHSA-xxxx-yyyy-zzzz", list[6].ID}
	list[6].Aliases = []string{"GHSA-xxxx-yyyy-zzzz"}
	list[7].Affected = append(list[7].Affected, list[8].Affected...)
	list[9].Affected[0].Package = osv.Package{Ecosystem: "Nowhere", Name: "x"}
	list[10].ID = "MAL-0000-acme-1"
	prepared := func(r *osv.Record) index.Item {
		it, err := index.Prepare(r)
		if err != nil {
			t.Fatal(err)
		}
		return it
	}
	snapshot := func(b *index.Builder) []byte {
		var out bytes.Buffer
		if err := b.WriteTo(&out, index.Meta{Source: "test"}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	var first index.Builder
	for _, r := range list {
		first.Add(prepared(r))
	}
	prev := snapshot(&first)
	changed := *list[n/2]
	changed.Details += "More was found.\n"
	for _, test := range []struct {
		name string
		next []*osv.Record
		same func(i int) bool // which are taken over
		min  int              // how many at least
	}{
		{"all", list, func(int) bool { return true }, n - 10},
		{"some", list, func(i int) bool { return i%3 > 0 }, n * 65 / 100},
		{"fewer records", list[n/40 : n*3/4], func(int) bool { return true }, n*3/4 - n/40 - 10},
		{"one changed", append(append([]*osv.Record{&changed}, list[:n/2]...), list[n/2+1:]...), func(i int) bool { return i > 0 }, n - 10},
		{"none", list, func(int) bool { return false }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			ix, err := index.New(bytes.NewReader(prev), int64(len(prev)))
			if err != nil {
				t.Fatal(err)
			}
			var fresh, next index.Builder
			if err := next.Keep(ix); err != nil {
				t.Fatal(err)
			}
			n := 0
			for i, r := range test.next {
				it := prepared(r)
				fresh.Add(it)
				if test.same(i) {
					modified, err := r.Modified.Time()
					if err != nil {
						t.Fatal(err)
					}
					if same, ok := next.Same(r.ID, r.Affected[0].Package.Ecosystem, uint64(len(it.JSON())), modified, r.IsWithdrawn()); ok {
						it = same
						n++
					}
				}
				next.Add(it)
			}
			if n < test.min {
				t.Errorf("%d records were taken over, want at least %d", n, test.min)
			}
			if !bytes.Equal(snapshot(&next), snapshot(&fresh)) {
				t.Error("the bytes differ")
			}
		})
	}
}

func FuzzKeep(f *testing.F) {
	var b index.Builder
	for r := range corpus.Records(1, 60) {
		it, err := index.Prepare(r)
		if err != nil {
			f.Fatal(err)
		}
		b.Add(it)
	}
	var out bytes.Buffer
	if err := b.WriteTo(&out, index.Meta{Source: "test"}); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(out.Bytes()[:out.Len()/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		data = index.Reseal(data)
		ix, err := index.New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var b index.Builder
		if b.Keep(ix) != nil {
			return
		}
		for r := range corpus.Records(1, 60) {
			if it, ok := b.Same(r.ID, "npm", 1000, b.Latest, false); ok {
				b.Add(it)
			}
		}
		// Damage is an error; what the tables lie about without being damaged is the author's.
		_ = b.WriteTo(new(bytes.Buffer), index.Meta{})
	})
}
