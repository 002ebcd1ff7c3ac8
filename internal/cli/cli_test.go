package cli_test

import (
	"archive/zip"
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
)

// now is the time of every transcript.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if os.Getenv(killedStore) != "" {
		os.Exit(importAndPublish())
	}
	testscript.Main(withPostgreSQL{m}, map[string]func(){
		"rapsheet": func() {
			env := cli.Env{Getenv: os.Getenv, Now: func() time.Time { return now }, Version: "v0.0.0-test"}
			// As the program itself: Ctrl-C ends the context.
			ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
			os.Exit(cli.Run(ctx, env, os.Stdin, os.Stdout, os.Stderr, os.Args[1:]))
		},
	})
}

// withPostgreSQL runs tests with a server that is stopped after them.
type withPostgreSQL struct{ m *testing.M }

func (w withPostgreSQL) Run() int { return pgtest.Main(w.m) }

// TestScripts runs the transcripts in testdata/script: every command, every exit
// status. `status N command…` runs a command and wants that exit status.
func TestScripts(t *testing.T) {
	repo, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	if testing.Short() {
		// What these are about is texts, and statuses of what fails: a third of all commands, each a process.
		files = slices.DeleteFunc(files, func(at string) bool {
			return slices.Contains([]string{"help", "catalog", "catalog-errors", "catalog-review", "catalog-archive", "check"}, strings.TrimSuffix(filepath.Base(at), ".txtar"))
		})
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(env *testscript.Env) error {
			env.Setenv("RAPSHEET_HOME", env.WorkDir+"/home")
			env.Setenv("NO_COLOR", "")
			env.Setenv("REPO", repo+"/../..")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":      status,
			"flip":        flip,
			"mkzip":       mkzip,
			"pack":        pack,
			"mkimage":     mkimage,
			"corrupt":     corrupt,
			"nothingleft": nothingLeft,
		},
	})
}

// status N COMMAND…
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args…]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = exitCode(err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

func exitCode(err error) string {
	const prefix = "exit status "
	s := err.Error()
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return s
}

// flip FILE inverts a bit in the middle of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip file")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

// mkzip ARCHIVE FILE…
func mkzip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: mkzip archive file…")
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	zw := zip.NewWriter(f)
	for _, name := range args[1:] {
		w, err := zw.Create(filepath.Base(name))
		ts.Check(err)
		_, err = io.WriteString(w, ts.ReadFile(name))
		ts.Check(err)
	}
	ts.Check(zw.Close())
	ts.Check(f.Close())
}
