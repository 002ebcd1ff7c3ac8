package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/publish"
)

// Real history as releases: two states of a public tree, each imported and published; every release is valid after the
// one before, and no id is lost.
func TestRealReleases(t *testing.T) {
	if testing.Short() {
		t.Skip("56,000 documents")
	}
	data := filepath.Join("..", "..", "..", "shared", "data", "osv")
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/data is not here: tests on real data are left out")
	}
	home, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	at := now
	run := func(want int, args ...string) string {
		t.Helper()
		at = at.Add(time.Hour)
		env := cli.Env{Now: func() time.Time { return at }, Version: "test", Getenv: func(k string) string {
			if k == "RAPSHEET_HOME" {
				return home
			}
			return ""
		}}
		var stdout, stderr bytes.Buffer
		if status := cli.Run(context.Background(), env, strings.NewReader(""), &stdout, &stderr, args); status != want {
			t.Fatalf("%v: status %d, want %d: %s%s", args, status, want, stdout.String(), stderr.String())
		}
		return stdout.String()
	}
	for _, tree := range []string{"malicious-packages-2024-12-31.tar.zst", "malicious-packages-2025-03-31.tar.zst"} {
		run(rapsheet.ExitClean, "catalog", "import", filepath.Join(data, tree), "--name", "ossf", "--yes")
		t.Log(run(rapsheet.ExitClean, "catalog", "publish", "-o", out))
		path, _, err := publish.Current(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := publish.Verify(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := publish.Validate(t.Context(), filepath.Join(out, "releases", "00000002"), filepath.Join(out, "releases", "00000001"), publish.Options{})
	if err != nil || len(changes.Vanished) > 0 {
		t.Fatalf("%d ids vanished, %v", len(changes.Vanished), err)
	}
	diff := run(rapsheet.ExitClean, "catalog", "diff", filepath.Join(out, "releases", "00000001"), filepath.Join(out, "releases", "00000002"))
	if !strings.Contains(diff, "vanished: 0\n") {
		t.Errorf("diff says %s", diff)
	}
	run(rapsheet.ExitFound, "scan", "--catalog", out, "pkg:npm/%40solana/web3.js@1.95.7")
	run(rapsheet.ExitClean, "scan", "--catalog", out, "pkg:npm/%40solana/web3.js@1.95.8")
}
