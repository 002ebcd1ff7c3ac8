package installed_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
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
)

// program finds a package manager. One that is missing skips the test, or fails it in CI.
func program(t *testing.T, name string) string {
	t.Helper()
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

func executable(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// run runs a package manager in dir, with a home of its own.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	home := filepath.Join(dir, ".home")
	for _, v := range os.Environ() {
		// The machine's own settings of package managers would lead elsewhere.
		if up := strings.ToUpper(v); !strings.HasPrefix(up, "NPM_") && !strings.HasPrefix(up, "PIP_") && !strings.HasPrefix(up, "YARN_") && !strings.HasPrefix(up, "PNPM_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home, "CI=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
}

// tarball is an npm package of nothing but its package.json.
func tarball(t *testing.T, packageJSON string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "package/package.json", Mode: 0o644, Size: int64(len(packageJSON))}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, packageJSON)
	if w.Close() != nil || z.Close() != nil {
		t.Fatal("tar")
	}
	return buf.Bytes()
}

// npmRegistry serves packages of one version each, name → dependencies as JSON, in the shape of
// github.com/npm/registry, docs/responses/package-metadata.md.
func npmRegistry(t *testing.T, packages map[string]string) *httptest.Server {
	t.Helper()
	archives := map[string][]byte{}
	for name, deps := range packages {
		archives[name] = tarball(t, fmt.Sprintf(`{"name": %q, "version": "1.0.0", "dependencies": %s}`, name, deps))
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
			w.Write(data)
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

// Packages that are installed by the real clients, from a registry of the test's own.
func TestNodeClients(t *testing.T) {
	srv := npmRegistry(t, map[string]string{
		"planted":    `{"alias-of-it": "npm:other@1.0.0"}`,
		"other":      `{}`,
		"@corp/tool": `{"planted": "^1.0.0"}`,
	})
	host := strings.TrimPrefix(srv.URL, "http://")
	project := `{"name": "project", "version": "1.0.0", "dependencies": {"@corp/tool": "1.0.0"}}`
	tests := []struct {
		client string
		args   []string
		// packages are the name and version of what is found, with the host where the client wrote one down.
		packages []string
		hashed   bool
	}{
		{"npm", []string{"install", "--no-audit", "--no-fund"}, []string{"@corp/tool@1.0.0 registry " + host, "other@1.0.0 registry " + host, "planted@1.0.0 registry " + host}, true},
		{"npm", []string{"install", "--no-audit", "--no-fund", "--install-strategy=nested"}, []string{"@corp/tool@1.0.0 registry " + host, "other@1.0.0 registry " + host, "planted@1.0.0 registry " + host}, true},
		{"npm", []string{"install", "--global", "--prefix", "prefix", "--no-audit", "--no-fund", "--registry", srv.URL, "planted"}, []string{"other@1.0.0", "planted@1.0.0"}, false}, // npm writes no lockfile for global ones
		{"pnpm", []string{"install", "--no-frozen-lockfile", "--store-dir", ".home/store"}, []string{"@corp/tool@1.0.0 registry " + host, "other@1.0.0 registry " + host, "planted@1.0.0 registry " + host}, false},
		{"yarn", []string{"install", "--no-progress"}, []string{"@corp/tool@1.0.0 registry " + host, "other@1.0.0 registry " + host, "planted@1.0.0 registry " + host}, false},
	}
	for _, tt := range tests {
		t.Run(tt.client+" "+strings.Join(tt.args, " "), func(t *testing.T) {
			client := program(t, tt.client)
			dir := tree(t, map[string]string{"package.json": project, ".npmrc": "registry=" + srv.URL + "/\n", ".yarnrc": "registry \"" + srv.URL + "\"\n"})
			run(t, dir, client, tt.args...)
			// What clients keep for themselves is another matter.
			if err := os.RemoveAll(filepath.Join(dir, ".home")); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range walk(t, dir) {
				if strings.Contains(line, ": symbolic links not followed") {
					continue // pnpm's ways from a package to its dependencies
				}
				_, line, _ = strings.Cut(line, " ")
				what, digest, hashed := strings.Cut(line, " sha512:")
				if tt.hashed && (!hashed || len(digest) != 6) {
					t.Errorf("%s has no digest", line)
				}
				got = append(got, what)
			}
			slices.Sort(got)
			got = slices.Compact(got) // nested, a package may be there twice
			if !slices.Equal(got, tt.packages) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.packages, "\n\t"))
			}
		})
	}
}

// wheel is a distribution of nothing but its metadata (packaging.python.org,
// specifications/binary-distribution-format).
func wheel(t *testing.T, name, version string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	info := name + "-" + version + ".dist-info/"
	for _, f := range [][2]string{
		{name + ".py", ""},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, f[1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// What pip installs, from an index (PEP 503) and from a file.
func TestPip(t *testing.T) {
	python := program(t, "python3")
	if exec.Command(python, "-m", "pip", "--version").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("pip is missing: scripts/test installs it")
		}
		t.Skip("pip is not here")
	}
	data := wheel(t, "planted", "1.0")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/simple/planted/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!DOCTYPE html><a href="/planted-1.0-py3-none-any.whl">planted-1.0-py3-none-any.whl</a>`)
		case "/planted-1.0-py3-none-any.whl":
			w.Write(data)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	dir := t.TempDir()
	pip := []string{"-m", "pip", "install", "--isolated", "--disable-pip-version-check", "--no-cache-dir"}
	run(t, dir, python, append(pip, "--target", "index", "--index-url", srv.URL+"/simple/", "planted")...)
	file := filepath.Join(dir, "planted-1.0-py3-none-any.whl")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, python, append(pip, "--target", "file", "--no-index", file)...)
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	got := walk(t, dir)
	want := []string{
		"file/planted-1.0.dist-info/METADATA planted@1.0 file sha256:" + sum[:6],
		"index/planted-1.0.dist-info/METADATA planted@1.0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
