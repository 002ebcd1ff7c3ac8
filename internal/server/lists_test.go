package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// Every list is served whole, with the type that it is, and an entity tag that GET and HEAD have in common, compressed or not. What is in
// them is held by the tests of package export.
func TestLists(t *testing.T) {
	s := newOSV(t)
	for _, tt := range []struct{ path, contentType, has string }{
		{"/safe-chain/malware_predictions.json", "application/json", `{"package_name":"evil-pkg","version":"1.2.3","reason":"MALWARE"}`},
		{"/safe-chain/malware_pypi.json", "application/json", `{"package_name":"evil-pkg","version":"1.0","reason":"MALWARE"}`},
		{"/safe-chain/releases/npm.json", "application/json", "[]"},
		{"/safe-chain/releases/pypi.json", "application/json", "[]"},
		{"/lists/scfw.yaml", "application/yaml", public + "/advisories/MAL-2026-1"},
		{"/lists/bumblebee.json", "application/json", `"schema_version":"0.2.0"`},
		{"/lists/verdaccio-filter.yaml", "application/yaml", `- package: "@scope/bad"`},
		{"/lists/artifactory/npm.txt", "text/plain; charset=utf-8", "@scope/bad/**\n"},
		{"/lists/nexus/npm.json", "application/json", `"^/@scope/bad/.*$"`},
	} {
		get := do(s, "GET", tt.path, "")
		if got := get.Header().Get("Content-Type"); get.Code != http.StatusOK || got != tt.contentType || !strings.Contains(get.Body.String(), tt.has) {
			t.Errorf("%s: %d %s\n%.300s", tt.path, get.Code, got, get.Body)
		}
		tag := get.Header().Get("ETag")
		for _, accept := range []string{"", "gzip", "gzip,deflate"} {
			head := do(s, "HEAD", tt.path, "", "Accept-Encoding", accept)
			if head.Code != http.StatusOK || tag == "" || head.Header().Get("ETag") != tag || head.Body.Len() != 0 {
				t.Errorf("HEAD %s with %q: %d, tag %q, want %q", tt.path, accept, head.Code, head.Header().Get("ETag"), tag)
			}
			if again := do(s, "GET", tt.path, "", "Accept-Encoding", accept); again.Header().Get("ETag") != tag {
				t.Errorf("GET %s with %q: tag %q, want %q", tt.path, accept, again.Header().Get("ETag"), tag)
			}
		}
		if again := do(s, "GET", tt.path, "", "If-None-Match", tag); again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d", tt.path, again.Code)
		}
		if post := do(s, "POST", tt.path, "{}"); post.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", tt.path, post.Code)
		}
	}
	for _, path := range []string{
		"/safe-chain/", "/safe-chain/file", "/safe-chain/malware_predictions.json/x", "/safe-chain/releases/go.json", "/safe-chain/..%2f..%2fcatalog.idx", "/safe-chain/%00.json",
		"/lists/", "/lists/file", "/lists/scfw.yml", "/lists/nexus/", "/lists/nexus/..%2fscfw%2ffile", "/lists/artifactory/crates.io.txt",
	} {
		if got := do(s, "GET", path, ""); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d %.100s", path, got.Code, got.Body)
		}
	}
}

// What clients have asked for is made of the next snapshot before they ask again: safe-chain waits 10 seconds for its list.
func TestListsAreMadeAgain(t *testing.T) {
	spool := t.TempDir()
	s := New(Config{Public: public, Spool: spool})
	t.Cleanup(s.Close)
	if err := s.Swap(newIndex(t, osvRecords...)); err != nil {
		t.Fatal(err)
	}
	first := do(s, "GET", "/safe-chain/malware_predictions.json", "").Header().Get("ETag")
	if err := s.Swap(newIndex(t, osvRecords[1:]...)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(spool, "2", "safe-chain", "releases", "pypi.json")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the list is not made again")
		}
	}
	if _, err := os.Stat(filepath.Join(spool, "2", "bumblebee")); err == nil {
		t.Error("a list that nobody asked for is made")
	}
	if second := do(s, "GET", "/safe-chain/malware_predictions.json", "").Header().Get("ETag"); second == first {
		t.Error("the list is the one before")
	}
}

// A record that was taken back is in the list of no tool, and neither is one that is doubted.
func TestListsWithoutWithdrawn(t *testing.T) {
	s := newOSV(t)
	for _, path := range []string{"/safe-chain/malware_predictions.json", "/lists/scfw.yaml", "/lists/bumblebee.json", "/lists/verdaccio-filter.yaml", "/lists/artifactory/npm.txt", "/lists/nexus/npm.json"} {
		for _, name := range []string{"good", "doubted"} {
			if body := do(s, "GET", path, "").Body.String(); strings.Contains(body, `"`+name+`"`) || strings.Contains(body, "\n"+name+"/") || strings.Contains(body, "^/"+name+"/") {
				t.Errorf("%s has %s", path, name)
			}
		}
	}
}

// requests are those that were made of a server, method and path.
type requests struct {
	mu   sync.Mutex
	seen []string
}

func (q *requests) of(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q.mu.Lock()
		q.seen = append(q.seen, r.Method+" "+r.URL.Path)
		q.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// since gives the requests since it was last asked.
func (q *requests) since() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	seen := q.seen
	q.seen = nil
	return seen
}

// publicNPM answers in the place of registry.npmjs.org from a registry of packages.
func publicNPM(t *testing.T, packages map[string]string) http.Handler {
	registry := clienttest.NPMRegistry(t, packages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		registry.Config.Handler.ServeHTTP(rec, r)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		if !strings.HasSuffix(r.URL.Path, ".tgz") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(rec.Code)
		w.Write([]byte(strings.ReplaceAll(rec.Body.String(), registry.URL, "https://registry.npmjs.org")))
	})
}

// safe-chain 1.5.20 with our list stops npm on a malicious package, one that is asked for and one that another needs, with its own exit
// status, and lets a clean one pass. It fetches the list once, asks for its tag from then on, and has a new list at once. Without
// a list it stops everything. Its connections are to our server and to the registry, which a proxy answers for.
func TestSafeChain(t *testing.T) {
	t.Parallel()
	npm := clienttest.Script(t, "@aikidosec/safe-chain/bin/aikido-npm.js")
	clienttest.Program(t, "npm")
	proxy, ca := intercept(t, "registry.npmjs.org", publicNPM(t, map[string]string{"evil-pkg": `{}`, "middle": `{"evil-pkg": "1.0.0"}`, "@scope/bad": `{}`, "good": `{}`, "later": `{}`}))
	records := []string{
		`{"id": "MAL-2026-1", "modified": "2026-01-02T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "evil-pkg"}, "versions": ["1.0.0"]}]}`,
		`{"id": "MAL-2026-2", "modified": "2026-01-02T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "@scope/bad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}`,
		`{"id": "MAL-2026-3", "modified": "2026-01-02T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "good"}, "versions": ["0.9.0"]}]}`,
	}
	var asked requests
	s := New(Config{Public: public, Spool: t.TempDir()})
	t.Cleanup(s.Close)
	if err := s.Swap(newIndex(t, records...)); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(asked.of(s.Handler()))
	t.Cleanup(srv.Close)

	home := t.TempDir()
	install := func(home, list, dependencies string, args ...string) (status int, out string, installed bool) {
		dir := clienttest.Tree(t, map[string]string{"package.json": `{"name": "project", "version": "1.0.0", "dependencies": ` + dependencies + `}`})
		// No setting of this machine for npm, such as certificates of its own, may stand against those of safe-chain.
		env := []string{"NPM_CONFIG_GLOBALCONFIG=" + filepath.Join(home, "none"), "NPM_CONFIG_CACHE=" + filepath.Join(dir, "cache"), "SAFE_CHAIN_MALWARE_LIST_BASE_URL=" + list, "HTTPS_PROXY=" + proxy, "NO_PROXY=127.0.0.1", "NODE_EXTRA_CA_CERTS=" + ca, "HOME=" + home}
		status, out = clienttest.Status(t, dir, env, npm, append([]string{"install", "--no-audit", "--no-fund", "--fetch-retries=0"}, args...)...)
		entries, err := os.ReadDir(filepath.Join(dir, "node_modules"))
		t.Logf("%s", out)
		return status, out, err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), ".") })
	}
	base := srv.URL + "/safe-chain"
	const list, releases = " /safe-chain/malware_predictions.json", " /safe-chain/releases/npm.json"
	for _, tt := range []struct {
		name, dependencies string
		args               []string
		status             int
		says               string
		asked              []string
	}{
		{"clean", `{"good": "1.0.0", "later": "1.0.0"}`, nil, 0, "added 2 packages", []string{"GET" + list, "GET" + releases}},
		{"asked for", `{}`, []string{"evil-pkg@1.0.0", "@scope/bad"}, 1, " - evil-pkg@1.0.0\n - @scope/bad@1.0.0\n", []string{"HEAD" + list}},
		{"needed by another", `{"middle": "1.0.0"}`, nil, 1, "evil-pkg@1.0.0", []string{"HEAD" + list, "HEAD" + releases}},
	} {
		status, out, installed := install(home, base, tt.dependencies, tt.args...)
		if status != tt.status || !strings.Contains(out, tt.says) || strings.Contains(out, "Exiting without installing malicious packages") != (tt.status == 1) {
			t.Errorf("%s: exit status %d, want %d\n%s", tt.name, status, tt.status, out)
		}
		if installed != (tt.status == 0) {
			t.Errorf("%s: installed: %v\n%s", tt.name, installed, out)
		}
		if got := asked.since(); !slices.Equal(got, tt.asked) {
			t.Errorf("%s: asked for %q, want %q", tt.name, got, tt.asked)
		}
	}

	added := `{"id": "MAL-2026-4", "modified": "2026-01-02T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "later"}, "versions": ["1.0.0"]}]}`
	if err := s.Swap(newIndex(t, append(records, added)...)); err != nil {
		t.Fatal(err)
	}
	status, out, installed := install(home, base, `{"later": "1.0.0"}`)
	if got := asked.since(); status != 1 || installed || !strings.Contains(out, "later@1.0.0") || !slices.Equal(got, []string{"HEAD" + list, "GET" + list}) {
		t.Errorf("a new list: exit status %d, asked for %q\n%s", status, got, out)
	}

	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	status, out, installed = install(home, down.URL, `{}`, "evil-pkg@1.0.0")
	if status != 1 || installed || !strings.Contains(out, "Using cached version") || !strings.Contains(out, "evil-pkg@1.0.0") {
		t.Errorf("no server, and a list from before: exit status %d\n%s", status, out)
	}
	status, out, installed = install(t.TempDir(), down.URL, `{}`, "good@1.0.0")
	if status != 1 || installed || !strings.Contains(out, "Failed to check for malicious packages") {
		t.Errorf("no server and no list: exit status %d\n%s", status, out)
	}
}

// The list is what the program reads: an array of three texts each.
func TestSafeChainList(t *testing.T) {
	var list []map[string]any
	if err := json.Unmarshal(do(newOSV(t), "GET", "/safe-chain/malware_predictions.json", "").Body.Bytes(), &list); err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, entry := range list {
		for _, key := range []string{"package_name", "version", "reason"} {
			if text, ok := entry[key].(string); !ok || text == "" || len(entry) != 3 {
				t.Errorf("%v", entry)
			}
		}
	}
}
