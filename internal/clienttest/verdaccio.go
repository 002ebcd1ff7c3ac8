package clienttest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// verdaccioConfig is a Verdaccio that caches from one upstream registry and lets anyone publish and unpublish
// (verdaccio.org/docs/configuration). It never trusts its copy of the upstream's metadata without asking again.
const verdaccioConfig = `storage: ./storage
auth:
  htpasswd:
    file: ./htpasswd
uplinks:
  upstream:
    url: %s
    maxage: 0s
packages:
  '@private/*':
    access: $all
    publish: $all
    unpublish: $all
  '**':
    access: $all
    publish: $all
    unpublish: $all
    proxy: upstream
listen: 127.0.0.1:%d
log: {type: stdout, format: json, level: warn}
`

// Verdaccio starts a Verdaccio with an uplink to the registry at upstreamURL and gives its address, without a
// slash at the end, and the directory of its storage. It ends with the test. Anyone may publish; packages of the scope
// @private are never asked for upstream.
func Verdaccio(t *testing.T, upstreamURL string) (url, storage string) {
	t.Helper()
	dir := t.TempDir()
	url, _ = VerdaccioIn(t, dir, upstreamURL)
	return url, filepath.Join(dir, "storage")
}

// VerdaccioIn is [Verdaccio] with its files in dir, which may hold those of an earlier one; its storage is
// dir/storage. It ends with the test, or when stop is called.
func VerdaccioIn(t *testing.T, dir, upstreamURL string) (url string, stop func()) {
	t.Helper()
	program := Program(t, "verdaccio")
	config := filepath.Join(dir, "config.yaml")
	var out bytes.Buffer
	// Another process may take the port that was free a moment ago.
	for range 3 {
		port := freePort(t)
		if err := os.WriteFile(config, fmt.Appendf(nil, verdaccioConfig, upstreamURL, port), 0o644); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		cmd := exec.Command(program, "--config", config)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // killed, or the address is in use: seen below
		}()
		stop = func() {
			_ = cmd.Process.Kill() // it may have ended
			<-ended
		}
		t.Cleanup(stop)
		url = fmt.Sprintf("http://127.0.0.1:%d", port)
		if answers(t, url+"/-/ping", ended) {
			return url, stop
		}
		stop()
	}
	t.Fatalf("verdaccio does not start: %s", out.String())
	return "", nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// answers waits until url answers with 200, at most a minute or until the server has ended.
func answers(t *testing.T, url string, ended <-chan struct{}) bool {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-patience:
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}
