package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/osv"
)

func record(id, eco, name string, change func(*osv.Record)) *osv.Record {
	r := &osv.Record{
		ID: id, Modified: "2024-01-02T03:04:05Z", Published: "2024-01-01T00:00:00Z", Summary: "Malicious code in " + name,
		Affected: []osv.Affected{{
			Package: osv.Package{Ecosystem: eco, Name: name},
			Ranges:  []osv.Range{{Type: osv.RangeEcosystem, Events: []osv.Event{{Introduced: "0"}}}},
		}},
	}
	if change != nil {
		change(r)
	}
	return r
}

// mixed is a small catalog in which every part of the format occurs.
func mixed() []*osv.Record {
	return []*osv.Record{
		record("MAL-2024-1", "npm", "evil", nil),
		record("MAL-2024-2", "npm", "evil-2", func(r *osv.Record) {
			r.Affected[0].Ranges = nil
			r.Affected[0].Versions = []string{"1.0.0", "1.0.1"}
			r.Aliases = []string{"GHSA-aaaa-bbbb-cccc"}
		}),
		record("MAL-2024-3", "npm", "evil", func(r *osv.Record) { r.Withdrawn = "2024-02-01T00:00:00Z" }),
		record("GHSA-2222-3333-4444", "PyPI", "Ctx_Evil", func(r *osv.Record) {
			r.Affected[0].Ranges = []osv.Range{{Type: osv.RangeEcosystem, Events: []osv.Event{
				{Introduced: "1.0"}, {Fixed: "1.5"},
			}}, {Type: osv.RangeEcosystem, Events: []osv.Event{{Introduced: "2.0"}, {LastAffected: "2.3"}}}}
			r.Aliases = []string{"MAL-2024-4"}
			r.Affected[0].DatabaseSpecific = []byte(`{"digests":["sha256:` + fmt.Sprintf("%064x", 7) + `"]}`)
		}),
		record("MAL-0000-acme-01", "npm", "@scope/evil", func(r *osv.Record) {
			r.Affected[0].Ranges[0].Type = osv.RangeSemver
			r.Affected = append(r.Affected, osv.Affected{Package: osv.Package{Ecosystem: "NuGet", Name: "Evil.Twin"}, Versions: []string{"1.0"}})
		}),
		record("MAL-2024-05", "npm", "leading-zero", nil), // not the same text as MAL-2024-5
		record("MAL-2024-6", "Atari 2600", "pitfall", nil),
	}
}

func build(t testing.TB, recs []*osv.Record) []byte {
	t.Helper()
	var b index.Builder
	for _, r := range recs {
		it, err := index.Prepare(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Add(it)
	}
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, index.Meta{Source: "test"}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(t testing.TB, b []byte) *index.Index {
	t.Helper()
	ix, err := index.New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func TestLookup(t *testing.T) {
	ix := open(t, build(t, mixed()))
	open0 := []rapsheet.Range{{Type: "ECOSYSTEM", Events: []rapsheet.Event{{Kind: rapsheet.Introduced, Version: "0"}}}}
	for _, tt := range []struct {
		eco, name string
		want      []rapsheet.Record // Document left out
	}{
		{"npm", "evil", []rapsheet.Record{
			{ID: "MAL-2024-1", Ecosystem: "npm", Name: "evil", Ranges: open0},
			{ID: "MAL-2024-3", Ecosystem: "npm", Name: "evil", Ranges: open0, Withdrawn: true},
		}},
		{"npm", "evil-2", []rapsheet.Record{{ID: "MAL-2024-2", Ecosystem: "npm", Name: "evil-2", Versions: []string{"1.0.0", "1.0.1"}}}},
		{"npm", "@scope/evil", []rapsheet.Record{{ID: "MAL-0000-acme-01", Ecosystem: "npm", Name: "@scope/evil",
			Ranges: []rapsheet.Range{{Type: "SEMVER", Events: open0[0].Events}}}}},
		{"NuGet", "evil.twin", []rapsheet.Record{{ID: "MAL-0000-acme-01", Ecosystem: "NuGet", Name: "Evil.Twin", Versions: []string{"1.0"}}}},
		{"npm", "leading-zero", []rapsheet.Record{{ID: "MAL-2024-05", Ecosystem: "npm", Name: "leading-zero", Ranges: open0}}},
		{"PyPI", "ctx-evil", []rapsheet.Record{{ID: "GHSA-2222-3333-4444", Ecosystem: "PyPI", Name: "Ctx_Evil",
			Ranges: []rapsheet.Range{{Type: "ECOSYSTEM", Events: []rapsheet.Event{
				{Kind: rapsheet.Introduced, Version: "1.0"}, {Kind: rapsheet.Fixed, Version: "1.5"},
			}}, {Type: "ECOSYSTEM", Events: []rapsheet.Event{
				{Kind: rapsheet.Introduced, Version: "2.0"}, {Kind: rapsheet.LastAffected, Version: "2.3"},
			}}},
			Digests: []rapsheet.Digest{{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", 7)}},
		}}},
		{"npm", "evi", nil},
		{"npm", "evil-", nil},
		{"npm", "evil-20", nil},
		{"npm", "", nil},
		{"npm", "zzz", nil},
		{"npm", "!", nil},
		{"PyPI", "evil", nil},
		{"Atari 2600", "pitfall", nil},
		{"nonesuch", "evil", nil},
	} {
		got, err := ix.Lookup(rapsheet.Key{Ecosystem: tt.eco, Name: tt.name})
		if err != nil {
			t.Errorf("%s/%s: %v", tt.eco, tt.name, err)
		}
		for i := range got {
			doc, err := ix.Document(got[i])
			if err != nil {
				t.Errorf("%s/%s: document: %v", tt.eco, tt.name, err)
			} else if doc.ID != got[i].ID {
				t.Errorf("%s/%s: the document of %s is %s", tt.eco, tt.name, got[i].ID, doc.ID)
			}
			got[i].Document = 0
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
			t.Errorf("%s/%s:\n got %+v\nwant %+v", tt.eco, tt.name, got, tt.want)
		}
	}
}

func TestByID(t *testing.T) {
	ix := open(t, build(t, mixed()))
	for id, want := range map[string][]string{
		"MAL-2024-1":          {"MAL-2024-1"},
		"GHSA-aaaa-bbbb-cccc": {"MAL-2024-2"},
		"MAL-2024-4":          {"GHSA-2222-3333-4444"},
		"MAL-2024-6":          {"MAL-2024-6"}, // kept though its ecosystem is unknown
		"MAL-2024":            nil,
		"MAL-2024-99":         nil,
		"":                    nil,
	} {
		recs, err := ix.ByID(id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		var got []string
		for _, r := range recs {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}

func TestMeta(t *testing.T) {
	m := open(t, build(t, mixed())).Meta()
	if m.Records != 7 || m.Withdrawn != 1 || m.Digests != 1 || m.Packages != 6 || m.Unmatched != 1 || m.Ecosystems["npm"] != 5 {
		t.Errorf("%+v", m)
	}
	if got := m.Date.Format("2006-01-02"); got != "2024-01-02" {
		t.Errorf("date %s: the newest modification is of 2024-01-02", got)
	}
}

// Every key of a catalog of thousands is found, with the record that was put in,
// and names beside them are not.
func TestLookupAll(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 1000
	}
	recs := slices.Collect(corpus.Records(7, n))
	ix := open(t, build(t, recs))
	if err := ix.Verify(); err != nil {
		t.Fatal(err)
	}
	names := map[rapsheet.Key]bool{}
	for _, r := range recs {
		key, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name})
		names[key] = true
		got, err := ix.Lookup(key)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(got, func(x rapsheet.Record) bool { return x.ID == r.ID }) {
			t.Fatalf("%v: %s is not among %+v", key, r.ID, got)
		}
	}
	for key := range names {
		for _, n := range []string{key.Name + "0", key.Name[:len(key.Name)-1], "0" + key.Name, key.Name + "\x00"} {
			other := rapsheet.Key{Ecosystem: key.Ecosystem, Name: n}
			if names[other] {
				continue
			}
			if got, err := ix.Lookup(other); err != nil || got != nil {
				t.Fatalf("%v: %+v, %v", other, got, err)
			}
		}
	}
}

// The bytes do not depend on the order in which records come.
func TestReproducible(t *testing.T) {
	recs := append(mixed(), slices.Collect(corpus.Records(3, 500))...)
	want := build(t, recs)
	r := rand.New(rand.NewPCG(1, 2))
	times := 5
	if testing.Short() {
		times = 1
	}
	for range times {
		r.Shuffle(len(recs), func(i, j int) { recs[i], recs[j] = recs[j], recs[i] })
		if !bytes.Equal(build(t, recs), want) {
			t.Fatal("another order of records gives other bytes")
		}
	}
}

func TestRemove(t *testing.T) {
	var b index.Builder
	var handles []int
	for _, r := range mixed() {
		it, err := index.Prepare(r)
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, b.Add(it))
	}
	b.Remove(handles[0])
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, index.Meta{Source: "test"}); err != nil {
		t.Fatal(err)
	}
	if want := build(t, mixed()[1:]); !bytes.Equal(buf.Bytes(), want) {
		t.Error("a removed record leaves traces")
	}
}

func TestDuplicateID(t *testing.T) {
	var b index.Builder
	for range 2 {
		it, err := index.Prepare(record("MAL-2024-1", "npm", "evil", nil))
		if err != nil {
			t.Fatal(err)
		}
		b.Add(it)
	}
	if err := b.WriteTo(new(bytes.Buffer), index.Meta{}); err == nil {
		t.Error("the same id twice is written")
	}
}

// doubted is a catalog of disputed records in every shape that the format writes
// differently, beside ones that stand and ones taken back for good.
func doubted() []*osv.Record {
	const mark = `{"rapsheet":{"state":"disputed","since":"2026-03-01T00:00:00Z","reason":"the author disagrees"}}`
	bounded := []osv.Range{{Type: osv.RangeSemver, Events: []osv.Event{{Introduced: "1.0.0"}, {Fixed: "1.5.0"}}}}
	shapes := map[string]func(*osv.Affected){
		"open":          func(*osv.Affected) {},
		"open-semver":   func(a *osv.Affected) { a.Ranges[0].Type = osv.RangeSemver },
		"open-versions": func(a *osv.Affected) { a.Versions = []string{"1.0.0"} },
		"versions":      func(a *osv.Affected) { a.Ranges, a.Versions = nil, []string{"1.0.0", "1.0.1"} },
		"bounded":       func(a *osv.Affected) { a.Ranges = bounded },
		"nothing":       func(a *osv.Affected) { a.Ranges = nil },
		"open-digests": func(a *osv.Affected) {
			a.DatabaseSpecific = []byte(`{"digests":["sha256:` + fmt.Sprintf("%064x", 7) + `"]}`)
		},
		"bounded-Prints": func(a *osv.Affected) { a.Ranges, a.Versions = bounded, []string{"0.1.0"} },
	}
	var out []*osv.Record
	n := 0
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		for _, state := range []string{"active", "withdrawn", "disputed"} {
			n++
			out = append(out, record(fmt.Sprintf("MAL-2026-%d", n), "PyPI", state+"."+name, func(r *osv.Record) {
				shapes[name](&r.Affected[0])
				if state != "active" {
					r.Withdrawn = "2026-03-01T00:00:00Z"
				}
				if state == "disputed" {
					r.DatabaseSpecific = []byte(mark)
				}
			}))
		}
	}
	return out
}

// A disputed record comes back with what it says, and no other record comes back
// disputed. The file of the day on which the encoding was chosen stays readable.
func TestDisputed(t *testing.T) {
	fixture, err := os.ReadFile(filepath.Join("testdata", "v1-disputed.idx"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"built": build(t, doubted()), "fixture": fixture} {
		t.Run(name, func(t *testing.T) {
			ix := open(t, data)
			if err := ix.Verify(); err != nil {
				t.Fatal(err)
			}
			for _, r := range doubted() {
				key, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "PyPI", Name: r.Affected[0].Package.Name})
				got, err := ix.Lookup(key)
				if err != nil || len(got) != 1 || got[0].ID != r.ID {
					t.Fatalf("%s: %+v, %v", key.Name, got, err)
				}
				it := got[0]
				state := map[[2]bool]string{{false, false}: "active", {true, false}: "withdrawn", {true, true}: "disputed"}[[2]bool{it.Withdrawn, it.Disputed}]
				if want, _, _ := strings.Cut(r.Affected[0].Package.Name, "."); state != want {
					t.Errorf("%s: %q (%+v)", key.Name, state, it)
				}
				if !slices.Equal(it.Versions, r.Affected[0].Versions) || len(it.Ranges) != len(r.Affected[0].Ranges) ||
					len(it.Ranges) == 1 && (it.Ranges[0].Type != r.Affected[0].Ranges[0].Type || len(it.Ranges[0].Events) != len(r.Affected[0].Ranges[0].Events)) {
					t.Errorf("%s: %+v", key.Name, it)
				}
				if strings.HasSuffix(key.Name, "digests") != (len(it.Digests) == 1) {
					t.Errorf("%s: digests %+v", key.Name, it.Digests)
				}
			}
			if m := ix.Meta(); m.Records != 24 || m.Withdrawn != 16 || m.Disputed != 8 {
				t.Errorf("%+v", m)
			}
		})
	}
}

// A file of format version 1, made on the day the format was written, is read for ever.
func TestVersion1(t *testing.T) {
	ix, err := index.Open(filepath.Join("testdata", "v1.idx"))
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if err := ix.Verify(); err != nil {
		t.Fatal(err)
	}
	got, err := ix.Lookup(rapsheet.Key{Ecosystem: "npm", Name: "evil-2"})
	if err != nil || len(got) != 1 || got[0].ID != "MAL-2024-2" || !slices.Equal(got[0].Versions, []string{"1.0.0", "1.0.1"}) {
		t.Errorf("%+v, %v", got, err)
	}
	recs, err := ix.ByID("MAL-2024-4")
	if err != nil || len(recs) != 1 || recs[0].Affected[0].Package.Name != "Ctx_Evil" {
		t.Errorf("%+v, %v", recs, err)
	}
}

func TestNotASnapshot(t *testing.T) {
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"empty":         {nil, index.ErrFormat},
		"zip":           {[]byte("PK\x03\x04 and more than a header's worth of other bytes, as files have them"), index.ErrFormat},
		"short magic":   {[]byte("\x89RA"), index.ErrDamaged},
		"magic":         {[]byte("\x89RAP\r\n\x1a\n"), index.ErrDamaged},
		"text transfer": {append([]byte("\x89RAP\n\x1a\n"), make([]byte, 100)...), index.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := index.New(bytes.NewReader(tt.data), int64(len(tt.data))); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// answers is everything that a catalog can be asked: a damaged copy must give an
// error somewhere or the very same answers.
func answers(ix *index.Index, keys []rapsheet.Key, ids []string) (string, error) {
	var out []byte
	for n := range 9 {
		recs, err := ix.LookupDigest(rapsheet.Digest{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", n)})
		if err != nil {
			return "", err
		}
		out = fmt.Appendf(out, "%+v\n", recs)
	}
	for _, k := range keys {
		recs, err := ix.Lookup(k)
		if err != nil {
			return "", err
		}
		out = fmt.Appendf(out, "%+v\n", recs)
		for _, r := range recs {
			doc, err := ix.Document(r)
			if err != nil {
				return "", err
			}
			b, err := doc.Marshal()
			if err != nil {
				return "", err
			}
			out = append(out, b...)
		}
	}
	for _, id := range ids {
		recs, err := ix.ByID(id)
		if err != nil {
			return "", err
		}
		out = fmt.Appendf(out, "%d\n", len(recs))
	}
	return string(out), nil
}

// C104 of bad-inputs.md: single flipped bits and truncations are detected, and
// none reads as clean. `go test -run Damage -damage 10000` flips more.
func TestDamage(t *testing.T) {
	flips, cuts := 10000, 1000
	if testing.Short() {
		flips, cuts = 1000, 100
	}
	data := build(t, append(mixed(), slices.Collect(corpus.Records(5, 300))...))
	var keys []rapsheet.Key
	var ids []string
	for _, r := range append(mixed(), slices.Collect(corpus.Records(5, 300))...) {
		if k, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name}); ok {
			keys = append(keys, k)
		}
		ids = append(ids, r.ID)
	}
	keys, ids = keys[:40], ids[:40]
	want, err := answers(open(t, data), keys, ids)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(11, 12))
	check := func(what string, bad []byte) {
		ix, err := index.New(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			return
		}
		if ix.Verify() == nil {
			t.Fatalf("%s: verified", what)
		}
		got, err := answers(ix, keys, ids)
		if err == nil && got != want {
			t.Fatalf("%s: other answers and no error", what)
		}
	}
	for range flips {
		bad := bytes.Clone(data)
		at, bit := r.IntN(len(bad)), r.IntN(8)
		bad[at] ^= 1 << bit
		check(fmt.Sprintf("bit %d of byte %d", bit, at), bad)
	}
	for range cuts {
		n := r.IntN(len(data))
		check(fmt.Sprintf("cut to %d bytes", n), data[:n])
	}
	for _, n := range []int{0, 1, 7, 8, 39, 40, 41, len(data) - 1} {
		check(fmt.Sprintf("cut to %d bytes", n), data[:n])
	}
	for range 200 {
		bad := bytes.Clone(data)
		at := r.IntN(len(bad))
		clear(bad[at:min(len(bad), at+4096)])
		if !bytes.Equal(bad, data) {
			check(fmt.Sprintf("zero page at %d", at), bad)
		}
	}
}

// A file that shrinks while it is open gives an error, not a crash or "clean".
func TestTruncatedUnderUs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.idx")
	if err := os.WriteFile(path, build(t, slices.Collect(corpus.Records(5, 3000))), 0o600); err != nil {
		t.Fatal(err)
	}
	ix, err := index.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	all := slices.Collect(corpus.Records(5, 3000))
	keyOf := func(r *osv.Record) rapsheet.Key {
		key, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name})
		return key
	}
	key := keyOf(all[0])
	if recs, err := ix.Lookup(key); err != nil || len(recs) == 0 {
		t.Fatalf("%v: %+v, %v", key, recs, err)
	}
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	// What was read before was verified and stays; the rest is an error.
	for n, rec := range all[:500] {
		key := keyOf(rec)
		recs, err := ix.Lookup(key)
		if n == 0 && len(recs) == 0 {
			t.Fatalf("%v was looked up before: %v", key, err)
		}
		if len(recs) == 0 && !errors.Is(err, index.ErrDamaged) {
			t.Fatalf("%v reads as clean: %v", key, err)
		}
		if len(recs) > 0 {
			if _, err := ix.Document(recs[0]); !errors.Is(err, index.ErrDamaged) {
				t.Fatalf("document of %v: %v", key, err)
			}
		}
	}
}

// FuzzNew opens arbitrary bytes as a snapshot, with valid checksums where the
// mutation was inside a section, and asks it everything.
func FuzzNew(f *testing.F) {
	f.Add(build(f, mixed()))
	f.Add(build(f, nil))
	f.Add([]byte("\x89RAP\r\n\x1a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ix, err := index.New(bytes.NewReader(index.Reseal(b)), int64(len(b)))
		if err != nil {
			return
		}
		answers(ix, []rapsheet.Key{{Ecosystem: "npm", Name: "evil"}, {Ecosystem: "PyPI", Name: "ctx-evil"}}, []string{"MAL-2024-1", "x"})
		ix.Verify()
	})
}
