package publish

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/osv"
)

// rec is a small valid record.
func rec(tb testing.TB, id, eco, name string, edit ...func(*osv.Record)) Record {
	tb.Helper()
	r := &osv.Record{
		SchemaVersion: "1.7.4", ID: id, Modified: "2026-01-02T00:00:00Z", Published: "2026-01-01T00:00:00Z",
		Summary: "Malicious code in " + name + " (" + eco + ")", Details: "Steals environment variables.\n",
		Affected: []osv.Affected{{Package: osv.Package{Ecosystem: eco, Name: name}, Versions: []string{"1.0.0"}}},
		Credits:  []osv.Credit{{Name: "Acme", Type: "FINDER"}},
	}
	for _, f := range edit {
		f(r)
	}
	return record(tb, r)
}

func modified(t osv.Timestamp) func(*osv.Record) { return func(r *osv.Record) { r.Modified = t } }

func withdrawn(r *osv.Record) {
	r.Withdrawn = "2026-02-01T00:00:00Z"
	r.Modified = "2026-02-01T00:00:00Z"
}

func mustPublish(tb testing.TB, dir string, rel Release, opt Options) Result {
	tb.Helper()
	res, err := Publish(tb.Context(), dir, rel, opt)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// tree reads a directory into a map from paths to contents.
func tree(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// The layout of OSV.dev's bucket (https://google.github.io/osv.dev/data/).
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	list := []Record{
		rec(t, "MAL-2026-1", "npm", "@scope/evil", modified("2026-01-03T00:00:01Z")),
		rec(t, "MAL-2026-10", "GitHub Actions", "evil/action", modified("2026-01-03T00:00:00Z")),
		rec(t, "MAL-2026-2", "npm", "older", withdrawn),
		rec(t, "MAL-2026-3", "PyPI", "fine-grained", modified("2026-01-03T00:00:00.25Z")),
		rec(t, "MAL-2026-4", "PyPI", "newest-too", withdrawn),
	}
	list[0].Disputed = true
	rel := release(7, list)
	rel.Campaigns = []byte(`[{"name":"x"}]`)
	res := mustPublish(t, dir, rel, Options{})
	got := tree(t, res.Path)
	for name, want := range map[string]string{
		"osv/ecosystems.txt": "GitHub Actions\nPyPI\nnpm\n",
		"osv/modified_id.csv": "2026-02-01T00:00:00Z,npm/MAL-2026-2\n2026-02-01T00:00:00Z,PyPI/MAL-2026-4\n2026-01-03T00:00:01Z,npm/MAL-2026-1\n" +
			"2026-01-03T00:00:00.25Z,PyPI/MAL-2026-3\n" +
			"2026-01-03T00:00:00Z,GitHub Actions/MAL-2026-10\n",
		"osv/npm/modified_id.csv":             "2026-02-01T00:00:00Z,MAL-2026-2\n2026-01-03T00:00:01Z,MAL-2026-1\n",
		"osv/Go/modified_id.csv":              "",
		"osv/Go/all.zip":                      "PK\x05\x06" + strings.Repeat("\x00", 18),
		"osv/npm/MAL-2026-1.json":             string(list[0].JSON),
		"osv/GitHub Actions/MAL-2026-10.json": string(list[1].JSON),
		"campaigns.json":                      `[{"name":"x"}]`,
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for name, want := range map[string][]int{"osv/all.zip": {0, 1, 2, 3, 4}, "osv/npm/all.zip": {0, 2}, "osv/PyPI/all.zip": {3, 4}} {
		z, err := zip.NewReader(strings.NewReader(got[name]), int64(len(got[name])))
		if err != nil {
			t.Fatal(err)
		}
		if len(z.File) != len(want) {
			t.Fatalf("%s has %d entries, want %d", name, len(z.File), len(want))
		}
		for i, f := range z.File {
			r := list[want[i]]
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(in)
			doc, _, _ := osv.Parse(r.JSON)
			stamp, _ := doc.Modified.Time()
			if err != nil || !bytes.Equal(b, r.JSON) || f.Name != r.ID+".json" || f.Method != zip.Deflate || !f.Modified.Equal(stamp.Truncate(time.Second)) {
				t.Errorf("%s: entry %d is %s of %s with %d bytes (%v)", name, i, f.Name, f.Modified, len(b), err)
			}
		}
	}
	if want := (Counts{All: 5, Live: 3, Disputed: 1, Withdrawn: 2}); res.Manifest.Records != want {
		t.Errorf("counts are %+v, want %+v", res.Manifest.Records, want)
	}
	// The digest of a set is that of sha256sum's output, and the manifest's that of its bytes.
	var lines string
	for _, i := range []int{0, 2} {
		sum := sha256.Sum256(list[i].JSON)
		lines += hex.EncodeToString(sum[:]) + "  " + list[i].ID + ".json\n"
	}
	sum := sha256.Sum256([]byte(lines))
	if want := (Set{2, hex.EncodeToString(sum[:])}); res.Manifest.Ecosystems["npm"] != want {
		t.Errorf("npm is %+v, want %+v", res.Manifest.Ecosystems["npm"], want)
	}
	if res.Digest != sha256.Sum256([]byte(got[manifestName])) {
		t.Error("the digest is not the manifest's")
	}
	ix, err := index.Open(filepath.Join(res.Path, snapshotName))
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if ix.Meta().Sequence != 7 || ix.Meta().Records != 5 {
		t.Errorf("the snapshot is %+v", ix.Meta())
	}
	path, m, err := Current(dir)
	if err != nil || path != res.Path || m.Sequence != 7 {
		t.Errorf("current is %s %d %v", path, m.Sequence, err)
	}
	if err := Verify(t.Context(), filepath.Join(dir, currentName)); err != nil {
		t.Error(err)
	}
}

// What may follow what: promise 4 of docs/design.md, and the bounds of Options.
func TestFollow(t *testing.T) {
	base := func(t *testing.T) []Record {
		var l []Record
		for i := range 300 {
			l = append(l, rec(t, fmt.Sprintf("MAL-2026-%03d", i), "npm", fmt.Sprintf("evil-%d", i)))
		}
		return l
	}
	edit := func(n int, f ...func(*osv.Record)) func(*testing.T, []Record) []Record {
		return func(t *testing.T, l []Record) []Record {
			for i := range n {
				r, _, err := osv.Parse(l[i].JSON)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range f {
					f(r)
				}
				l[i] = record(t, r)
			}
			return l
		}
	}
	later := modified("2026-03-01T00:00:00Z")
	tests := []struct {
		name string
		next func(*testing.T, []Record) []Record
		opt  Options
		want string // in the error
		diff Changes
	}{
		{"the same", edit(0), Options{}, "", Changes{}},
		{"changed", edit(1, later), Options{}, "", Changes{Changed: []string{"MAL-2026-000"}}},
		{"modified does not increase", edit(1, func(r *osv.Record) { r.Details = "x" }), Options{}, "must increase", Changes{}},
		{"modified goes back", edit(1, modified("2025-03-01T00:00:00Z")), Options{}, "must increase", Changes{}},
		{"published changes", edit(1, later, func(r *osv.Record) { r.Published = "2026-01-01T00:00:01Z" }), Options{}, "never changes", Changes{}},
		{"another spelling of published", edit(1, later, func(r *osv.Record) { r.Published = "2026-01-01T00:00:00.0Z" }), Options{}, "", Changes{Changed: []string{"MAL-2026-000"}}},
		{"an id for another package", edit(1, later, func(r *osv.Record) {
			r.Affected[0].Package.Name, r.Affected[0].Package.PURL = "react", ""
		}), Options{}, "never used twice", Changes{}},
		{"vanished first", func(_ *testing.T, l []Record) []Record { return l[1:] }, Options{}, "is gone", Changes{}},
		{"vanished last", func(_ *testing.T, l []Record) []Record { return l[:299] }, Options{MassWithdrawal: true}, "is gone", Changes{}},
		{"all vanished", func(_ *testing.T, l []Record) []Record { return nil }, Options{}, "is gone", Changes{}},
		{"one withdrawn", edit(1, withdrawn), Options{}, "", Changes{Withdrawn: []string{"MAL-2026-000"}}},
		{"100 withdrawn", edit(100, withdrawn), Options{}, "", Changes{Withdrawn: make([]string, 100)}},
		{"101 withdrawn", edit(101, withdrawn), Options{}, "more than the limit", Changes{}},
		{"101 withdrawn, accepted", edit(101, withdrawn), Options{MassWithdrawal: true}, "", Changes{Withdrawn: make([]string, 101)}},
		{"growth", func(t *testing.T, l []Record) []Record {
			for i := range 900 {
				l = append(l, rec(t, fmt.Sprintf("MAL-2027-%03d", i), "PyPI", fmt.Sprintf("evil-%d", i)))
			}
			return l
		}, Options{}, "", Changes{Added: make([]string, 900)}},
	}
	// A few of them have all that runs at once: what is refused, and what is taken over, changed and new.
	some := []string{"changed", "vanished first", "100 withdrawn", "growth"}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && !slices.Contains(some, test.name) {
				t.Skip("a rule more")
			}
			dir := t.TempDir()
			first := mustPublish(t, dir, release(1, base(t)), Options{})
			next := test.next(t, base(t))
			res, err := Publish(t.Context(), dir, release(2, next), test.opt)
			path, _, cerr := Current(dir)
			if cerr != nil {
				t.Fatal(cerr)
			}
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				same := func(got, want []string) bool {
					return len(got) == len(want) && (len(want) == 0 || want[0] == "" || slices.Equal(got, want))
				}
				c := res.Changes
				if !same(c.Added, test.diff.Added) || !same(c.Changed, test.diff.Changed) || !same(c.Withdrawn, test.diff.Withdrawn) || c.Restored != nil || c.Vanished != nil {
					t.Errorf("changes are %v", c)
				}
				v, err := Validate(t.Context(), res.Path, first.Path, test.opt)
				if err != nil || !slices.Equal(v.Added, c.Added) || !slices.Equal(v.Withdrawn, c.Withdrawn) || !slices.Equal(v.Changed, c.Changed) {
					t.Errorf("Validate says %v, %v", v, err)
				}
				return
			}
			var invalid *InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want %q", err, test.want)
			}
			if path != first.Path || Verify(t.Context(), path) != nil {
				t.Errorf("current is %s after a refusal", path)
			}
			if left, _ := os.ReadDir(filepath.Join(dir, releasesName)); len(left) != 1 {
				t.Errorf("%v is left", left)
			}
			// The same releases made apart: Validate alone comes to the same verdict.
			if len(next) == 0 {
				return
			}
			apart := mustPublish(t, t.TempDir(), release(2, next), Options{})
			if _, err := Validate(t.Context(), apart.Path, first.Path, test.opt); !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Validate says %v, want %q", err, test.want)
			}
		})
	}
}

func TestRestore(t *testing.T) {
	dir := t.TempDir()
	mustPublish(t, dir, release(1, []Record{rec(t, "MAL-2026-1", "npm", "evil", withdrawn)}), Options{})
	res := mustPublish(t, dir, release(2, []Record{rec(t, "MAL-2026-1", "npm", "evil", modified("2026-03-01T00:00:00Z"))}), Options{})
	if !slices.Equal(res.Changes.Restored, []string{"MAL-2026-1"}) {
		t.Errorf("changes are %+v", res.Changes)
	}
}

// The rules of shared/wire.md, part B, and of names as paths; the numbers are of bad-inputs.md.
func TestRefused(t *testing.T) {
	npm := func(edit func(*osv.Record)) Record { return rec(t, "MAL-2026-1", "npm", "evil", edit) }
	one := func(doc string) []Record { return []Record{{ID: "MAL-2026-1", JSON: []byte(doc)}} }
	tests := []struct {
		name string
		list []Record
		want string
	}{
		{"1 empty document", one(""), "empty"},
		{"3 null", one("null"), ""},
		{"5 truncated", one(`{"id":"MAL-2026-1","modi`), ""},
		{"7 duplicate id", one(`{"id":"MAL-2026-1","id":"MAL-2026-2","modified":"2026-01-01T00:00:00Z"}`), ""},
		{"19 id with /../", one(strings.Replace(string(npm(func(*osv.Record) {}).JSON), "MAL-2026-1", "MAL-1/../x", 1)), ""},
		{"19 id with colon", []Record{rec(t, "MAL-2026:1", "npm", "evil")}, "letters, digits"},
		{"id of another database", []Record{rec(t, "RHSA-2026-1", "npm", "evil")}, "MAL-"},
		{"id of another document", []Record{{ID: "MAL-2026-2", JSON: npm(func(*osv.Record) {}).JSON}}, "has the id"},
		{"20 same id twice", []Record{npm(func(*osv.Record) {}), npm(func(*osv.Record) {})}, "order"},
		{"ids out of order", []Record{rec(t, "MAL-2", "npm", "a"), rec(t, "MAL-1", "npm", "b")}, "order"},
		{"ids that differ in case", []Record{rec(t, "MAL-0000-ACME-1", "npm", "a"), rec(t, "MAL-0000-acme-1", "npm", "b")}, "case"},
		{"ids that differ in case, both mixed", []Record{rec(t, "MAL-0000-Acme-1", "npm", "a"), rec(t, "MAL-0000-acme-1", "npm", "b")}, "case"},
		{"23 no affected", []Record{{ID: "MAL-2026-1", JSON: []byte(`{"id":"MAL-2026-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z"}`)}}, "0 affected"},
		{"23 two affected", []Record{npm(func(r *osv.Record) { r.Affected = append(r.Affected, r.Affected[0]) })}, "2 affected"},
		{"24 ecosystem as path", []Record{rec(t, "MAL-2026-1", "../../etc", "evil")}, "directory"},
		{"24 ecosystem of a device", []Record{rec(t, "MAL-2026-1", "COM1", "evil")}, "directory"},
		{"24 ecosystem of a file", []Record{rec(t, "MAL-2026-1", "ALL.zip", "evil")}, "directory"},
		{"24 ecosystem in another case", []Record{rec(t, "MAL-2026-1", "NPM", "evil")}, "case"},
		{"26 purl of another package", []Record{npm(func(r *osv.Record) { r.Affected[0].Package.PURL = "pkg:npm/react" })}, "another package"},
		{"purl with version", []Record{npm(func(r *osv.Record) { r.Affected[0].Package.PURL = "pkg:npm/evil@1.0.0" })}, "version"},
		{"purl with qualifiers", []Record{npm(func(r *osv.Record) { r.Affected[0].Package.PURL = "pkg:npm/evil?a=b" })}, "qualifiers"},
		{"no purl", one(`{"id":"MAL-2026-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil"},"versions":["1"]}]}`), "no purl"},
		{"unknown member", one(`{"id":"MAL-2026-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil","purl":"pkg:npm/evil","x":1},"versions":["1"]}]}`), "does not know"},
		{"white space", one(`{"id": "MAL-2026-1","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil","purl":"pkg:npm/evil"},"versions":["1"]}]}`), "writes it"},
		{"nothing affected", []Record{npm(func(r *osv.Record) { r.Affected[0].Versions = nil })}, "neither"},
		{"versions beside all", []Record{npm(func(r *osv.Record) {
			r.Affected[0].Ranges = []osv.Range{{Type: "SEMVER", Events: []osv.Event{{Introduced: "0"}}}}
		})}, "beside"},
		{"SEMVER in PyPI", []Record{rec(t, "MAL-2026-1", "PyPI", "evil", func(r *osv.Record) {
			r.Affected[0].Ranges = []osv.Range{{Type: "SEMVER", Events: []osv.Event{{Introduced: "1"}}}}
		})}, "SEMVER"},
		{"a range of PyPI without a version", []Record{rec(t, "MAL-2026-1", "PyPI", "evil", func(r *osv.Record) {
			r.Affected[0].Ranges = []osv.Range{{Type: "ECOSYSTEM", Events: []osv.Event{{Introduced: "1"}, {Fixed: "not a version"}}}}
		})}, "no version"},
		{"31 not UTC", []Record{npm(modified("2026-01-01T00:00:00+01:00"))}, "UTC"},
		{"nine digits", []Record{npm(modified("2026-01-01T00:00:00.123456789Z"))}, "six digits"},
		{"no published", []Record{npm(func(r *osv.Record) { r.Published = "" })}, "published is missing"},
		{"32 reference that is no URL", []Record{npm(func(r *osv.Record) { r.References = []osv.Reference{{Type: "WEB", URL: "x/y"}} })}, "absolute"},
		{"database_specific is a list", []Record{npm(func(r *osv.Record) { r.Affected[0].DatabaseSpecific = []byte("[]") })}, "object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Publish(t.Context(), dir, release(1, test.list), Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want %q", err, test.want)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("not one line: %q", err)
			}
			if _, _, err := Current(dir); !errors.Is(err, ErrNothing) {
				t.Errorf("current is %v", err)
			}
			for name := range tree(t, dir) {
				if name != lockName {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

func TestRecordsFail(t *testing.T) {
	dir := t.TempDir()
	first := mustPublish(t, dir, release(1, served(t, 10)), Options{})
	boom := errors.New("boom")
	rel := release(2, nil)
	rel.Records = func(yield func(Record, error) bool) {
		for _, r := range served(t, 500) {
			if !yield(r, nil) {
				return
			}
		}
		yield(Record{}, boom)
	}
	if _, err := Publish(t.Context(), dir, rel, Options{}); !errors.Is(err, boom) {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Publish(ctx, dir, release(2, served(t, 500)), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	for _, n := range []uint64{0, 1} {
		if _, err := Publish(t.Context(), dir, release(n, served(t, 10)), Options{}); err == nil {
			t.Errorf("sequence %d was taken", n)
		}
	}
	if path, _, err := Current(dir); err != nil || path != first.Path {
		t.Errorf("current is %s, %v", path, err)
	}
}

// Same input, same bytes: whatever was published before, and from which directory.
func TestReproducible(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 600
	}
	list := served(t, n)
	for i := range list {
		list[i].Upstream = i%3 == 0
	}
	changed := change(t, list, 50)
	a, b, c := t.TempDir(), t.TempDir(), t.TempDir()
	mustPublish(t, a, release(1, list), Options{})
	mustPublish(t, b, release(1, list), Options{})
	got := [3]Result{
		mustPublish(t, a, release(2, changed), Options{}),
		mustPublish(t, b, release(2, changed), Options{Fresh: true}),
		mustPublish(t, c, release(2, changed), Options{}),
	}
	want := tree(t, got[0].Path)
	for _, r := range got[1:] {
		other := tree(t, r.Path)
		if r.Digest != got[0].Digest || len(other) != len(want) {
			t.Errorf("%s has another manifest", r.Path)
		}
		for name, content := range want {
			if other[name] != content {
				t.Errorf("%s: %s differs", r.Path, name)
			}
		}
	}
	if got := len(got[0].Changes.Changed); got != n/50 {
		t.Errorf("%d changed, want %d", got, n/50)
	}
}

// Whatever was taken over, by whichever program, and however often: a release has the bytes
// that it would have as the first one.
func TestReproducibleLater(t *testing.T) {
	list := served(t, 400)
	list = append(list, rec(t, "MAL-9000-acme-1", "npm", "evil"), rec(t, "MAL-9000-acme-2", "npm", "worse"))
	slices.SortFunc(list, func(x, y Record) int { return strings.Compare(x.ID, y.ID) })
	report := func(list []Record, step int) []Record {
		list = slices.Clone(list)
		for i := range list {
			list[i].Upstream = strings.HasPrefix(list[i].ID, "MAL-9000-") && i%step == 0
		}
		return list
	}
	changed := change(t, list, 70)
	for name, maker := range map[string]string{"the same program": "", "another program": makerMagic + "\nx\ny\n", "an empty file": "empty"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && maker != "" {
				t.Skip("what else runs at once with it is the same program's")
			}
			dir := t.TempDir()
			for n, list := range [][]Record{report(list, 1), report(list, 2), report(list, 1), report(changed, 1), report(changed, 3)} {
				if n > 0 && maker != "" {
					if err := os.WriteFile(filepath.Join(dir, makerName), []byte(strings.TrimSuffix(maker, "empty")), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				later := mustPublish(t, dir, release(uint64(n)+1, list), Options{})
				first := mustPublish(t, t.TempDir(), release(uint64(n)+1, list), Options{})
				if later.Digest != first.Digest {
					t.Errorf("release %d has another manifest", n+1)
				}
				if err := Verify(t.Context(), later.Path); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What has not changed is not written again.
func TestLinked(t *testing.T) {
	dir := t.TempDir()
	list := served(t, 200)
	first := mustPublish(t, dir, release(1, list), Options{})
	second := mustPublish(t, dir, release(2, change(t, list, 50)), Options{})
	same := 0
	for name := range tree(t, filepath.Join(first.Path, dumpName)) {
		a, err := os.Stat(filepath.Join(first.Path, dumpName, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.Stat(filepath.Join(second.Path, dumpName, name))
		if err != nil {
			t.Fatal(err)
		}
		if os.SameFile(a, b) {
			same++
		}
	}
	if same != 196 {
		t.Errorf("%d files are shared, want 196", same)
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	for n := range uint64(5) {
		mustPublish(t, dir, release(n+1, served(t, 5)), Options{})
	}
	list, err := os.ReadDir(filepath.Join(dir, releasesName))
	if err != nil || len(list) != 3 || list[0].Name() != "00000003" {
		t.Errorf("kept %v, %v", list, err)
	}
	mustPublish(t, dir, release(9, served(t, 5)), Options{Keep: 1})
	if list, _ = os.ReadDir(filepath.Join(dir, releasesName)); len(list) != 1 {
		t.Errorf("kept %v", list)
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	rel := release(1, nil)
	rel.Records = func(yield func(Record, error) bool) {
		if _, err := Publish(t.Context(), dir, release(1, served(t, 1)), Options{}); !errors.Is(err, ErrBusy) {
			t.Errorf("a second publisher gets %v", err)
		}
	}
	mustPublish(t, dir, rel, Options{})
}

// Leftovers of a killed publisher go, and releases that never became current.
func TestTidy(t *testing.T) {
	dir := t.TempDir()
	mustPublish(t, dir, release(1, served(t, 5)), Options{})
	for _, name := range []string{"releases/.tmp-00000002-X", "releases/00000002", "releases/00000007", "releases/other"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "osv"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, ".current-X")); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, dir, release(2, served(t, 5)), Options{})
	var left []string
	for _, sub := range []string{".", releasesName} {
		list, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			left = append(left, d.Name())
		}
	}
	if want := []string{".lock", ".maker", "current", "releases", "00000001", "00000002", "other"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

// Every kind of damage is seen.
func TestVerifyDamage(t *testing.T) {
	list := []Record{rec(t, "MAL-0000-acme-1", "npm", "evil"), rec(t, "MAL-2026-2", "npm", "worse")}
	list[0].Upstream = true
	report := "upstream/osv/malicious/npm/evil/MAL-0000-acme-1.json"
	tests := []struct {
		name   string
		damage func(dir string) error
	}{
		{"record changed", func(dir string) error { return flip(filepath.Join(dir, "osv/npm/MAL-2026-2.json")) }},
		{"record gone", func(dir string) error { return os.Remove(filepath.Join(dir, "osv/npm/MAL-2026-2.json")) }},
		{"record more", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "osv/npm/MAL-2026-3.json"), nil, 0o644)
		}},
		{"unexpected file", func(dir string) error { return os.WriteFile(filepath.Join(dir, "osv/npm/x"), nil, 0o644) }},
		{"unexpected directory", func(dir string) error { return os.Mkdir(filepath.Join(dir, "osv/x"), 0o755) }},
		{"unexpected file at the top", func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), nil, 0o644) }},
		{"report changed", func(dir string) error { return flip(filepath.Join(dir, report)) }},
		{"report gone", func(dir string) error { return os.Remove(filepath.Join(dir, report)) }},
		{"archive cut", func(dir string) error { return os.Truncate(filepath.Join(dir, "osv/all.zip"), 30) }},
		{"snapshot changed", func(dir string) error { return flip(filepath.Join(dir, snapshotName)) }},
		{"state changed", func(dir string) error { return flip(filepath.Join(dir, stateName)) }},
		{"list gone", func(dir string) error { return os.Remove(filepath.Join(dir, "osv/ecosystems.txt")) }},
		{"ecosystem gone", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "osv/Go")) }},
		{"manifest gone", func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) }},
		{"a link for a record", func(dir string) error {
			name := filepath.Join(dir, "osv/npm/MAL-2026-2.json")
			return errors.Join(os.Rename(name, filepath.Join(filepath.Dir(dir), "x")), os.Symlink("../../../x", name))
		}},
	}
	whole := os.DirFS(mustPublish(t, t.TempDir(), release(1, list), Options{}).Path)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "release")
			if err := os.CopyFS(path, whole); err != nil {
				t.Fatal(err)
			}
			if err := Verify(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			if err := test.damage(path); err != nil {
				t.Fatal(err)
			}
			if err := Verify(t.Context(), path); !errors.Is(err, ErrDamaged) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func flip(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(name, b, 0o644)
}

// A release that was damaged in place is not built upon.
func TestDamagedBefore(t *testing.T) {
	list := served(t, 50)
	for _, name := range []string{stateName, "osv/all.zip", snapshotName, "osv/npm/" + list[0].ID + ".json"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			res := mustPublish(t, dir, release(1, list), Options{})
			if err := flip(filepath.Join(res.Path, name)); err != nil {
				if strings.HasPrefix(name, "osv/npm/") {
					t.Skip("the first record is of another ecosystem")
				}
				t.Fatal(err)
			}
			if _, err := Publish(t.Context(), dir, release(2, list), Options{}); err == nil {
				t.Error("it was built upon")
			}
		})
	}
}

// A child publishes without end and is killed at random moments; RAPSHEET_KILLS says how often.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("RAPSHEET_PUBLISH_CHILD"); dir != "" {
		list := served(t, 400)
		for n := uint64(1); ; n++ {
			if _, m, err := Current(dir); err == nil {
				n = m.Sequence + 1
			}
			l := slices.Clone(list)
			l[n%400] = list[n%400]
			if n%2 == 1 {
				l = append(l, rec(t, "MAL-2099-1", "npm", "odd"))[:400]
			}
			mustPublish(t, dir, release(n, l), Options{})
		}
	}
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("RAPSHEET_KILLS")); err == nil {
		kills = n
	} else if testing.Short() {
		t.Skip("starts processes only to kill them")
	}
	dir := t.TempDir()
	list := served(t, 400)
	mustPublish(t, dir, release(1, list), Options{})
	r := rand.New(rand.NewPCG(1, 2))
	published := uint64(1)
	for i := range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "RAPSHEET_PUBLISH_CHILD="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		path, m, err := Current(dir)
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if err := Verify(t.Context(), path); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if m.Sequence < published {
			t.Fatalf("kill %d: release %d after %d", i, m.Sequence, published)
		}
		published = m.Sequence + 1
		mustPublish(t, dir, release(published, list), Options{})
	}
	if published < uint64(kills) {
		t.Errorf("only %d releases", published)
	}
}

func TestManifestIsStrict(t *testing.T) {
	for _, doc := range []string{"", "null", "[]", `{"version":2}`, `{"version":1,"version":1}`, `{"version":"1"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, manifestName), []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Verify(t.Context(), dir); err == nil {
			t.Errorf("%q was taken", doc)
		}
	}
}

func FuzzState(f *testing.F) {
	e := entry{id: "MAL-1", ecosystem: "npm", name: "evil", published: "2026-01-01T00:00:00Z", modified: "2026-01-01T00:00:00Z", size: 10, packed: 5, offset: 40}
	one := appendEntry([]byte(stateMagic), &e)
	e.id, e.withdrawn, e.reported = "MAL-2", true, true
	f.Add(appendEntry(one, &e))
	f.Add([]byte(stateMagic))
	f.Add([]byte(stateMagic + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := newStateReader(data)
		if err != nil {
			return
		}
		last := ""
		for {
			e, err := s.next()
			if err != nil {
				return
			}
			if e.id <= last {
				t.Fatalf("%q after %q", e.id, last)
			}
			last = e.id
			again, err := newStateReader(appendEntry([]byte(stateMagic), e))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := again.next(); err != nil || *got != *e {
				t.Fatalf("%+v came back as %+v, %v", e, got, err)
			}
		}
	})
}
