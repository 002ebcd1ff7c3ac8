package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/publish"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
	"github.com/rapsheet/rapsheet/internal/store/postgres"
	"github.com/rapsheet/rapsheet/internal/store/sqlite"
)

// killed is what a child that is to be killed works on; its presence makes the test binary that child.
const killedStore, killedDir, killedFrom = "RAPSHEET_KILLED_STORE", "RAPSHEET_KILLED_DIR", "RAPSHEET_KILLED_FROM"

// packagesPerList is how many packages each list of the child has.
const packagesPerList = 20

// importAndPublish imports one list after another and publishes after each, saying so when the command has
// answered, until it is killed.
func importAndPublish() int {
	dir, name := os.Getenv(killedDir), os.Getenv(killedStore)
	from, err := strconv.Atoi(os.Getenv(killedFrom))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	env := cli.Env{Getenv: os.Getenv, Now: time.Now, Version: "test"}
	for i := from; ; i++ {
		var csv bytes.Buffer
		csv.WriteString("ecosystem,name,version\n")
		for j := range packagesPerList {
			fmt.Fprintf(&csv, "npm,list%d-package%d,1.0.%d\n", i, j, j)
		}
		for _, step := range []struct {
			said string
			args []string
		}{
			{"imported", []string{"catalog", "import", "-", "--name", fmt.Sprintf("list%d", i), "--yes", "--store", name}},
			{"published", []string{"catalog", "publish", "-o", filepath.Join(dir, "out"), "--store", name}},
		} {
			var errOut bytes.Buffer
			if status := cli.Run(context.Background(), env, bytes.NewReader(csv.Bytes()), io.Discard, &errOut, step.args); status != rapsheet.ExitClean {
				fmt.Fprintf(os.Stderr, "%v: status %d: %s\n", step.args, status, errOut.String())
				return 3
			}
			fmt.Printf("%s %d\n", step.said, i)
		}
	}
}

// kill -9 at random moments of import and publish, on both engines: nothing acknowledged is lost, no import is there
// in part, and the release directory is always whole. RAPSHEET_KILLS sets how many.
func TestKilledAtAnyMoment(t *testing.T) {
	kills := 5
	if s := os.Getenv("RAPSHEET_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		t.Skip("starts processes only to kill them")
	}
	quiet := slog.New(slog.DiscardHandler)
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		killAtRandom(t, kills, "sqlite:"+path, func() (store.Store, error) { return sqlite.Open(t.Context(), path, quiet) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := pgtest.Start(t)
		killAtRandom(t, kills, dsn, func() (store.Store, error) { return postgres.Open(t.Context(), dsn, quiet) })
	})
}

func killAtRandom(t *testing.T, kills int, name string, open func() (store.Store, error)) {
	dir := t.TempDir()
	next, published := 0, -1
	acknowledged := map[int]bool{}
	afterwards := 0
	// A child lives for up to twice as long as a list takes from its start to its release, however busy the
	// machine is; the first one is killed only after that.
	cycle := time.Hour
	for range kills + 1 {
		first := next
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), killedStore+"="+name, killedDir+"="+dir, killedFrom+"="+strconv.Itoa(next))
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		if cycle < time.Hour {
			time.AfterFunc(time.Duration(rand.Int64N(int64(2*cycle))), func() { cmd.Process.Kill() })
		}
		last := ""
		for s := bufio.NewScanner(out); s.Scan(); {
			what, number, _ := strings.Cut(s.Text(), " ")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatalf("the child said %q", s.Text())
			}
			last = what
			if what == "imported" {
				acknowledged[n] = true
				next = n + 1
				continue
			}
			published = n
			if cycle == time.Hour {
				cmd.Process.Kill()
			}
			if n == first {
				cycle = time.Since(started)
			}
		}
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Fatalf("the child ended by itself: %v: %s", err, errOut.String())
		}
		if last != "" {
			afterwards++
		}
		s, err := open()
		if err != nil {
			t.Fatalf("the store does not open after a kill: %v", err)
		}
		checkKilled(t, s, acknowledged, &next)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		checkRelease(t, filepath.Join(dir, "out"), published)
	}
	t.Logf("%d kills, %d of them after something was acknowledged; %d imports, release of list %d", kills, afterwards, len(acknowledged), published)
}

// checkKilled holds the store to what was acknowledged: every such list is there, and each list is there whole.
func checkKilled(t *testing.T, s store.Store, acknowledged map[int]bool, next *int) {
	t.Helper()
	count := map[string]int{}
	sources := map[string]int{}
	err := s.View(t.Context(), func(r store.Reader) error {
		all, err := r.Sources(t.Context())
		for _, x := range all {
			sources[x.Name] = x.Claims
		}
		if err != nil {
			return err
		}
		for rec, err := range r.Records(t.Context()) {
			if err != nil {
				return err
			}
			list, _, _ := strings.Cut(rec.Key.Name, "-")
			count[list]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range acknowledged {
		if count[fmt.Sprintf("list%d", n)] != packagesPerList {
			t.Fatalf("import %d was acknowledged, and %d of its records are there", n, count[fmt.Sprintf("list%d", n)])
		}
	}
	for list, n := range count {
		if n != packagesPerList || sources[list] != packagesPerList {
			t.Fatalf("%s is there in part: %d records, %d claims", list, n, sources[list])
		}
		// A kill may come between the commit and its acknowledgement.
		if i, err := strconv.Atoi(strings.TrimPrefix(list, "list")); err == nil && i >= *next {
			*next = i + 1
		}
	}
}

// checkRelease holds the directory to the last release that was acknowledged: it is whole, and not older.
func checkRelease(t *testing.T, dir string, published int) {
	t.Helper()
	path, _, err := publish.Current(dir)
	if published < 0 && (errors.Is(err, publish.ErrNothing) || errors.Is(err, os.ErrNotExist)) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := publish.Verify(t.Context(), path); err != nil {
		t.Fatalf("the current release is not whole: %v", err)
	}
	if published < 0 {
		return
	}
	ix, err := index.Open(filepath.Join(path, "catalog.idx"))
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	recs, err := ix.Lookup(rapsheet.Key{Ecosystem: "npm", Name: fmt.Sprintf("list%d-package0", published)})
	if err != nil || len(recs) != 1 {
		t.Fatalf("a release with list %d was acknowledged, and the current one has %d records of it, %v", published, len(recs), err)
	}
}
