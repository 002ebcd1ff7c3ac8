package registry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// paged is a registry of pages, of which the n-th goes on at "n+1".
type paged struct {
	pages []registry.Page
	// asked are the places that listings began at; fails is the page that cannot be had, from 1.
	asked []string
	fails int
}

func newPaged() *paged {
	p := &paged{}
	for i := range 4 {
		page := registry.Page{Next: strconv.Itoa(i + 1)}
		for k := range 3 {
			page.Sightings = append(page.Sightings, rapsheet.Sighting{
				Package:  rapsheet.Package{Ecosystem: "npm", Name: fmt.Sprintf("@s/p%d\n\u202e\"", i), Version: fmt.Sprintf("1.0.%d", k), PURL: "pkg:npm/x"},
				Location: rapsheet.Location{Path: "https://r.example/p", Line: k, Kind: "nexus", Layer: "l", Gone: "g"},
				Evidence: rapsheet.Evidence{Origin: rapsheet.OriginRegistry, URL: "https://r.example/p/-/p.tgz", Host: "r.example", Mirror: k == 1,
					Digests: []rapsheet.Digest{{Algorithm: "sha1", Hex: sha1A}}},
			})
		}
		page.Notes = []*rapsheet.Note{{Kind: rapsheet.NoteUnmatchable, Path: "p", Line: 1, Message: fmt.Sprintf("page %d", i), Count: 2}}
		p.pages = append(p.pages, page)
	}
	p.pages[3].Next = ""
	return p
}

func (p *paged) List(ctx context.Context, from string) iter.Seq2[registry.Page, error] {
	p.asked = append(p.asked, from)
	return func(yield func(registry.Page, error) bool) {
		n, _ := strconv.Atoi(from)
		for i, page := range p.pages[n:] {
			if ctx.Err() != nil {
				yield(registry.Page{}, ctx.Err())
				return
			}
			if n+i+1 == p.fails {
				yield(registry.Page{}, errors.New("500 Internal Server Error"))
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (*paged) Holding(context.Context, rapsheet.Sighting) (rapsheet.Holding, error) {
	return rapsheet.Holding{}, nil
}

var _ registry.Registry = (*paged)(nil)

// seen is a stream as it came: sightings, and notes about the listing itself apart from those of pages.
type seen struct {
	sightings []rapsheet.Sighting
	notes     []rapsheet.Note
	said      []string
}

// list lists r with a journal at path, "" for none.
func list(t *testing.T, r registry.Registry, path string) (s seen) {
	t.Helper()
	var j *registry.Journal
	if path != "" {
		var err error
		if j, err = registry.OpenJournal(path, "https://r.example"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	for v, err := range registry.Sightings(t.Context(), r, "r", j) {
		var n *rapsheet.Note
		switch {
		case err == nil:
			s.sightings = append(s.sightings, v)
		case !errors.As(err, &n):
			t.Fatal(err)
		case n.Path == "r":
			s.said = append(s.said, string(n.Kind)+": "+n.Message)
		default:
			s.notes = append(s.notes, *n)
		}
	}
	return s
}

func (s seen) same(t *testing.T, what string, want seen) {
	t.Helper()
	if !reflect.DeepEqual(s.sightings, want.sightings) || !reflect.DeepEqual(s.notes, want.notes) {
		t.Errorf("%s: %d sightings and %d notes, want %d and %d, or they differ", what, len(s.sightings), len(s.notes), len(want.sightings), len(want.notes))
	}
}

// A listing that was killed at any moment, which leaves the journal cut off at any byte, goes on at the first page
// that is not whole, and the whole is what a listing without interruption gives.
func TestJournalCutAnywhere(t *testing.T) {
	whole := list(t, newPaged(), "")
	path := filepath.Join(t.TempDir(), "j")
	list(t, newPaged(), path).same(t, "with a journal", whole)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, torn := range []string{"", "\x00\x00\x00", "{}", "[]\n", "{\"page\":{\"next\":7}}\n", "{\"page\"\n{\"page\":{\"next\":\"3\"}}\n"} {
		for n := range len(b) + 1 {
			// Where a line ends, a byte to both sides, and now and then inside one.
			boundary := n == 0 || b[n-1] == '\n'
			if !boundary && (torn != "" || n%101 != 0 && n != len(b) && b[n] != '\n' && (n < 2 || b[n-2] != '\n')) {
				continue
			}
			cut := string(b[:n])
			if torn != "" && !strings.Contains(cut, "\n") {
				continue // not a journal any more: see TestJournalRefused
			}
			if err := os.WriteFile(path, []byte(cut+torn), 0o600); err != nil {
				t.Fatal(err)
			}
			r := newPaged()
			what := fmt.Sprintf("cut at %d of %d, then %q", n, len(b), torn)
			got := list(t, r, path)
			got.same(t, what, whole)
			marks := strings.Count(cut, `{"page":`)
			if i := strings.LastIndex(cut, `{"page":`); i >= 0 && !strings.Contains(cut[i:], "\n") {
				marks--
			}
			want := []string{strconv.Itoa(marks)}
			switch marks {
			case 0:
				want = []string{""}
			case 4:
				want = nil
			}
			if !reflect.DeepEqual(r.asked, want) {
				t.Errorf("%s: asked from %q, want %q", what, r.asked, want)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(b) {
				t.Fatalf("%s: the journal is not what it is without interruption: %v", what, err)
			}
		}
	}
	done := list(t, newPaged(), path)
	if want := []string{"info: the journal is finished: nothing was listed anew"}; !reflect.DeepEqual(done.said, want) {
		t.Errorf("said %q, want %q", done.said, want)
	}
}

// A registry that fails is a note, its pages so far are in the journal, and the next listing goes on.
func TestJournalAfterFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	r := newPaged()
	r.fails = 3
	first := list(t, r, path)
	if want := []string{"unread: the listing ended early, the rest was not checked: 500 Internal Server Error"}; !reflect.DeepEqual(first.said, want) || len(first.sightings) != 6 {
		t.Errorf("%d sightings, said %q; want 6, %q", len(first.sightings), first.said, want)
	}
	r.fails = 0
	second := list(t, r, path)
	second.same(t, "gone on", list(t, newPaged(), ""))
	if want := []string{"", "2"}; !reflect.DeepEqual(r.asked, want) {
		t.Errorf("asked from %q, want %q", r.asked, want)
	}
	if want := []string{"info: the beginning comes from the journal"}; !reflect.DeepEqual(second.said, want) {
		t.Errorf("said %q, want %q", second.said, want)
	}
}

// A file that is something else, or another registry's journal, is left as it is.
func TestJournalRefused(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"other":   `{"rapsheet_journal":1,"of":"https://other.example"}` + "\n",
		"future":  `{"rapsheet_journal":99,"of":"https://r.example"}` + "\n",
		"text":    "dear diary\n",
		"no line": "dear diary",
		"json":    "{}\n",
		"long":    strings.Repeat("x", 2<<20),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := registry.OpenJournal(path, "https://r.example"); err == nil {
			j.Close()
			t.Errorf("%s: taken for the journal", name)
		} else if name != "long" && !errors.Is(err, registry.ErrOtherJournal) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%s was changed", name)
		}
	}
	if _, err := registry.OpenJournal(dir, "x"); err == nil {
		t.Error("a directory is taken for a journal")
	}
	path := filepath.Join(dir, "twice")
	j, err := registry.OpenJournal(path, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if k, err := registry.OpenJournal(path, "x"); err == nil {
		k.Close()
		t.Error("two processes may write one journal")
	}
}

// Who stops the stream, or ends its context, is asked for no more, and the journal is whole pages.
func TestJournalStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j, err := registry.OpenJournal(path, "https://r.example")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var last error
	for _, err := range registry.Sightings(ctx, newPaged(), "r", j) {
		if n++; n == 5 {
			cancel()
		}
		last = err
	}
	if err := j.Close(); err != nil || !errors.Is(last, context.Canceled) {
		t.Errorf("%v, %v", err, last)
	}
	list(t, newPaged(), path).same(t, "after Ctrl-C", list(t, newPaged(), ""))
	for range registry.Sightings(t.Context(), newPaged(), "r", nil) {
		break
	}
}

func FuzzJournal(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	j, err := registry.OpenJournal(path, "https://r.example")
	if err != nil {
		f.Fatal(err)
	}
	for range registry.Sightings(f.Context(), newPaged(), "r", j) { //nolint:revive // the stream is drained
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(b), "\n")
	f.Add(rest)
	f.Add(rest[:len(rest)/2])
	f.Add(`{"sighting":{}}` + "\n" + `{"page":{"next":"1"}}` + "\n{}\n")
	f.Fuzz(func(t *testing.T, rest string) {
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, []byte(head+"\n"+rest), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := registry.OpenJournal(path, "https://r.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range registry.Sightings(t.Context(), empty{}, "r", j) {
			var n *rapsheet.Note
			if err != nil && !errors.As(err, &n) {
				t.Errorf("an error that is no note: %v", err)
			}
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(head+"\n"+rest, string(b)) {
			t.Errorf("the journal has something that nobody wrote: %q, %v", b, err)
		}
	})
}

// empty is a registry that gives nothing more.
type empty struct{ *paged }

func (empty) List(context.Context, string) iter.Seq2[registry.Page, error] {
	return func(func(registry.Page, error) bool) {}
}
