package registry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// sightings gives what lies in a storage.
func sightings(t *testing.T, root string) []rapsheet.Sighting {
	t.Helper()
	var all []rapsheet.Sighting
	for s, err := range inventory.Walk(t.Context(), root, inventory.Options{Kinds: registry.Kinds()}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// purge runs what would remove a package version, in a shell, and wants it done without an error.
func purge(t *testing.T, root, name, version string) rapsheet.Holding {
	t.Helper()
	for _, s := range sightings(t, root) {
		if s.Package.Name != name || s.Package.Version != version {
			continue
		}
		h, err := registry.Storage{Dir: root}.Holding(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range h.Purge {
			if strings.ContainsAny(call, "\n\r") {
				t.Errorf("more than a line: %q", call)
			}
			if strings.HasPrefix(call, "gem ") {
				continue // a command of its own gem, rubygems-generate_index
			}
			if strings.HasPrefix(call, "jq ") {
				clienttest.Program(t, "jq")
			}
			if out, err := exec.CommandContext(t.Context(), clienttest.Program(t, "bash"), "-c", call).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", call, err, out)
			}
		}
		return h
	}
	t.Fatalf("no %s@%s in %s", name, version, root)
	return rapsheet.Holding{}
}

// What would remove a version removes it and nothing else, whatever its names are.
func TestPurge(t *testing.T) {
	hostile := "$(touch pwned) '; touch pwned #\n\x1b[2J\u202e\xff\\"
	packument := func(name string) string {
		return `{"name": ` + quoted(name) + `, "versions": {"1.0.0": {}, "2.0.0": {}}, "time": {"1.0.0": "t", "2.0.0": "t"}, "dist-tags": {"latest": "1.0.0", "old": "2.0.0"},
			"_attachments": {"evil-1.0.0.tgz": {"version": "1.0.0"}, "evil-2.0.0.tgz": {"version": "2.0.0"}}, "_distfiles": {"evil-1.0.0.tgz": {}}}`
	}
	tests := []struct {
		name, pkg, version string
		files              map[string]string
		latest             bool
		left               []string
	}{
		{"Verdaccio", "evil", "1.0.0", map[string]string{
			"evil/package.json": packument("evil"), "evil/evil-1.0.0.tgz": "x", "evil/evil-2.0.0.tgz": "x",
		}, true, []string{"evil/evil-2.0.0.tgz", "evil/package.json"}},
		{"a module proxy", "example.org/M", "v1.0.0", map[string]string{
			"example.org/!m/@v/v1.0.0.zip": "x", "example.org/!m/@v/v1.0.0.mod": "x", "example.org/!m/@v/v1.0.0.info": "x",
			"example.org/!m/@v/v1.0.1.zip": "x", "example.org/!m/@v/list": "v1.0.0\nv1.0.0-rc\n",
		}, false, []string{"example.org/!m/@v/list", "example.org/!m/@v/v1.0.1.zip"}},
		{"a module proxy with nothing else", "example.org/m", "v1.0.0", map[string]string{
			"example.org/m/@v/v1.0.0.zip": "x", "example.org/m/@v/list": "v1.0.0\n",
		}, false, []string{"example.org/m/@v/list"}},
		{"Athens", "example.org/m", "v1.0.0", map[string]string{
			"example.org/m/v1.0.0/source.zip": "x", "example.org/m/v1.0.0/go.mod": "module example.org/m", "example.org/m/v1.0.1/source.zip": "x", "example.org/m/v1.0.1/go.mod": "module example.org/m",
		}, false, []string{"example.org/m/v1.0.1/go.mod", "example.org/m/v1.0.1/source.zip"}},
		{"Maven", "o.e:l", "1.0", map[string]string{
			"o/e/l/1.0/l-1.0.jar": "x", "o/e/l/1.0/l-1.0.pom": "x", "o/e/l/1.1/l-1.1.jar": "x",
		}, false, []string{"o/e/l/1.1/l-1.1.jar"}},
		{"NuGet", "evil", "1.0.0", map[string]string{
			"evil/1.0.0/evil.1.0.0.nupkg": "x", "evil/1.0.0/evil.nuspec": "x", "evil/2.0.0/evil.2.0.0.nupkg": "x",
		}, false, []string{"evil/2.0.0/evil.2.0.0.nupkg"}},
		{"a gem directory", "evil", "1.0", map[string]string{
			"gems/evil-1.0.gem": "x", "gems/evil-1.1.gem": "x", "specs.4.8.gz": "x", "quick/Marshal.4.8/evil-1.0.gemspec.rz": "x",
		}, false, []string{"gems/evil-1.1.gem", "specs.4.8.gz"}},
		{"hostile names of directories", "evil", "1.0", map[string]string{
			hostile + "/evil-1.0.tar.gz": "x", hostile + "/evil-1.1.tar.gz": "x",
		}, false, []string{hostile + "/evil-1.1.tar.gz"}},
		{"hostile names and metadata", "-rf * $HOME", "1.0.0", map[string]string{
			"-rf * $HOME/package.json": packument("-rf * $HOME"), "-rf * $HOME/evil-1.0.0.tgz": "x", "-rf * $HOME/evil-2.0.0.tgz": "x",
		}, true, []string{"-rf * $HOME/evil-2.0.0.tgz", "-rf * $HOME/package.json"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := clienttest.Tree(t, tt.files)
			t.Chdir(root)
			for _, dir := range []string{root, "."} { // the second finds nothing left to do in a copy of its own
				if dir == "." {
					root = clienttest.Tree(t, tt.files)
					t.Chdir(root)
				}
				if h := purge(t, dir, tt.pkg, tt.version); h.Latest != tt.latest || h.Registry != dir || h.Served != rapsheet.ServedUnknown {
					t.Errorf("%+v", h)
				}
				var left []string
				err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
					if err == nil && !d.IsDir() {
						left = append(left, strings.TrimPrefix(p, root+"/"))
					}
					return err
				})
				if err != nil || !slices.Equal(left, tt.left) {
					t.Errorf("left: %q, %v; want %q", left, err, tt.left)
				}
			}
			if b, err := os.ReadFile(filepath.Join(root, filepath.Dir(tt.left[0]), "package.json")); err == nil {
				var got map[string]any
				if err := json.Unmarshal(b, &got); err != nil {
					t.Fatal(err)
				}
				delete(got, "name")
				want := map[string]any{
					"versions": map[string]any{"2.0.0": map[string]any{}}, "time": map[string]any{"2.0.0": "t"}, "dist-tags": map[string]any{"old": "2.0.0"},
					"_attachments": map[string]any{"evil-2.0.0.tgz": map[string]any{"version": "2.0.0"}}, "_distfiles": map[string]any{},
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("metadata: %v, want %v", got, want)
				}
			}
		})
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// upstream serves one package, some of whose versions can be taken away.
type upstream struct {
	*httptest.Server
	gone atomic.Bool
}

// newUpstream serves name at 1.0.0 and 2.0.0, and 1.0.0 only while it is not gone.
func newUpstream(t *testing.T, name string) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := func(v string) bool { return v == "2.0.0" || v == "1.0.0" && !u.gone.Load() }
		if file, ok := strings.CutPrefix(r.URL.Path, "/"+name+"/-/"+name+"-"); ok {
			v := strings.TrimSuffix(file, ".tgz")
			if !serve(v) {
				http.NotFound(w, r)
				return
			}
			w.Write(clienttest.Tarball(t, fmt.Sprintf(`{"name": %q, "version": %q}`, name, v)))
			return
		}
		if r.URL.Path != "/"+name {
			http.NotFound(w, r)
			return
		}
		var versions []string
		for _, v := range []string{"1.0.0", "2.0.0"} {
			if serve(v) {
				versions = append(versions, fmt.Sprintf(`%q: {"name": %q, "version": %q, "dist": {"tarball": "%s/%s/-/%s-%s.tgz"}}`, v, name, v, u.URL, name, name, v))
			}
		}
		latest := "1.0.0"
		if u.gone.Load() {
			latest = "2.0.0"
		}
		fmt.Fprintf(w, `{"name": %q, "dist-tags": {"latest": %q}, "versions": {%s}}`, name, latest, strings.Join(versions, ", "))
	}))
	t.Cleanup(u.Close)
	return u
}

// A package that its registry took away goes on being served by the Verdaccio that cached it. It is found in the
// storage of the stopped Verdaccio, and what would remove it does.
func TestVerdaccioStorage(t *testing.T) {
	npm := clienttest.Program(t, "npm")
	up := newUpstream(t, "harmless")
	dir := t.TempDir()
	url, stop := clienttest.VerdaccioIn(t, dir, up.URL)
	storage := filepath.Join(dir, "storage")
	clienttest.Run(t, clienttest.Tree(t, map[string]string{"package.json": "{}"}), nil, npm,
		"install", "harmless@1.0.0", "--registry", url, "--no-audit", "--no-fund")
	up.gone.Store(true)
	wantFiles(t, url, map[string]int{"harmless/-/harmless-1.0.0.tgz": http.StatusOK, "harmless/-/harmless-2.0.0.tgz": http.StatusOK})
	// What it passes on it writes at the same time, and maybe a moment longer.
	for range 200 {
		b, err := os.ReadFile(filepath.Join(storage, "harmless", "package.json"))
		if _, attached, _ := strings.Cut(string(b), "_attachments"); err == nil && strings.Contains(attached, "harmless-2.0.0.tgz") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()

	var got []string
	for _, s := range sightings(t, storage) {
		got = append(got, fmt.Sprintf("%s@%s from %s, %d digests, %s", s.Package.Name, s.Package.Version, s.Evidence.URL, len(s.Evidence.Digests), s.Location.Kind))
	}
	want := []string{
		"harmless@1.0.0 from " + up.URL + "/harmless/-/harmless-1.0.0.tgz, 1 digests, verdaccio",
		"harmless@2.0.0 from " + up.URL + "/harmless/-/harmless-2.0.0.tgz, 1 digests, verdaccio",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	purge(t, storage, "harmless", "1.0.0")
	url, _ = clienttest.VerdaccioIn(t, dir, up.URL)
	wantFiles(t, url, map[string]int{"harmless/-/harmless-1.0.0.tgz": http.StatusNotFound, "harmless/-/harmless-2.0.0.tgz": http.StatusOK})
	resp, err := http.Get(url + "/harmless")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(b), "1.0.0") || !strings.Contains(string(b), `"latest":"2.0.0"`) {
		t.Errorf("metadata after the purge: %s, %v", b, err)
	}
}

// wantFiles asks for files and wants these statuses.
func wantFiles(t *testing.T, url string, files map[string]int) {
	t.Helper()
	for file, want := range files {
		resp, err := http.Get(url + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: %s, want %d; %v", file, resp.Status, want, err)
		}
	}
}
