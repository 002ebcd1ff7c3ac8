// Package clienttest helps tests that let real package managers work: it finds them, runs them with a home of their
// own, and serves small registries of harmless packages on this machine.
package clienttest

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
)

// Program finds a package manager. One that is missing skips the test, or fails it in CI. With -short the test is
// skipped: the race detector, which runs so, sees nothing of other programs.
func Program(t *testing.T, name string) string {
	t.Helper()
	long(t)
	for _, dir := range filepath.SplitList(os.Getenv("RAPSHEET_TOOLS")) {
		if at := filepath.Join(dir, name); executable(at) {
			return at
		}
	}
	at, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: scripts/test installs it", name)
		}
		t.Skipf("%s is not here", name)
	}
	return at
}

func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("real package managers take their time")
	}
}

// Scanner is [Program] for those that take minutes to build and are there for `make test-clients` only, which sets
// RAPSHEET_CLIENTS.
func Scanner(t *testing.T, name string) string {
	t.Helper()
	ofClients(t, name)
	return Program(t, name)
}

// ClientModule is [Module] for a package that is there for `make test-clients` only.
func ClientModule(t *testing.T, name string) string {
	t.Helper()
	ofClients(t, name)
	return Module(t, name)
}

func ofClients(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("RAPSHEET_CLIENTS") != "1" {
		t.Skip("`make test-clients` runs " + name)
	}
}

func executable(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// owned are the beginnings of variables that would lead a package manager to this machine's own settings.
var owned = []string{"NPM_", "PIP_", "YARN_", "PNPM_", "BUN_", "GEM_", "BUNDLE_", "CARGO_", "GO", "COMPOSER_", "MAVEN_", "UV_", "POETRY_", "PDM_", "PIPX_"}

// Home is where Run keeps what a client that works in dir writes for itself.
func Home(dir string) string { return filepath.Join(dir, ".home") }

// Run runs a package manager in dir with its home in [Home]; env are variables more, NAME=value.
func Run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	if status, out := Status(t, dir, env, name, args...); status != 0 {
		t.Fatalf("%s %s: exit status %d\n%s", filepath.Base(name), strings.Join(args, " "), status, out)
	}
}

// Status is [Run] for a command that may fail: it gives the exit status and what was written to both outputs.
func Status(t *testing.T, dir string, env []string, name string, args ...string) (status int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	home := Home(dir)
	for _, v := range os.Environ() {
		up := strings.ToUpper(v)
		if !slices.ContainsFunc(owned, func(p string) bool { return strings.HasPrefix(up, p) }) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home, "CI=1")
	cmd.Env = append(cmd.Env, env...)
	data, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, data)
	}
	return cmd.ProcessState.ExitCode(), string(data)
}

// Tree writes files, by their paths, below a new directory and gives that.
func Tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		at := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Lines gives sightings as "path name@version origin host algorithm:digest…", digests cut to 6 digits, and notes as
// "kind path: message", with paths relative to root.
func Lines(t *testing.T, root string, found rapsheet.Sightings) []string {
	t.Helper()
	var all []string
	rel := func(p string) string { return strings.TrimPrefix(p, filepath.ToSlash(root)+"/") }
	for s, err := range found {
		var note *rapsheet.Note
		switch {
		case errors.As(err, &note):
			all = append(all, fmt.Sprintf("%s %s: %s", note.Kind, rel(note.Path), note.Message))
		case err != nil:
			t.Fatal(err)
		default:
			line := fmt.Sprintf("%s %s@%s %s %s", rel(s.Location.Path), s.Package.Name, s.Package.Version, s.Evidence.Origin, s.Evidence.Host)
			for _, d := range s.Evidence.Digests {
				line += " " + d.Algorithm + ":" + d.Hex[:min(6, len(d.Hex))]
			}
			all = append(all, strings.Join(strings.Fields(line), " "))
		}
	}
	return all
}

// Tarball is an npm package of nothing but its package.json.
func Tarball(t testing.TB, packageJSON string) []byte {
	t.Helper()
	return TarGz(t, "package/package.json", packageJSON)
}

// NPMRegistry serves packages of one version each, name → dependencies as JSON, in the shape of
// github.com/npm/registry, docs/responses/package-metadata.md.
func NPMRegistry(t *testing.T, packages map[string]string) *httptest.Server {
	t.Helper()
	archives := map[string][]byte{}
	for name, deps := range packages {
		archives[name] = Tarball(t, fmt.Sprintf(`{"name": %q, "version": "1.0.0", "dependencies": %s}`, name, deps))
	}
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, file, archive := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/")
		data, ok := archives[name]
		if !ok || archive && file != path.Base(name)+"-1.0.0.tgz" {
			http.NotFound(w, r)
			return
		}
		if archive {
			_, _ = w.Write(data)
			return
		}
		sum := sha512.Sum512(data)
		fmt.Fprintf(w, `{"name": %q, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"name": %q, "version": "1.0.0", "dependencies": %s,
			"dist": {"tarball": "%s/%s/-/%s-1.0.0.tgz", "integrity": "sha512-%s"}}}}`,
			name, name, packages[name], srv.URL, name, path.Base(name), base64.StdEncoding.EncodeToString(sum[:]))
	}))
	t.Cleanup(srv.Close)
	return srv
}
