package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/cli"
)

// serving is a server that was started by its command.
type serving struct {
	url    string
	stop   context.CancelFunc
	status chan int

	mu     sync.Mutex
	stderr strings.Builder
}

// serve starts `rapsheet serve` and waits until it says where.
func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{stop: cancel, status: make(chan int, 1)}
	r, w := io.Pipe()
	env := cli.Env{Now: time.Now, Version: "test", Getenv: func(string) string { return "" }}
	go func() {
		s.status <- cli.Run(ctx, env, strings.NewReader(""), io.Discard, w, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...))
		w.Close()
	}()
	said := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			s.mu.Lock()
			fmt.Fprintln(&s.stderr, lines.Text())
			s.mu.Unlock()
			if m := regexp.MustCompile(` on (https?://\S+)$`).FindStringSubmatch(lines.Text()); m != nil {
				said <- m[1]
			}
		}
		close(said)
	}()
	s.url = <-said
	if s.url == "" {
		t.Fatalf("status %d: %s", <-s.status, s.text())
	}
	t.Cleanup(cancel)
	return s
}

func (s *serving) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stderr.String()
}

// get gives the status and the body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// snapshotOf builds a snapshot of records of npm packages at path, whole or not at all.
func snapshotOf(t *testing.T, path string, ids ...string) {
	t.Helper()
	var lines strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&lines, `{"schema_version":"1.7.4","id":%q,"modified":"2026-11-01T00:00:00Z","published":"2026-11-01T00:00:00Z","summary":"Malicious code","affected":[{"package":{"ecosystem":"npm","name":"evil-%d"},"versions":["1.0.0"]}]}`+"\n", id, i)
	}
	in := writeFile(t, "records.jsonl", []byte(lines.String()))
	r := rapsheetIn(t.Context(), nil, "catalog", "build", "-o", path, in)
	if r.status != rapsheet.ExitClean {
		t.Fatalf("status %d: %s", r.status, r.stderr)
	}
}

// A new snapshot is taken up while clients ask, without one failed request; a broken one is said and not served.
func TestServeSwaps(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "catalog.idx")
	snapshotOf(t, path, "MAL-2026-1")
	s := serve(t, "--catalog", path, "--reload", "1s", "--metrics", "127.0.0.1:0")
	if status, body := get(t, s.url+"/readyz"); status != http.StatusOK || body != "ready\n" {
		t.Fatalf("%d %q", status, body)
	}
	var asked, failed atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				res, err := http.Get(s.url + "/advisories/MAL-2026-1")
				if err != nil || res.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				if err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				asked.Add(1)
			}
		})
	}
	snapshotOf(t, path, "MAL-2026-1", "MAL-2026-2")
	deadline := time.Now().Add(20 * time.Second)
	for status := 0; status != http.StatusOK; status, _ = get(t, s.url+"/advisories/MAL-2026-2") {
		if time.Now().After(deadline) {
			t.Fatalf("the new snapshot is not served: %s", s.text())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken"), []byte("no snapshot"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "broken"), path); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(s.text(), "the new snapshot is not served") {
		if time.Now().After(deadline) {
			t.Fatalf("a broken snapshot is not said: %s", s.text())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if status, _ := get(t, s.url+"/advisories/MAL-2026-2"); status != http.StatusOK {
		t.Errorf("%d after a broken snapshot; want what was served before", status)
	}
	cancel()
	clients.Wait()
	if asked.Load() == 0 || failed.Load() != 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	s.stop()
	if status := <-s.status; status != rapsheet.ExitClean {
		t.Errorf("status %d after being stopped: %s", status, s.text())
	}
	if spools, _ := filepath.Glob(filepath.Join(os.TempDir(), "rapsheet-serve-*")); len(spools) != 0 {
		t.Logf("other servers' directories: %v", spools)
	}
}

func TestServeErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.idx")
	snapshotOf(t, path, "MAL-2026-1")
	for _, tt := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"--catalog", filepath.Join(t.TempDir(), "none")}, rapsheet.ExitCatalog, "rapsheet update"},
		{[]string{"--catalog", path, "--tls-cert", "x"}, rapsheet.ExitUsage, "go together"},
		{[]string{"--catalog", path, "--public", "ftp://x"}, rapsheet.ExitUsage, "--public"},
		{[]string{"--catalog", path, "--public", "https://user:secret@x"}, rapsheet.ExitUsage, "--public"},
		{[]string{"--catalog", path, "--listen", "256.0.0.1:1"}, rapsheet.ExitUsage, "is the address free"},
		{[]string{"--catalog", path, "--reload", "1ms"}, rapsheet.ExitUsage, "--reload"},
		{[]string{"surplus"}, rapsheet.ExitUsage, "--catalog FILE"},
	} {
		r := rapsheetIn(t.Context(), nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, tt.args...)...)
		if r.status != tt.status || !strings.Contains(r.stderr, tt.stderr) || strings.Contains(r.stderr, "secret") {
			t.Errorf("%q: status %d, %s", tt.args, r.status, r.stderr)
		}
	}
}

// The word public is the registry of the ecosystems' table: what is no audit is sent there.
func TestServeOverThePublicRegistry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.idx")
	snapshotOf(t, path, "MAL-2026-1")
	s := serve(t, "--catalog", path, "--npm-upstream", "public")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(s.url + "/npm/left-pad")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	npm, _ := ecosystem.Find("npm")
	if err != nil || res.StatusCode != http.StatusTemporaryRedirect || to.Scheme != "https" || !npm.PublicHost(to.Host) || to.Path != "/left-pad" {
		t.Errorf("%s to %v (%v)", res.Status, to, err)
	}
}
