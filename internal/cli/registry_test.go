package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// shelves is a registry of pages of one package each, evil-N at 1.0.0.
type shelves struct {
	pages int
	// fails is the page that cannot be had, from 1; mute lets every question about a holding fail.
	fails int
	mute  bool
	// listed and asked count pages and questions.
	listed, asked int
}

func (s *shelves) List(_ context.Context, from string) iter.Seq2[registry.Page, error] {
	return func(yield func(registry.Page, error) bool) {
		first, _ := strconv.Atoi(from)
		for n := first; n < s.pages; n++ {
			s.listed++
			if n+1 == s.fails {
				yield(registry.Page{}, errors.New("the connection broke"))
				return
			}
			page := registry.Page{Next: strconv.Itoa(n + 1), Sightings: []rapsheet.Sighting{{
				Package:  rapsheet.Package{Ecosystem: "npm", Name: fmt.Sprintf("evil-%d", n), Version: "1.0.0"},
				Location: rapsheet.Location{Path: fmt.Sprintf("https://npm.example/evil-%d", n), Kind: "npm"},
			}}}
			if n == s.pages-1 {
				page.Next = ""
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (s *shelves) Holding(_ context.Context, v rapsheet.Sighting) (rapsheet.Holding, error) {
	s.asked++
	if s.mute {
		return rapsheet.Holding{}, errors.New("503 Service Unavailable")
	}
	return rapsheet.Holding{Registry: "https://npm.example", Served: rapsheet.ServedYes, Purge: []string{"npm unpublish " + v.Package.Name + "@" + v.Package.Version}}, nil
}

// evilList lists evil-0 to evil-(n-1), the first one in two records.
func evilList(t *testing.T, n int) (home, list string) {
	t.Helper()
	home = t.TempDir()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"schema_version": "1.7.4", "id": "MAL-2026-%d", "modified": "2026-11-01T00:00:00Z", "published": "2026-11-01T00:00:00Z", "summary": "Malicious code",
 "affected": [{"package": {"ecosystem": "npm", "name": "evil-%d"}, "versions": ["1.0.0"]}]}`, i+1, i%(max(n-1, 1)))
		b.WriteString("\n")
	}
	list = filepath.Join(home, "list.jsonl")
	if err := os.WriteFile(list, []byte(strings.ReplaceAll(b.String(), "\n \"affected", " \"affected")), 0o600); err != nil {
		t.Fatal(err)
	}
	return home, list
}

// ask runs the command registry against r.
func ask(t *testing.T, home string, r registry.Registry, names *[]rapsheet.Key, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{
		env:   Env{Getenv: func(k string) string { return map[string]string{"RAPSHEET_HOME": home}[k] }, Now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }},
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		opener: func(_ context.Context, url string, opt registry.Options) (registry.Registry, error) {
			if names != nil && opt.Names != nil {
				*names = slices.Collect(opt.Names)
			}
			return r, nil
		},
	}
	root := a.root()
	root.SetArgs(append([]string{"registry"}, args...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		return a.fail(err), out.String(), errs.String()
	}
	return a.status, out.String(), errs.String()
}

func has(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	wrapped := strings.Join(strings.Fields(text), " ")
	for _, want := range wants {
		if !strings.Contains(text, want) && !strings.Contains(wrapped, want) {
			t.Errorf("%s: no %q in:\n%s", what, want, text)
		}
	}
}

// Every finding is asked about once, whatever number of records it has; what is not found is not asked about.
func TestRegistryAsksAboutFindings(t *testing.T) {
	home, list := evilList(t, 3) // evil-0 twice, evil-1
	r := &shelves{pages: 5}
	status, out, _ := ask(t, home, r, nil, "--catalog", list, "--purge-plan", filepath.Join(home, "plan"), "https://user:hunter2@npm.example/?token=hunter2")
	if status != rapsheet.ExitFound || r.asked != 2 {
		t.Errorf("status %d, asked %d times, want 1 and 2", status, r.asked)
	}
	has(t, "report", out, "held     in https://npm.example, which still gives it out", "  npm unpublish evil-0@1.0.0")
	plan, err := os.ReadFile(filepath.Join(home, "plan"))
	if err != nil {
		t.Fatal(err)
	}
	has(t, "plan", string(plan), "from https://npm.example/.", "# evil-0 1.0.0 (npm): MAL-2026-1, MAL-2026-3\n", "\nnpm unpublish evil-0@1.0.0\n", "\nnpm unpublish evil-1@1.0.0\n")
	if strings.Contains(out+string(plan), "hunter2") {
		t.Error("the address's credentials are shown")
	}
}

// A registry that does not answer costs what it would say, not the findings, and is left alone after a while.
func TestRegistryDoesNotAnswer(t *testing.T) {
	home, list := evilList(t, 9)
	r := &shelves{pages: 8, mute: true}
	status, out, _ := ask(t, home, r, nil, "--catalog", list, "https://npm.example/")
	if status != rapsheet.ExitFound || r.asked != maxUnanswered {
		t.Errorf("status %d, asked %d times", status, r.asked)
	}
	has(t, "report", out, "MALICIOUS: 8 packages", "how it holds npm/evil-0@1.0.0 could not be told: 503 Service Unavailable", "after 5 such answers it was asked no more")
}

// A listing that broke off is incomplete, and --resume goes on where it was.
func TestRegistryResume(t *testing.T) {
	home, list := evilList(t, 2) // evil-0 twice
	journal := filepath.Join(home, "j")
	r := &shelves{pages: 4, fails: 3}
	clean := filepath.Join(home, "clean.jsonl")
	if err := os.WriteFile(clean, []byte(`{"schema_version": "1.7.4", "id": "MAL-2026-9", "modified": "2026-11-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "other"}, "versions": ["1"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, _ := ask(t, home, r, nil, "--catalog", clean, "--resume", journal, "https://npm.example/")
	if status != rapsheet.ExitIncomplete {
		t.Errorf("status %d, want 3", status)
	}
	has(t, "report", out, "INCOMPLETE", "the listing ended early, the rest was not checked: the connection broke")
	r.fails, r.listed = 0, 0
	status, out, _ = ask(t, home, r, nil, "--catalog", list, "--resume", journal, "https://npm.example/")
	if status != rapsheet.ExitFound || r.listed != 2 {
		t.Errorf("status %d, %d pages listed, want 1 and 2", status, r.listed)
	}
	has(t, "report", out, "checked 4 packages", "the beginning comes from the journal")
	r.listed = 0
	_, out, _ = ask(t, home, r, nil, "--catalog", list, "--resume", journal, "https://npm.example/")
	has(t, "report", out, "checked 4 packages", "the journal is finished")
	if r.listed != 0 {
		t.Errorf("%d pages listed of a finished journal", r.listed)
	}
	for _, args := range [][]string{{"https://other.example/"}, {"--type", "npm", "https://npm.example/"}, {"--names-from", "catalog", "https://npm.example/"}} {
		status, _, errs := ask(t, home, r, nil, append([]string{"--catalog", list, "--resume", journal}, args...)...)
		if status != rapsheet.ExitUsage {
			t.Errorf("%q: status %d, want 2", args, status)
		}
		has(t, "message", errs, "the journal is of something else: of https://npm.example/", "remove this one to begin anew")
	}
}

// A journal is of the names that were asked for: with others, those of a catalog that was updated, it is not gone on with.
func TestRegistryResumeNames(t *testing.T) {
	home, list := evilList(t, 2)
	_, grown := evilList(t, 3)
	journal := filepath.Join(home, "j")
	args := []string{"--names-from", "catalog", "--resume", journal, "https://npm.example/", "--catalog"}
	for _, want := range []int{rapsheet.ExitFound, rapsheet.ExitFound} {
		if status, out, errs := ask(t, home, &shelves{pages: 1}, nil, append(args, list)...); status != want {
			t.Errorf("status %d, want %d: %s%s", status, want, out, errs)
		}
	}
	status, _, errs := ask(t, home, &shelves{pages: 1}, nil, append(args, grown)...)
	if status != rapsheet.ExitUsage {
		t.Errorf("status %d, want 2", status)
	}
	has(t, "message", errs, "the journal is of something else: of https://npm.example/ for the 1 names of catalog (sha256 ", "remove this one to begin anew")
}

// Names are those of the records as published, or those of a file.
func TestRegistryNames(t *testing.T) {
	home, list := evilList(t, 3)
	var names []rapsheet.Key
	ask(t, home, &shelves{}, &names, "--catalog", list, "--names-from", "catalog", "https://npm.example/")
	if want := []rapsheet.Key{{Ecosystem: "npm", Name: "evil-0"}, {Ecosystem: "npm", Name: "evil-1"}}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	file := filepath.Join(home, "names")
	if err := os.WriteFile(file, []byte("# names\n\n pkg:golang/github.com/Evil/m@v1.0.0 \nsome-name\npkg:golang/github.com/Evil/m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(t, home, &shelves{}, &names, "--catalog", list, "--names-from", file, "https://npm.example/")
	want := []rapsheet.Key{{Ecosystem: "Go", Name: "github.com/Evil/m"}, {Ecosystem: "Go", Name: "some-name"}, {Ecosystem: "NuGet", Name: "some-name"}, {Ecosystem: "PyPI", Name: "some-name"}, {Ecosystem: "npm", Name: "some-name"}}
	if !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if err := os.WriteFile(file, []byte("pkg:nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := ask(t, home, &shelves{}, &names, "--catalog", list, "--names-from", file, "https://npm.example/")
	if status != rapsheet.ExitUsage || !strings.Contains(errs, "names:1: ") {
		t.Errorf("status %d, %s", status, errs)
	}
}
