package registry

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

func keys(ecosystem string, names ...string) iter.Seq[rapsheet.Key] {
	return func(yield func(rapsheet.Key) bool) {
		for _, n := range names {
			if !yield(rapsheet.Key{Ecosystem: ecosystem, Name: n}) {
				return
			}
		}
	}
}

// upstream is an npm registry whose packages can be taken away.
func upstream(t *testing.T, names ...string) (srv *httptest.Server, delist func()) {
	var gone atomic.Bool
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, file, archive := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/")
		if gone.Load() || !slices.Contains(names, name) {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
		base := name[strings.LastIndexByte(name, '/')+1:]
		tarball := func(v string) []byte {
			return clienttest.Tarball(t, fmt.Sprintf(`{"name": %q, "version": %q}`, name, v))
		}
		if archive {
			w.Write(tarball(strings.TrimSuffix(strings.TrimPrefix(file, base+"-"), ".tgz")))
			return
		}
		versions := obj{}
		for _, v := range []string{"1.0.0", "2.0.0"} {
			sum := sha512.Sum512(tarball(v))
			versions[v] = obj{"name": name, "version": v, "dist": obj{
				"tarball": address(r) + "/" + name + "/-/" + base + "-" + v + ".tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
			}}
		}
		reply(w, obj{"name": name, "dist-tags": obj{"latest": "2.0.0"}, "versions": versions})
	}))
	t.Cleanup(srv.Close)
	return srv, func() { gone.Store(true) }
}

// A package that npm installed through Verdaccio is taken away upstream: the cache still serves it, as the latest.
func TestRealVerdaccio(t *testing.T) {
	npm := clienttest.Program(t, "npm")
	up, delist := upstream(t, "evil-pkg", "@acme/evil")
	at, storage := clienttest.Verdaccio(t, up.URL)
	project := clienttest.Tree(t, map[string]string{"package.json": `{"name": "app", "version": "1.0.0"}`})
	clienttest.Run(t, project, nil, npm, "install", "--registry", at, "--no-audit", "--no-fund", "evil-pkg@2.0.0", "@acme/evil@1.0.0")
	delist()

	r, err := Open(t.Context(), at, Options{AskArchives: true})
	if err != nil {
		t.Fatal(err)
	}
	l := list(t, r, "")
	if l.err != nil || len(l.notes) > 0 {
		t.Fatal(l.err, l.notes)
	}
	want := []string{"npm/@acme/evil@1.0.0", "npm/@acme/evil@2.0.0", "npm/evil-pkg@1.0.0", "npm/evil-pkg@2.0.0"}
	if !slices.Equal(l.found, want) {
		t.Fatalf("%v, want %v", l.found, want)
	}
	check := func(want map[string]string) {
		t.Helper()
		for _, s := range l.raw {
			h, err := r.Holding(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%s %v", h.Served, h.Latest); got != want[s.Package.String()] {
				t.Errorf("%v: %s, want %s", s.Package, got, want[s.Package.String()])
			}
		}
	}
	// The packument is knowledge of all versions; only what was fetched once is there.
	check(map[string]string{
		"npm/@acme/evil@1.0.0": "yes false", "npm/@acme/evil@2.0.0": "no true",
		"npm/evil-pkg@1.0.0": "no false", "npm/evil-pkg@2.0.0": "yes true",
	})
	i := slices.IndexFunc(l.raw, func(s rapsheet.Sighting) bool { return s.Package.String() == "npm/evil-pkg@2.0.0" })
	s := l.raw[i]
	if len(s.Evidence.Digests) != 1 || s.Evidence.Digests[0].Algorithm != "sha512" || s.Evidence.URL != at+"/evil-pkg/-/evil-pkg-2.0.0.tgz" {
		t.Errorf("%+v", s.Evidence)
	}
	tarball := filepath.Join(storage, "evil-pkg", "evil-pkg-2.0.0.tgz")
	data, err := os.ReadFile(tarball)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha512.Sum512(data); s.Evidence.Digests[0].Hex != hex.EncodeToString(sum[:]) {
		t.Error("the digest is not the archive's")
	}

	// The call that is shown removes it, as a person types it.
	h, err := r.Holding(t.Context(), s)
	if err != nil || len(h.Purge) != 1 {
		t.Fatal(h, err)
	}
	host := strings.TrimPrefix(at, "http:")
	rc := filepath.Join(project, "npmrc")
	if err := os.WriteFile(rc, []byte(host+"/:_authToken=anyone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clienttest.Run(t, project, []string{"NPM_CONFIG_USERCONFIG=" + rc, "CALL=" + h.Purge[0]}, "/bin/sh", "-c", `eval "$CALL"`)
	if _, err := os.Stat(tarball); !os.IsNotExist(err) {
		t.Errorf("after %s: %v", h.Purge[0], err)
	}
	if h, err := r.Holding(t.Context(), s); err != nil || h.Served != rapsheet.ServedNo {
		t.Error(h, err)
	}
}

// A static index, HTML and JSON, from which the real pip installs.
func TestRealSimpleIndex(t *testing.T) {
	python := clienttest.Program(t, "python3")
	wheel := clienttest.Wheel(t, "evil_pkg", "2.0")
	old := clienttest.Wheel(t, "evil_pkg", "1.0")
	hash := func(b []byte) string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	root := clienttest.Tree(t, map[string]string{
		"html/simple/index.html": `<!DOCTYPE html><html><body><a href="evil-pkg/">evil-pkg</a></body></html>`,
		"html/simple/evil-pkg/index.html": `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"><title>Links</title></head><body>
			<a href="../../files/evil_pkg-1.0-py3-none-any.whl#sha256=` + hash(old) + `" data-yanked="bad">evil_pkg-1.0-py3-none-any.whl</a>
			<a href="../../files/evil_pkg-2.0-py3-none-any.whl#sha256=` + hash(wheel) + `">evil_pkg-2.0-py3-none-any.whl</a></body></html>`,
		"html/files/evil_pkg-2.0-py3-none-any.whl": string(wheel), "html/files/evil_pkg-1.0-py3-none-any.whl": string(old),
		"json/simple/index.json": `{"meta": {"api-version": "1.0"}, "projects": [{"name": "evil-pkg"}]}`,
		"json/simple/evil-pkg/index.json": `{"meta": {"api-version": "1.0"}, "name": "evil-pkg", "files": [
			{"filename": "evil_pkg-1.0-py3-none-any.whl", "url": "../../files/evil_pkg-1.0-py3-none-any.whl", "hashes": {"sha256": "` + hash(old) + `"}, "yanked": "bad"},
			{"filename": "evil_pkg-2.0-py3-none-any.whl", "url": "../../files/evil_pkg-2.0-py3-none-any.whl", "hashes": {"sha256": "` + hash(wheel) + `"}}]}`,
		"json/files/evil_pkg-2.0-py3-none-any.whl": string(wheel), "json/files/evil_pkg-1.0-py3-none-any.whl": string(old),
	})
	for _, form := range []string{"html", "json"} {
		t.Run(form, func(t *testing.T) {
			files := http.FileServer(http.Dir(filepath.Join(root, form)))
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if form == "json" && strings.HasSuffix(r.URL.Path, "/") {
					w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
					r.URL.Path += "index.json"
				}
				files.ServeHTTP(w, r)
			}))
			defer srv.Close()
			dir := t.TempDir()
			clienttest.Run(t, dir, nil, python, "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir", "--no-compile", "--no-deps", "--target", "out", "--index-url", srv.URL+"/simple/", "evil-pkg")
			if _, err := os.Stat(filepath.Join(dir, "out", "evil_pkg-2.0.dist-info")); err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{srv.URL, srv.URL + "/simple/"} {
				r, err := Open(t.Context(), at, Options{AskArchives: true})
				if err != nil {
					t.Fatal(err)
				}
				l := list(t, r, "")
				if !slices.Equal(l.found, []string{"PyPI/evil-pkg@1.0", "PyPI/evil-pkg@2.0"}) {
					t.Fatal(l.found, l.err, l.notes)
				}
				if d := l.raw[1].Evidence.Digests; len(d) != 1 || d[0].Hex != hash(wheel) {
					t.Error(d)
				}
				for i, want := range []string{"yes false", "yes true"} {
					if h, err := r.Holding(t.Context(), l.raw[i]); err != nil || fmt.Sprintf("%s %v", h.Served, h.Latest) != want {
						t.Errorf("%v %v, want %s", h, err, want)
					}
				}
				if err := os.Rename(filepath.Join(root, form, "files"), filepath.Join(root, form, "gone")); err != nil {
					t.Fatal(err)
				}
				if h, err := r.Holding(t.Context(), l.raw[1]); err != nil || h.Served != rapsheet.ServedNo {
					t.Error(h, err)
				}
				if err := os.Rename(filepath.Join(root, form, "gone"), filepath.Join(root, form, "files")); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A tree of the Go module proxy protocol, from which the real go command downloads.
func TestRealGoProxy(t *testing.T) {
	goCommand := clienttest.Program(t, "go")
	files := map[string]string{}
	for _, v := range []string{"v1.0.0", "v1.10.0", "v2.0.0-rc.1"} {
		mod := "example.com/Evil/mod"
		if strings.HasPrefix(v, "v2") {
			mod += "/v2"
		}
		dir := strings.ReplaceAll(mod, "E", "!e") + "/@v/"
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		for name, text := range map[string]string{"go.mod": "module " + mod + "\n", "x.go": "package mod\n"} {
			w, err := z.Create(mod + "@" + v + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(w, text)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		files[dir+v+".zip"], files[dir+v+".mod"], files[dir+v+".info"] = buf.String(), "module "+mod+"\n", `{"Version":"`+v+`","Time":"2026-11-02T03:04:05Z"}`
		files[dir+"list"] += v + "\n"
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(clienttest.Tree(t, files))))
	defer srv.Close()
	dir := clienttest.Tree(t, map[string]string{
		"go.mod": "module app\n\ngo 1.21\n",
		// Telemetry is written by a process that outlives the command (go.dev/doc/telemetry).
		".home/go/telemetry/mode": "off 2026-01-01\n",
	})
	env := []string{"GOPROXY=" + srv.URL, "GONOSUMDB=*", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOSUMDB=off"}
	clienttest.Run(t, dir, env, goCommand, "get", "example.com/Evil/mod@latest")
	if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil || !strings.Contains(string(b), "example.com/Evil/mod v1.10.0") {
		t.Fatalf("%s %v", b, err)
	}
	r, err := Open(t.Context(), srv.URL, Options{Type: "goproxy", AskArchives: true, Names: keys("Go", "example.com/Evil/mod", "example.com/Evil/mod/v2", "example.com/none", "not a module")})
	if err != nil {
		t.Fatal(err)
	}
	l := list(t, r, "")
	if !slices.Equal(l.found, []string{"Go/example.com/Evil/mod@v1.0.0", "Go/example.com/Evil/mod@v1.10.0", "Go/example.com/Evil/mod/v2@v2.0.0-rc.1"}) || len(l.notes) > 0 {
		t.Fatal(l.found, l.err, l.notes)
	}
	for i, want := range []string{"yes false", "yes true", "yes true"} {
		if h, err := r.Holding(t.Context(), l.raw[i]); err != nil || fmt.Sprintf("%s %v", h.Served, h.Latest) != want {
			t.Errorf("%v: %v %v, want %s", l.found[i], h, err, want)
		}
	}
}
