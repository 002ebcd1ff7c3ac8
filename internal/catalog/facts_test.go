package catalog

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// An archive's packages: the two that sort first, in whatever order they come.
func TestArchiveOwners(t *testing.T) {
	npm := func(name string) rapsheet.Key { return rapsheet.Key{Ecosystem: "npm", Name: name} }
	for _, names := range []string{"abc", "acb", "bac", "bca", "cab", "cba", "aabbcc", "cacbab"} {
		o := archiveOwners{}
		for _, n := range strings.Split(names, "") {
			o.add("x", npm(n))
		}
		for of, want := range map[string]string{"a": "b", "b": "a", "c": "a", "d": "a"} {
			if got, ok := o.other("x", npm(of)); !ok || got != npm(want) {
				t.Errorf("%s: another one than %s is %v, %v", names, of, got, ok)
			}
		}
	}
	o := archiveOwners{}
	o.add("x", npm("a"))
	if got, ok := o.other("x", npm("a")); ok || o.has("y", npm("a")) || o.has("y", rapsheet.Key{}) || !o.has("x", npm("a")) {
		t.Errorf("another one than the only one is %v", got)
	}
	var none archiveOwners
	if _, ok := none.other("x", npm("a")); ok || none.has("x", npm("a")) {
		t.Error("none has an owner")
	}
}

// A record repeats the evidence of a claim as it is: a digest that stands only there is one that the claim brings.
func TestGuardSeesEvidence(t *testing.T) {
	facts := NewFacts()
	if err := facts.Add(store.Input{Kind: InputInventory, Name: "app", Data: []byte("npm\treact\t" + archive(1))}); err != nil {
		t.Fatal(err)
	}
	for evidence, want := range map[string]bool{
		`{"digests":["` + archive(1) + `"]}`: true, `{"digests":["` + archive(2) + `"]}`: false, ``: false,
		`{"indicators":{"package_integrity":[{"hashes":{"sha256":"` + strings.TrimPrefix(archive(1), "sha256:") + `"}}]}}`: true,
	} {
		c := store.Claim{Key: testKey}
		c.Ecosystem, c.Name, c.Evidence = "npm", "evil", jsontext.Value(evidence)
		objections := Guard(&c, Scene{Facts: facts, Owner: func(string) (rapsheet.Key, bool) { return rapsheet.Key{}, false }})
		if held := len(objections) > 0; held != want {
			t.Errorf("%s: %v", evidence, objections)
		}
	}
}

func FuzzFactsAdd(f *testing.F) {
	for _, kind := range []string{InputPopular, InputInventory, InputListing} {
		f.Add(kind, "npm", []byte("chalk\nsemver\n@scope/name\n"))
		f.Add(kind, "npm", []byte("npm\tchalk\t1.0.0\nPyPI\tFlask_X\t2\n"))
		f.Add(kind, "npm", []byte("npm\tchalk\nnpm\tchalk\tsha1:"+strings.Repeat("1a", 20)+"\nnpm\tother\tsha1:"+strings.Repeat("1a", 20)+"\n"))
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
