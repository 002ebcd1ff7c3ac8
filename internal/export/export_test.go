package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/export"
)

// documents are records in an order that is not that of an export.
var documents = []string{
	`{"schema_version":"1.7.4","id":"MAL-2026-3","modified":"2026-01-03T00:00:00Z","published":"2026-01-01T00:00:00Z","summary":"Malicious code in zz (npm)","affected":[{"package":{"ecosystem":"npm","name":"zz"},"versions":["1.0.0"]}],"database_specific":{"campaign":"worm-1"}}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00.5Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"aa"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-2","modified":"2026-01-04T00:00:00Z","published":"2026-01-01T00:00:00Z","withdrawn":"2026-01-04T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"taken-back"},"versions":["1.0"]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-4","modified":"2026-01-05T00:00:00Z","published":"2026-01-01T00:00:00Z","withdrawn":"2026-01-05T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"doubted"},"versions":["1.0"]}],"database_specific":{"rapsheet":{"state":"disputed","since":"2026-01-05T00:00:00Z"}}}`,
	`{"schema_version":"1.7.4","id":"GHSA-xxxx-xxxx-xxxx","modified":"2026-01-01T00:00:00Z","aliases":["MAL-2026-5"],"affected":[{"package":{"ecosystem":"npm","name":"mm"},"versions":["1.0.0"]},{"package":{"ecosystem":"Go","name":"example.com/evil"},"versions":["1.0.0"]}]}`,
}

func all(docs []string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, d := range docs {
			if !yield([]byte(d), nil) {
				return
			}
		}
	}
}

func load(t *testing.T, docs ...string) *export.Catalog {
	t.Helper()
	c, err := export.Load(t.Context(), all(docs), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoad(t *testing.T) {
	c := load(t, documents...)
	if want := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC); !c.Date.Equal(want) {
		t.Errorf("date %s; want that of the newest record, %s", c.Date, want)
	}
	var keys []string
	for _, r := range c.Records() {
		keys = append(keys, fmt.Sprint(r.Key.Ecosystem, " ", r.Key.Name, " ", r.Withdrawn, " ", r.Disputed))
	}
	if want := []string{"Go example.com/evil false false", "PyPI doubted true true", "PyPI taken-back true false", "npm aa false false", "npm mm false false", "npm zz false false"}; !slices.Equal(keys, want) {
		t.Errorf("records\n%q; want\n%q", keys, want)
	}
	var ids []string
	for _, r := range c.Documents() {
		ids = append(ids, r.ID)
	}
	if want := []string{"GHSA-xxxx-xxxx-xxxx", "MAL-2026-1", "MAL-2026-2", "MAL-2026-3", "MAL-2026-4"}; !slices.Equal(ids, want) {
		t.Errorf("documents %q; want %q", ids, want)
	}
}

func TestLoadFails(t *testing.T) {
	broken := errors.New("the snapshot is broken")
	_, err := export.Load(t.Context(), func(yield func([]byte, error) bool) {
		if yield([]byte(documents[0]), nil) {
			yield(nil, broken)
		}
	}, time.Time{})
	if !errors.Is(err, broken) {
		t.Errorf("error %v; want that of the documents", err)
	}
	if _, err := export.Load(t.Context(), all([]string{`{"id": 1}`}), time.Time{}); err == nil {
		t.Error("no error for what is no record")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := export.Load(ctx, all(documents), time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want canceled", err)
	}
}

func TestAdvisories(t *testing.T) {
	// More than one chunk, so that the order does not come from there being one.
	var docs []string
	var want []string
	for i := range 1000 {
		docs = append(docs, fmt.Sprintf(`{"id":"MAL-2026-%d","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"p%04d"},"versions":["1.0.0"]}]}`, 9000-i, i))
		want = append(want, fmt.Sprintf("p%04d", i))
	}
	c := load(t, append(docs, documents...)...)
	var names []string
	for a, err := range c.Advisories(t.Context(), advisory.Links{}, "npm") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, a.Name)
	}
	if want := slices.Concat([]string{"aa", "mm"}, want, []string{"zz"}); !slices.Equal(names, want) {
		t.Errorf("%d names; want %d", len(names), len(want))
	}
	n := 0
	for a, err := range c.Advisories(t.Context(), advisory.Links{}) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Key.Ecosystem == "PyPI" {
			t.Errorf("%s is taken back and yet an advisory", a.ID)
		}
		if n++; n == 3 {
			break // a reader that stops early leaves nobody waiting
		}
	}
}

func TestLists(t *testing.T) {
	c := load(t, documents...)
	for name, want := range map[string]string{
		"lines": "npm:mm@1.0.0\nGo:example.com/evil@1.0.0\nnpm:aa@*\nnpm:zz@1.0.0\n",
		"csv": `id,ecosystem,name,versions,purl,state,campaign,published,modified
GHSA-xxxx-xxxx-xxxx,npm,mm,1.0.0,pkg:npm/mm,in force,,,2026-01-01T00:00:00Z
GHSA-xxxx-xxxx-xxxx,Go,example.com/evil,1.0.0,pkg:golang/example.com/evil,in force,,,2026-01-01T00:00:00Z
MAL-2026-1,npm,aa,*,pkg:npm/aa,in force,,2026-01-01T00:00:00Z,2026-01-02T00:00:00.5Z
MAL-2026-2,PyPI,taken-back,1.0,pkg:pypi/taken-back,withdrawn,,2026-01-01T00:00:00Z,2026-01-04T00:00:00Z
MAL-2026-3,npm,zz,1.0.0,pkg:npm/zz,in force,worm-1,2026-01-01T00:00:00Z,2026-01-03T00:00:00Z
MAL-2026-4,PyPI,doubted,1.0,pkg:pypi/doubted,disputed,,2026-01-01T00:00:00Z,2026-01-05T00:00:00Z
`,
	} {
		f, ok := export.Find(name)
		if !ok {
			t.Fatalf("no format %s", name)
		}
		var b bytes.Buffer
		if err := f.File(t.Context(), c, &b, export.Options{}); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s:\n%s; want\n%s", name, b.String(), want)
		}
	}
}

// Every format is one kind of thing, and writes the same bytes whatever order the records came in.
func TestFormats(t *testing.T) {
	reversed := slices.Clone(documents)
	slices.Reverse(reversed)
	one, two := load(t, documents...), load(t, reversed...)
	seen := map[string]bool{}
	for _, f := range export.Formats() {
		t.Run(f.Name, func(t *testing.T) {
			if (f.File == nil) == (f.Tree == nil) || f.About == "" || seen[f.Name] {
				t.Fatalf("format %+v", f)
			}
			seen[f.Name] = true
			opt := export.Options{Publisher: "Acme", Server: "https://list.example/x", Links: advisory.Links{Base: "https://list.example/advisories"}}
			first, second := written(t, f, one, opt), written(t, f, two, opt)
			if len(first) == 0 {
				t.Fatal("nothing is written")
			}
			for name, content := range first {
				if second[name] != content {
					t.Errorf("%s differs", name)
				}
			}
			if len(first) != len(second) {
				t.Errorf("%d and %d files", len(first), len(second))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if f.File != nil {
				if err := f.File(ctx, one, new(bytes.Buffer), opt); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v; want canceled", err)
				}
			}
		})
	}
}

// written gives what a format writes, by name.
func written(t *testing.T, f export.Format, c *export.Catalog, opt export.Options) map[string]string {
	t.Helper()
	if f.File != nil {
		var b bytes.Buffer
		if err := f.File(t.Context(), c, &b, opt); err != nil {
			t.Fatal(err)
		}
		return map[string]string{"file": b.String()}
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := export.WriteTree(t.Context(), f, c, dir, opt); err != nil {
		t.Fatal(err)
	}
	return tree(t, dir)
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		out[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteTree(t *testing.T) {
	c := load(t, documents...)
	content := "one"
	failing := error(nil)
	f := export.Format{Name: "test", Tree: func(_ context.Context, _ *export.Catalog, dir *os.Root, _ export.Options) error {
		if err := dir.MkdirAll("a/b", 0o755); err != nil {
			return err
		}
		return errors.Join(dir.WriteFile("a/b/c", []byte(content), 0o644), failing)
	}}
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	write := func() error { return export.WriteTree(t.Context(), f, c, dir, export.Options{}) }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	content = "two"
	if err := write(); err != nil {
		t.Fatalf("the second export: %v", err)
	}
	if got := tree(t, dir); got["a/b/c"] != "two" || len(got) != 2 {
		t.Errorf("%q", got)
	}
	content, failing = "three", errors.New("no more")
	if err := write(); !errors.Is(err, failing) {
		t.Errorf("error %v", err)
	}
	if got := tree(t, dir); got["a/b/c"] != "two" {
		t.Errorf("a failed export left %q", got)
	}
	failing = nil
	if err := os.Remove(filepath.Join(dir, export.Marker)); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, export.ErrExists) {
		t.Errorf("error %v; want %v", err, export.ErrExists)
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), "out") {
		t.Errorf("left over: %v", entries)
	}
	if err := os.MkdirAll(filepath.Join(parent, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := export.WriteTree(t.Context(), f, c, filepath.Join(parent, "empty"), export.Options{}); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
}

// Runs of versions of one range are alternatives, as OSV's evaluation has them: a word for each. Comparisons of one word all hold.
func TestListsOfRuns(t *testing.T) {
	c := load(t, `{"id":"MAL-2026-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["9.0.0"],"ranges":[
		{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.5.0"},{"introduced":"1.0.0"},{"fixed":"1.0.10"},{"introduced":"2.0.0"}]},
		{"type":"SEMVER","events":[{"introduced":"0"},{"last_affected":"0.6.0"}]}]}]}`)
	f, _ := export.Find("lines")
	var b bytes.Buffer
	if err := f.File(t.Context(), c, &b, export.Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "npm:a@9.0.0\nnpm:a@<0.5.0\nnpm:a@>=1.0.0,<1.0.10\nnpm:a@>=2.0.0\nnpm:a@<=0.6.0\n"; b.String() != want {
		t.Errorf("%s; want\n%s", b.String(), want)
	}
}
