package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
	"github.com/rapsheet/rapsheet/osv"
)

// ended is how a process of its own came out.
type ended struct {
	status         int
	stdout, stderr string
}

// start runs the command in a process of its own.
func start(t *testing.T, env []string, args ...string) ended {
	var out, errOut bytes.Buffer
	cmd := exec.Command("rapsheet", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// Several importers at once, into one new store: what comes out is what some order of them gives, or one says that
// it was not its turn and comes through the next time.
func TestSeveralImporters(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, n := range []int{2, 8} {
			t.Run(fmt.Sprintf("%s, %d importers", engine, n), func(t *testing.T) {
				if n > 2 && testing.Short() {
					t.Skip("starts many processes")
				}
				s := newShell(t)
				s.store = "sqlite:" + filepath.Join(t.TempDir(), "store.db")
				if engine == "postgres" {
					s.store = pgtest.Start(t)
				}
				importAtOnce(t, s, n)
			})
		}
	}
}

// ofEach is how many packages an importer has for itself, and how many it shares with all others.
const ofEach = 40

func importAtOnce(t *testing.T, s *shell, n int) {
	dir := t.TempDir()
	env := []string{"RAPSHEET_HOME=" + dir, "RAPSHEET_STORE=" + s.store}
	paths := make([]string, n)
	for i := range paths {
		var csv strings.Builder
		csv.WriteString("ecosystem,name,version\n")
		for j := range ofEach {
			fmt.Fprintf(&csv, "npm,own%d-%d,1.0.0\nnpm,shared-%d,1.0.%d\n", i, j, j, i)
		}
		paths[i] = filepath.Join(dir, fmt.Sprintf("list%d.csv", i))
		if err := os.WriteFile(paths[i], []byte(csv.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Each list is imported by two processes.
	results := make([]ended, 2*n)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = start(t, env, "catalog", "import", paths[i/2], "--yes") })
	}
	wg.Wait()
	for i, r := range results {
		switch {
		case r.status == 0:
		case strings.Contains(r.stderr, "another import is writing") && strings.Contains(r.stderr, "hint: wait until it has ended"):
			t.Logf("importer %d had to wait too long", i)
			if again := start(t, env, "catalog", "import", paths[i/2], "--yes"); again.status != 0 {
				t.Errorf("the next time: %+v", again)
			}
		default:
			t.Errorf("importer %d: %+v", i, r)
		}
	}
	records := s.records()
	if want := n*ofEach + ofEach; len(records) != want {
		t.Errorf("%d records, want %d", len(records), want)
	}
	packages := map[string]bool{}
	for i := range len(records) {
		// Numbers come one after another: none is left out, none given twice.
		line, there := records[fmt.Sprintf("MAL-0000-local-%d", i+1)]
		if !there {
			t.Errorf("there is no MAL-0000-local-%d", i+1)
			continue
		}
		doc, _, err := osv.Parse([]byte(strings.TrimSpace(line)))
		if err != nil {
			t.Fatal(err)
		}
		a := doc.Affected[0]
		want := 1
		if strings.HasPrefix(a.Package.Name, "shared-") {
			want = n
		}
		if len(a.Versions) != want || packages[a.Package.Name] {
			t.Errorf("%s: versions %v, want %d; met before: %v", a.Package.Name, a.Versions, want, packages[a.Package.Name])
		}
		packages[a.Package.Name] = true
	}
	status := s.must("catalog", "status")
	if got := strings.Count(status, fmt.Sprintf(" %d claims, imported", 2*ofEach)); got != n {
		t.Errorf("%d of %d lists are whole:\n%s", got, n, status)
	}
	for _, path := range paths {
		if out := s.must("catalog", "import", path, "--yes"); !strings.Contains(out, "the same as last time, 0 changes") {
			t.Errorf("again: %s", out)
		}
	}
}

// With --debug, what an import and a release do at once writes to one standard error; the race detector looks at it here.
func TestDebug(t *testing.T) {
	var csv strings.Builder
	csv.WriteString("ecosystem,name,version\n")
	for i := range 200 {
		fmt.Fprintf(&csv, "npm,evil-%d,1.0.0\n", i)
	}
	list := writeFile(t, "list.csv", []byte(csv.String()))
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			s := newShell(t)
			if engine == "postgres" {
				s.store = pgtest.Start(t)
			}
			out := filepath.Join(t.TempDir(), "out")
			for i, args := range [][]string{{"import", list, "--yes"}, {"publish", "-o", out}, {"publish", "-o", out}, {"status"}} {
				status, _, stderr := s.run(append(append([]string{"catalog"}, args...), "--debug")...)
				if status != rapsheet.ExitClean || i == 0 && !strings.Contains(stderr, "msg=") {
					t.Errorf("%v: status %d: %s", args, status, stderr)
				}
			}
		})
	}
}
