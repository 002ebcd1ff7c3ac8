// Package sameanswers asks everything that answers for a catalog the same questions: the commands, the served interfaces
// and every exported file, read as its reader reads it. It has tests only.
//
// Flow: [facts], written by hand, and a sample of real records → one snapshot and some 700 pairs of a package and a
// version → each [asker] answers them → a difference is one of the asker's [limit]s, or the test fails → the rows of
// docs/same-answers.md, which have to be the file's.
package sameanswers

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/server"
)

var (
	update = flag.Bool("update", false, "write docs/same-answers.md; needs every program, ../shared/data and RAPSHEET_CLIENTS=1")
	now    = time.Date(2026, 1, 3, 4, 5, 6, 0, time.UTC)
)

// asker is one interface and who reads it.
type asker struct {
	name, reader string
	ecosystems   []string // nil is all
	ask          func(t *testing.T, w *world, pairs []*pair) []bool
	limits       []limit
}

// limit is a documented difference. It has to occur: a limit that nothing meets any more fails the test.
type limit struct {
	why string
	hit func(p *pair) bool // asked only where the answers differ
}

// world is what is asked.
type world struct {
	*corpus
	dir      string
	snapshot string // a file
	url      string // of a server

	mu      sync.Mutex
	exports map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{corpus: newCorpus(t), dir: t.TempDir(), exports: map[string]string{}}
	w.snapshot = filepath.Join(w.dir, "catalog.idx")
	if err := os.WriteFile(w.snapshot, w.corpus.snapshot(t), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	s := server.New(server.Config{Public: "http://" + srv.Listener.Addr().String(), Publisher: "Acme", Spool: t.TempDir()})
	t.Cleanup(s.Close)
	if err := s.Swap(w.index(t)); err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = s.Handler()
	srv.Start()
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// command runs one command line and gives what it writes.
func (w *world) command(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := cli.Env{Now: func() time.Time { return now }, Version: "test", Getenv: func(string) string { return "" }}
	status = cli.Run(context.Background(), env, strings.NewReader(""), &stdout, &stderr, args)
	if status > 1 {
		t.Fatalf("%.200q: status %d\n%s", args, status, stderr.String())
	}
	return stdout.String(), status
}

// export writes a format by its command, once, and gives the path.
func (w *world) export(t *testing.T, format string) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.exports[format]; ok {
		return at
	}
	at := filepath.Join(w.dir, "export-"+format)
	w.command(t, "catalog", "export", format, "--catalog", w.snapshot, "--all", "--links", "https://list.example/advisories", "--server", "https://list.example/nuget/v3", "--publisher", "Acme", "-o", at)
	w.exports[format] = at
	return at
}

// read gives a file of an export.
func (w *world) read(t *testing.T, format string, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{w.export(t, format)}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files calls each with every file of an export whose name has the suffix.
func (w *world) files(t *testing.T, format, suffix string, each func(path string, data []byte)) {
	t.Helper()
	root := w.export(t, format)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		each(filepath.ToSlash(rel), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v: %.300s", err, data)
	}
}

// count is how one half of the pairs was answered.
type count struct {
	asked, same int
	limits      []int
}

// rows of docs/same-answers.md for an asker, one for each half.
func (a *asker) row(c count) string {
	var limits []string
	for i, l := range a.limits {
		if c.limits[i] > 0 {
			limits = append(limits, fmt.Sprintf("%d: %s", c.limits[i], l.why))
		}
	}
	if limits == nil {
		limits = []string{"–"}
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %s |\n", a.name, a.reader, c.asked, c.same, strings.Join(limits, "<br>"))
}

const (
	docFile  = "../../docs/same-answers.md"
	rowsHead = "| interface | read by | pairs asked | identical | the others, by reason |\n| --- | --- | --- | --- | --- |\n"
)

func TestSameAnswers(t *testing.T) {
	w := newWorld(t)
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	tables := [2]strings.Builder{}
	complete := w.real
	askers := slices.Concat(commandAskers, servedAskers, treeAskers, listAskers, documentAskers, clientAskers)
	for _, a := range askers {
		ok := t.Run(a.name, func(t *testing.T) {
			counts := w.put(t, &a)
			for i, c := range counts {
				if c.asked == 0 { // the real records have nothing of these ecosystems
					continue
				}
				row := a.row(c)
				tables[i].WriteString(row)
				if !*update && !bytes.Contains(section(doc, i), []byte(row)) {
					t.Errorf("docs/same-answers.md has not this row (run with -update to write it):\n%s", row)
				}
			}
			if w.real {
				for i, l := range a.limits {
					if counts[0].limits[i]+counts[1].limits[i] == 0 {
						t.Errorf("no answer differs any more by the limit %q", l.why)
					}
				}
			}
		})
		complete = complete && ok && strings.Contains(tables[0].String(), "| "+a.name+" | ")
	}
	if *update {
		if !complete {
			t.Fatal("not written: something was left out or failed")
		}
		writeDoc(t, doc, [2]string{tables[0].String(), tables[1].String()})
	}
	if got, want := bytes.Count(section(doc, 0), []byte("\n| "))-2, len(askers); !*update && got != want {
		t.Errorf("docs/same-answers.md has %d rows by hand, and there are %d interfaces", got, want)
	}
}

// put asks all pairs of a's ecosystems and explains the differences.
func (w *world) put(t *testing.T, a *asker) (counts [2]count) {
	t.Helper()
	var pairs []*pair
	for _, p := range w.pairs {
		if a.ecosystems == nil || slices.Contains(a.ecosystems, p.Ecosystem) {
			pairs = append(pairs, p)
		}
	}
	answers := a.ask(t, w, pairs)
	if len(answers) != len(pairs) {
		t.Fatalf("%d answers to %d questions", len(answers), len(pairs))
	}
	for i := range counts {
		counts[i].limits = make([]int, len(a.limits))
	}
	for i, p := range pairs {
		c := &counts[0]
		if p.real {
			c = &counts[1]
		}
		c.asked++
		if answers[i] == p.bad {
			c.same++
			continue
		}
		at := slices.IndexFunc(a.limits, func(l limit) bool { return l.hit(p) })
		if at < 0 {
			t.Errorf("%s: %v, want %v (%s)", p, answers[i], p.bad, p.verdict)
			continue
		}
		c.limits[at]++
	}
	return counts
}

// marks of the two tables in the document.
var marks = [2]string{"## By hand\n", "## Real records\n"}

// section is the part of the document below a mark.
func section(doc []byte, i int) []byte {
	_, rest, _ := bytes.Cut(doc, []byte(marks[i]))
	if at := bytes.Index(rest, []byte("\n## ")); at >= 0 {
		rest = rest[:at+1]
	}
	return rest
}

func writeDoc(t *testing.T, doc []byte, tables [2]string) {
	t.Helper()
	for i, rows := range tables {
		old := section(doc, i)
		text, _, _ := bytes.Cut(old, []byte("| interface |"))
		doc = bytes.Replace(doc, append([]byte(marks[i]), old...), append([]byte(marks[i]), append(slices.Clone(text), rowsHead+rows+"\n"...)...), 1)
	}
	doc = append(bytes.TrimRight(doc, "\n"), '\n')
	if err := os.WriteFile(docFile, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}
