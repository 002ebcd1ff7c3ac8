package cli_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/cli"
)

// command runs one command line with the user's data in home.
func command(ctx context.Context, home string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env := cli.Env{Version: "test", Now: func() time.Time { return now }, Getenv: func(k string) string {
		return map[string]string{"RAPSHEET_HOME": home}[k]
	}}
	status = cli.Run(ctx, env, strings.NewReader(""), &out, &errs, args)
	return status, out.String(), errs.String()
}

// The whole way over HTTP: a first download, a quiet second one, a failure that
// leaves the catalog as it was, and the same after a login page instead of a zip.
func TestUpdateOverHTTP(t *testing.T) {
	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	w, err := zw.Create("MAL-2026-1.json")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["1.2.3"]}]}`)
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	var zips atomic.Int32
	var mode atomic.Value
	mode.Store("fine")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch m := mode.Load(); {
		case m == "gone":
			http.Error(w, "no such bucket", http.StatusNotFound)
		case m == "login":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!DOCTYPE html><title>Sign in</title>")
		case r.URL.Path == "/ecosystems.txt":
			// A distribution, which has no malicious records, is not downloaded.
			fmt.Fprint(w, "Debian\nnpm\n")
		case r.URL.Path == "/npm/modified_id.csv":
			fmt.Fprint(w, "2026-01-02T00:00:00Z,MAL-2026-1\n")
		case r.URL.Path == "/npm/all.zip":
			zips.Add(1)
			_, _ = w.Write(archive.Bytes())
		default:
			t.Errorf("asked for %s", r.URL.Path)
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	home := t.TempDir()
	check := func(step string, args ...string) (int, string) {
		t.Helper()
		status, out, errs := command(context.Background(), home, args...)
		t.Logf("%s: %d\n%s%s", step, status, out, errs)
		return status, out + errs
	}
	if status, out := check("first", "update", "--from", srv.URL); status != 0 || !strings.Contains(out, "1 added") {
		t.Fatalf("first update: status %d", status)
	}
	if status, out := check("scan", "check", "pkg:npm/evil-pkg@1.2.3"); status != 1 || strings.Contains(out, "built-in") {
		t.Fatalf("check: status %d", status)
	}
	if status, out := check("second", "update", "--from", srv.URL); status != 0 || !strings.Contains(out, "nothing new") || zips.Load() != 1 {
		t.Fatalf("second update: status %d, %d downloads", status, zips.Load())
	}
	for _, m := range []string{"gone", "login"} {
		mode.Store(m)
		if status, out := check(m, "update", "--from", srv.URL); status != 4 || !strings.Contains(out, "hint: ") {
			t.Fatalf("%s: status %d", m, status)
		}
		if status, _ := check("after "+m, "check", "pkg:npm/evil-pkg@1.2.3"); status != 1 {
			t.Fatalf("after %s the catalog is gone", m)
		}
	}
	srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if status, _, _ := command(ctx, home, "update", "--from", srv.URL); status == 0 {
		t.Error("an update from a server that is down succeeds")
	}
}

// Ctrl-C before the end is said, and is never "nothing found".
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	status, out, errs := command(ctx, t.TempDir(), "scan", repo+"/examples/clean")
	if status != 3 || !strings.Contains(out, "interrupted") || !strings.Contains(errs, "interrupted") || strings.HasPrefix(out, "nothing found") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}
