package catalog

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

func FuzzFactsAdd(f *testing.F) {
	for _, kind := range []string{InputPopular, InputInventory, InputListing} {
		f.Add(kind, "npm", []byte("chalk\nsemver\n@scope/name\n"))
		f.Add(kind, "npm", []byte("npm\tchalk\t1.0.0\nPyPI\tFlask_X\t2\n"))
		f.Add(kind, "", []byte("npm\n"))
		f.Add(kind, "npm", []byte("\u017fcope\nＣhalk\ncha\u200blk\n"))
		f.Add(kind, "PyPI", []byte(strings.Repeat("x", 70_000)))
		f.Add(kind, "npm", []byte("\xff\x00\n\t\t\n"))
	}
	f.Fuzz(func(t *testing.T, kind, name string, data []byte) {
		facts := NewFacts()
		err := facts.Add(store.Input{Kind: kind, Name: name, Data: data})
		if err != nil && !strings.Contains(err.Error(), " list ") {
			t.Errorf("the error does not say which list: %v", err)
		}
		lines := strings.Count(string(data), "\n") + 1
		if len(facts.rank) > lines || len(facts.folded) > lines || len(facts.inventory) > lines {
			t.Errorf("%d lines are %d ranks, %d names, %d of the inventory", lines, len(facts.rank), len(facts.folded), len(facts.inventory))
		}
		for key, n := range facts.rank {
			if n < 1 || n > lines || key.Name == "" || !utf8.ValidString(key.Name) {
				t.Errorf("%q has rank %d of %d", key, n, lines)
			}
			// A popular name is held for none but itself.
			if good := facts.folded[rapsheet.Key{Ecosystem: key.Ecosystem, Name: fold(key.Name)}]; good == "" || facts.rank[rapsheet.Key{Ecosystem: key.Ecosystem, Name: good}] == 0 {
				t.Errorf("%q reads like %q", key, good)
			}
		}
		// The same list again is no other knowledge, and a claim can be held against all of it.
		before := len(facts.rank) + len(facts.folded)
		if again := facts.Add(store.Input{Kind: kind, Name: name, Data: data}); (again == nil) != (err == nil) || len(facts.rank)+len(facts.folded) != before {
			t.Errorf("added twice: %v, then %v", err, again)
		}
	})
}
