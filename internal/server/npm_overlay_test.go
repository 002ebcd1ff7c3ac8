package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/server"
)

// rawGet sends a path as it is, which package net/http would clean.
func rawGet(t *testing.T, srv *httptest.Server, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n%s\r\n", method, path, strings.Join(append(header, ""), "\r\n"))
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

func TestNPMRedirect(t *testing.T) {
	const base = "https://registry.example/repository/npm"
	srv := npmServer(t, base+"/", nil, npmDocs()...)
	for _, tt := range []struct{ method, path, want string }{ // the path below base
		{"GET", "/npm/evil-pkg", "/evil-pkg"},
		{"GET", "/npm/@scope%2fbad", "/@scope%2fbad"},
		{"GET", "/npm/@scope/bad/-/bad-1.0.0.tgz", "/@scope/bad/-/bad-1.0.0.tgz"},
		{"GET", "/npm/-/v1/search?text=a%20b&size=1", "/-/v1/search?text=a%20b&size=1"},
		{"GET", "/npm", "/"},
		{"GET", "/npm/", "/"},
		{"HEAD", "/npm/x", "/x"},
		{"PUT", "/npm/x", "/x"},
		{"POST", "/npm/-/v1/login", "/-/v1/login"},
		{"GET", "/npm" + npmBulk, npmBulk},
		{"DELETE", "/npm/x/-rev/1-a", "/x/-rev/1-a"},
		{"GET", "/npm/-/user/org.couchdb.user:x", "/-/user/org.couchdb.user:x"},
		{"GET", "/npm/npm/-/npm-1.0.0.tgz", "/npm/-/npm-1.0.0.tgz"},
		{"GET", "/npm/x/-/x-1.0.0+b.tgz?a=//evil.example", "/x/-/x-1.0.0+b.tgz?a=//evil.example"},
		// What clients ask for at the root of the host.
		{"GET", "/evil-pkg/-/evil-pkg-1.0.0.tgz", "/evil-pkg/-/evil-pkg-1.0.0.tgz"},
		{"GET", "/@scope/bad/-/bad-1.0.0.tgz", "/@scope/bad/-/bad-1.0.0.tgz"},
		{"GET", "/@scope%2Fbad/-/bad-1.0.0.tgz", "/@scope%2Fbad/-/bad-1.0.0.tgz"},
	} {
		resp, text := rawGet(t, srv, tt.method, tt.path, "Authorization: Bearer s3cr3t", "Cookie: s3cr3t")
		if got := resp.Header.Get("Location"); resp.StatusCode != 307 || got != base+tt.want {
			t.Errorf("%s %s: %d %q %s", tt.method, tt.path, resp.StatusCode, got, text)
		}
		if strings.Contains(fmt.Sprint(resp.Header, text), "s3cr3t") {
			t.Error(resp.Header, text)
		}
	}
	// F99. Nothing leads elsewhere.
	for _, path := range []string{
		"/npm//evil.example", "/npm//evil.example/%2e%2e", "/npm/..", "/npm/../x", "/npm/%2e%2e/x", "/npm/%2E./x", "/npm/a/..%2f..%2f..", "/npm/a%2f..%2f..%2f..", "/npm/./x",
		"/npm/%252e%252e/x", "/npm/..;/x", "/npm/..;a=b/x", "/npm/.;/x", "/npm/%5cevil.example", "/npm/\\evil.example", "/npm/a\\..\\..", "/npm/%2f%2fevil.example", "/npm/%2fevil.example",
		"/npm/x%0d%0aSet-Cookie:a=b", "/npm/x%00", "/npm/x%7f", "/npm/a//b", "/npm/a/;/b",
		"//npm/evil-pkg", "//evil.example/-/x-1.tgz", "/../npm/x", "/..%2fnpm/x", "/%2e%2e/-/x-1.0.0.tgz", "/@..%2f../-/x-1.tgz", "/@%2e%2e/../-/x-1.tgz", "/npmx/y", "/NPM/x", "/x/-/y.json", "/%6epm/x",
		"/advisories/MAL-2026-1", "/v1/query",
	} {
		resp, text := rawGet(t, srv, "GET", path)
		location := resp.Header.Get("Location")
		// ServeMux leads to a cleaned path on this host.
		inside := location == "" || strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && !strings.Contains(location, "..")
		if resp.StatusCode == 200 && path != "/advisories/MAL-2026-1" || resp.StatusCode >= 500 || !inside || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %q %s", path, resp.StatusCode, location, text)
		}
	}
	if resp, text := rawGet(t, srv, "GET", "http://evil.example/npm/x"); resp.Header.Get("Location") != base+"/x" {
		t.Errorf("%v %s", resp.Header, text)
	}
	// Audits are answered at the root by the list alone, and there is no upstream behind the rest of it.
	if resp, text := ask(t, "POST", srv.URL+npmBulk, "application/json", `{"evil-pkg":["1.2.3"]}`); resp.StatusCode != 200 || resp.Header.Get("Rapsheet-Upstream") != "" {
		t.Errorf("%v %s", resp.Header, text)
	}
	if resp, _ := ask(t, "GET", srv.URL+"/evil-pkg", "", ""); resp.StatusCode != 404 {
		t.Error(resp.StatusCode)
	}
}

// upstream is a registry that remembers requests.
type upstream struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
	body  []string
}

func newUpstream(t *testing.T, h http.HandlerFunc) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.asked, u.body = append(u.asked, r), append(u.body, string(body))
		u.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.asked) == 0 {
		t.Fatal("the upstream was not asked")
	}
	return u.asked[len(u.asked)-1], u.body[len(u.body)-1]
}

func TestNPMPassThrough(t *testing.T) {
	const big = 8 << 20
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/base/big/-/big-1.0.0.tgz":
			w.Header().Set("Content-Type", "application/octet-stream")
			io.Copy(w, io.LimitReader(zeros{}, big))
		case "/base/gone":
			w.Header().Set("Location", "https://elsewhere.example/x")
			w.WriteHeader(http.StatusFound)
		default:
			w.Header().Set("Connection", "X-Hop")
			w.Header().Set("X-Hop", "1")
			w.Header().Set("X-End", "1")
			fmt.Fprint(w, r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		}
	})
	srv := npmServer(t, up.URL+"/base", passThrough, npmDocs()...)
	resp, text := rawGet(t, srv, "GET", "/npm/@scope%2fbad?write=true;x", "Authorization: Bearer s3cr3t", "Connection: X-Private", "X-Private: 1", "Proxy-Authorization: Basic s3cr3t",
		"Upgrade: websocket", "X-Forwarded-For: 10.0.0.1", "Accept-Encoding: br")
	r, _ := up.last(t)
	if resp.StatusCode != 200 || text != "/base/@scope%2fbad?write=true;x" || resp.Header.Get("X-Hop") != "" || resp.Header.Get("X-End") != "1" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	if r.Header.Get("Authorization") != "Bearer s3cr3t" || r.Host != strings.TrimPrefix(up.URL, "http://") || r.Header.Get("Accept-Encoding") != "br" {
		t.Errorf("%v", r.Header)
	}
	for _, name := range []string{"X-Private", "Proxy-Authorization", "Upgrade", "X-Forwarded-For", "Forwarded"} {
		if r.Header.Get(name) != "" {
			t.Errorf("%s was sent on", name)
		}
	}
	if resp, text := ask(t, "GET", srv.URL+"/npm/big/-/big-1.0.0.tgz", "", ""); resp.StatusCode != 200 || len(text) != big {
		t.Errorf("%d, %d bytes", resp.StatusCode, len(text))
	}
	if resp, _ := ask(t, "GET", srv.URL+"/npm/gone", "", ""); resp.StatusCode != 302 || resp.Header.Get("Location") != "https://elsewhere.example/x" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := ask(t, "PUT", srv.URL+"/npm/x", "application/json", `{"a":1}`); resp.StatusCode != 200 {
		t.Error(resp.StatusCode)
	}
	if r, body := up.last(t); r.Method != "PUT" || body != `{"a":1}` {
		t.Errorf("%s %s", r.Method, body)
	}
	n := len(up.asked)
	for _, path := range []string{"/npm/../x", "/npm/%2e%2e/x", "/npm//x", "/npm/..%2fx", "/npm/..;/x", "/npm/%5c..%5cx"} {
		if resp, _ := rawGet(t, srv, "GET", path); resp.StatusCode != 400 && resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if len(up.asked) != n {
		t.Errorf("the upstream was asked for %s", up.asked[n].RequestURI)
	}
	up.Close()
	if resp, text := ask(t, "GET", srv.URL+"/npm/x", "", ""); resp.StatusCode != 502 || !json.Valid([]byte(text)) || strings.Contains(text, "127.0.0.1") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

const (
	npmTheirs     = `{"evil-pkg":[{"id":1,"title":"theirs","severity":"high","vulnerable_versions":"<2"}],"good":[{"id":2,"title":"theirs too"}]}`
	npmTheirTree  = `{"actions":[{"action":"update","module":"good","resolves":[]}],"advisories":{"2":{"id":2,"title":"theirs too"}},"muted":[],"metadata":{"vulnerabilities":{"info":0,"low":0,"moderate":1,"high":2,"critical":3},"dependencies":7,"devDependencies":1,"optionalDependencies":1,"totalDependencies":9}}`
	npmAsked      = `{"evil-pkg":["1.2.3"],"good":["1.0.0"]}`
	npmAskedTree  = `{"dependencies":{"evil-pkg":{"version":"1.2.3"},"good":{"version":"1.0.0"}}}`
	npmOnlyOurs   = "MAL-2026-1"
	npmOursBefore = `"evil-pkg":[{"id":8618465423410289,`
)

func TestNPMMerges(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bulk") {
			fmt.Fprint(w, npmTheirs)
		} else {
			fmt.Fprint(w, npmTheirTree)
		}
	})
	for _, pass := range []bool{false, true} {
		srv := npmServer(t, up.URL+"/base", func(c *server.Config) { c.NPMPassThrough = pass }, npmDocs()...)
		packed := gzipped(npmAsked)
		resp, text := ask(t, "POST", srv.URL+"/npm"+npmBulk, "application/json", packed, "Content-Encoding", "gzip", "Authorization", "Bearer s3cr3t", "Cookie", "s3cr3t")
		if resp.StatusCode != 200 || resp.Header.Get("Rapsheet-Upstream") != "merged" || !strings.Contains(text, npmOursBefore) || !strings.Contains(text, `},{"id":1,"title":"theirs"`) || !strings.Contains(text, `"good":[{"id":2,`) {
			t.Errorf("%v %s", resp.Header, text)
		}
		r, body := up.last(t)
		if body != packed || r.Header.Get("Content-Encoding") != "gzip" || r.URL.Path != "/base"+npmBulk || r.Header.Get("Cookie") != "" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		if sent := r.Header.Get("Authorization"); sent != map[bool]string{false: "", true: "Bearer s3cr3t"}[pass] {
			t.Errorf("credentials %q, passed through: %v", sent, pass)
		}
		resp, text = ask(t, "POST", srv.URL+"/npm"+npmQuick, "application/json", npmAskedTree)
		var got struct {
			Actions    []struct{ Module string }
			Advisories map[string]struct{ Title string }
			Metadata   struct {
				Vulnerabilities                                          map[string]int
				DevDependencies, OptionalDependencies, TotalDependencies int
			}
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v %s", err, text)
		}
		v := got.Metadata.Vulnerabilities
		if resp.Header.Get("Rapsheet-Upstream") != "merged" || len(got.Actions) != 2 || got.Actions[0].Module != "evil-pkg" || len(got.Advisories) != 2 || got.Advisories["2"].Title != "theirs too" ||
			v["critical"] != 4 || v["high"] != 2 || v["moderate"] != 1 || got.Metadata.TotalDependencies != 9 || got.Metadata.DevDependencies != 1 {
			t.Errorf("%s", text)
		}
	}
}

// Whatever the upstream does, the list answers, and says that it is alone.
func TestNPMWithoutUpstream(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, h := range map[string]http.HandlerFunc{
		"404":         http.NotFound,
		"500":         func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "s3cr3t", 500) },
		"a redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.1:1/x", 307) },
		"a page":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>s3cr3t</html>") },
		"null values": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"good":[null],"advisories":{"1":null}}`) },
		"an array":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[]`) },
		"wrong types": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"good":{"id":1},"actions":1,"metadata":{"vulnerabilities":[]}}`)
		},
		"names twice": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"a":[],"a":[],"muted":[],"muted":[]}`) },
		"deep":        func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"a":[`+strings.Repeat(`{"x":[`, 20_000)) },
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{}`)
		},
		"F95 hangs":          func(_ http.ResponseWriter, _ *http.Request) { <-release },
		"F95 hangs half way": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{`); w.(http.Flusher).Flush(); <-release },
		"F95 large": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"a":["`)
			io.Copy(w, io.LimitReader(zeros{}, 40<<20))
		},
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, gzipped(strings.Repeat(" ", 40<<20)))
		},
		"closes": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			up := httptest.NewServer(h)
			defer up.CloseClientConnections()
			srv := npmServer(t, up.URL, func(c *server.Config) {
				c.NPMTimeout = time.Minute
				if strings.Contains(name, "hangs") {
					c.NPMTimeout = 100 * time.Millisecond
				}
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			}, npmDocs()...)
			for path, body := range map[string]string{npmBulk: npmAsked, npmQuick: npmAskedTree} {
				resp, text := ask(t, "POST", srv.URL+"/npm"+path, "application/json", body)
				if resp.StatusCode != 200 || resp.Header.Get("Rapsheet-Upstream") != "unavailable" || !json.Valid([]byte(text)) || !strings.Contains(text, npmOnlyOurs) || strings.Contains(text, `"good"`) {
					t.Errorf("%s: %d %v %s", path, resp.StatusCode, resp.Header, text)
				}
			}
			if n := strings.Count(log.String(), "npm audit without the upstream registry"); n != 2 || strings.Contains(log.String(), "s3cr3t") || strings.Contains(log.String(), "evil-pkg") {
				t.Errorf("%d lines: %s", n, log.String())
			}
		})
	}
}

// npm and pnpm install a tree through the overlay, by redirects and passed through, and audit it when the upstream has gone.
func TestNPMInstallsThroughOverlay(t *testing.T) {
	for _, name := range []string{"npm 10", "npm 11", "npm 12", "pnpm 10", "pnpm 12"} {
		for _, pass := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, passed through: %v", name, pass), func(t *testing.T) {
				t.Parallel()
				var c npmClient
				for _, each := range npmClients {
					if each.name == name {
						c = each
					}
				}
				program := c.find(t)
				upstream := clienttest.NPMRegistry(t, map[string]string{"planted": `{}`, "middle": `{"planted": "^1.0.0"}`, "@corp/good": `{}`})
				srv := npmServer(t, upstream.URL, func(c *server.Config) { c.NPMPassThrough = pass }, packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.0.0"]`))
				dir := npmProject(t, srv.URL+"/npm", `{"middle": "1.0.0", "@corp/good": "1.0.0"}`)
				npmFor(t, &c, dir)
				install := []string{"install", "--no-frozen-lockfile"}
				if strings.HasPrefix(name, "npm") {
					install = []string{"install", "--no-fund"}
				}
				status, out := clienttest.Status(t, dir, nil, program, install...)
				if status != 0 {
					t.Fatalf("exit status %d\n%s", status, out)
				}
				for _, file := range []string{"node_modules/middle/package.json", "node_modules/@corp/good/package.json"} {
					if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
						t.Error(err)
					}
				}
				if strings.HasPrefix(name, "npm") && !strings.Contains(out, "2 critical severity vulnerabilities") {
					t.Errorf("npm install does not say what it installed:\n%s", out)
				}
				upstream.Close()
				status, out = clienttest.Status(t, dir, nil, program, c.audit...)
				if status != 1 || !strings.Contains(out, srv.URL+"/advisories/MAL-2026-1") {
					t.Errorf("exit status %d without the upstream\n%s", status, out)
				}
			})
		}
	}
}

// npm takes a version that is in no range for a repaired one. It offers one that is, and not another malicious one.
func TestNPMOffersNoMaliciousVersion(t *testing.T) {
	program := clienttest.Script(t, "npm11/bin/npm-cli.js")
	var up *httptest.Server
	up = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/planted" {
			http.NotFound(w, r)
			return
		}
		versions := map[string]any{}
		for _, v := range []string{"1.2.2", "1.2.3", "1.2.4"} {
			versions[v] = map[string]any{"name": "planted", "version": v, "dist": map[string]string{"tarball": up.URL + "/planted/-/planted-" + v + ".tgz", "shasum": strings.Repeat("0", 40)}}
		}
		json.NewEncoder(w).Encode(map[string]any{"name": "planted", "dist-tags": map[string]string{"latest": "1.2.4"}, "versions": versions})
	}))
	t.Cleanup(up.Close)
	srv := npmServer(t, up.URL, nil, packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.2.3", "1.2.4"]`))
	dir := npmProject(t, srv.URL+"/npm", `{"planted": "1.2.3"}`)
	clienttest.Run(t, dir, nil, program, "install", "--no-audit", "--package-lock-only")
	status, out := clienttest.Status(t, dir, nil, program, "audit")
	if status != 1 || !strings.Contains(out, "Will install planted@1.2.2") || strings.Contains(out, "1.2.4,") {
		t.Errorf("exit status %d\n%s", status, out)
	}
}
