package lint_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/lint"
)

func doc(t testing.TB, id, name string, pairs ...string) lint.File {
	t.Helper()
	p := append([]string{`"id":"MAL-2026-1"`, `"id":"` + id + `"`, pkgNPM, `{"ecosystem":"npm","name":"` + name + `"}`}, pairs...)
	return lint.File{Path: name + "/" + id + ".json", Data: []byte(edit(t, p...))}
}

func aliases(ids ...string) []string {
	return []string{`"summary"`, `"aliases":["` + strings.Join(ids, `","`) + `"],"summary"`}
}

func collect(t testing.TB, files []lint.File, rules lint.Rules) []string {
	t.Helper()
	var out []string
	for p, err := range lint.Tree(context.Background(), stream(files), rules) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.Path+" "+p.Rule)
	}
	return out
}

// Rules about documents that are seen together; aliases and withdrawals as
// https://ossf.github.io/osv-schema/ has them.
func TestTreeRules(t *testing.T) {
	withdrawn := []string{`"summary"`, `"withdrawn":"2026-01-02T00:00:00Z","summary"`}
	for _, tt := range []struct {
		name  string
		files []lint.File
		want  []string
	}{
		{"different ids and packages", []lint.File{doc(t, "MAL-2026-1", "a"), doc(t, "MAL-2026-2", "b")}, nil},
		{"20 one id, two packages", []lint.File{doc(t, "MAL-2026-1", "a"), doc(t, "MAL-2026-1", "b")}, []string{"b/MAL-2026-1.json id-twice"}},
		{"one package, two records", []lint.File{doc(t, "MAL-2026-1", "a"), doc(t, "MAL-2026-2", "a")}, []string{"a/MAL-2026-2.json package-twice"}},
		{"one of them withdrawn", []lint.File{doc(t, "MAL-2026-1", "a", withdrawn...), doc(t, "MAL-2026-2", "a")}, nil},
		{"case tells npm packages apart", []lint.File{doc(t, "MAL-2026-1", "JSONStream"), doc(t, "MAL-2026-2", "jsonstream")}, nil},
		{"an alias outside of the tree", []lint.File{doc(t, "MAL-2026-1", "a", aliases("GHSA-2222-3333-4444")...)}, nil},
		{"an alias in one direction", []lint.File{doc(t, "MAL-2026-1", "a", aliases("MAL-2026-2")...), doc(t, "MAL-2026-2", "b")}, nil},
		{"33 a cycle of two", []lint.File{doc(t, "MAL-2026-1", "a", aliases("MAL-2026-2")...), doc(t, "MAL-2026-2", "b", aliases("MAL-2026-1")...)}, []string{"b/MAL-2026-2.json alias-cycle"}},
		{"33 a cycle of three", []lint.File{
			doc(t, "MAL-2026-1", "a", aliases("MAL-2026-2")...), doc(t, "MAL-2026-2", "b", aliases("MAL-2026-3", "MAL-2026-9")...), doc(t, "MAL-2026-3", "c", aliases("MAL-2026-1")...),
		}, []string{"c/MAL-2026-3.json alias-cycle"}},
		{"two ways to one record are no cycle", []lint.File{
			doc(t, "MAL-2026-1", "a", aliases("MAL-2026-2", "MAL-2026-3")...), doc(t, "MAL-2026-2", "b", aliases("MAL-2026-4")...),
			doc(t, "MAL-2026-3", "c", aliases("MAL-2026-4")...), doc(t, "MAL-2026-4", "d", aliases("GHSA-2222-3333-4444")...),
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := collect(t, tt.files, lint.OSV); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A stream longer than a batch comes back in order, whatever the processors do.
func TestTreeOrder(t *testing.T) {
	var files []lint.File
	var want []string
	for i := range 2000 {
		f := doc(t, fmt.Sprintf("MAL-2026-%d", i+1), fmt.Sprintf("p%d", i))
		if i%3 == 0 {
			f.Data = f.Data[:i%len(f.Data)]
			want = append(want, f.Path+" json")
		}
		files = append(files, f)
	}
	if got := collect(t, files, lint.OSV); !slices.Equal(got, want) {
		t.Errorf("%d problems, want %d", len(got), len(want))
	}
}

// Errors of the stream are passed on in their place; a cancelled context ends it.
func TestTreeErrors(t *testing.T) {
	bad := errors.New("unreadable")
	mixed := func(yield func(lint.File, error) bool) {
		_ = yield(lint.File{Path: "a", Data: []byte("x")}, nil) && yield(lint.File{}, bad) && yield(lint.File{Path: "b", Data: nil}, nil)
	}
	var got []string
	for p, err := range lint.Tree(context.Background(), mixed, lint.OSV) {
		got = append(got, fmt.Sprint(p.Path, " ", err))
	}
	if want := []string{"a <nil>", " unreadable", "b <nil>"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got = nil
	for _, err := range lint.Tree(ctx, mixed, lint.OSV) {
		got = append(got, fmt.Sprint(err))
	}
	if !slices.Equal(got, []string{"context canceled"}) {
		t.Errorf("%q", got)
	}
	// A consumer that has enough is not called again, and nothing is left running.
	before := runtime.NumGoroutine()
	for range lint.Tree(context.Background(), mixed, lint.OSV) {
		break
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}
