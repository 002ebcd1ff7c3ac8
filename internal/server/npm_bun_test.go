package server_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// The scanner of integrations/bun-scanner lets bun install a clean project, and nothing at all where a package is on the list. A
// server that does not answer, or with something else, stops the install too, unless that is set otherwise.
func TestBunScanner(t *testing.T) {
	bun := clienttest.Program(t, "bun")
	source, err := os.ReadFile("../../integrations/bun-scanner/index.ts")
	if err != nil {
		t.Fatal(err)
	}
	upstream := clienttest.NPMRegistry(t, map[string]string{"planted": `{}`, "middle": `{"planted": "^1.0.0"}`, "ranged": `{}`, "@corp/good": `{}`, "@corp/all": `{}`, "other": `{}`})
	srv := npmServer(t, "", nil,
		packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.0.0"]`),
		packageRecord("MAL-2026-2", "npm", "@corp/all", everyVersion),
		packageRecord("MAL-2026-3", "npm", "ranged", `"ranges": [{"type": "SEMVER", "events": [{"introduced": "0.5.0"}, {"fixed": "2.0.0"}]}]`),
		packageRecord("MAL-2026-4", "npm", "other", `"versions": ["1.0.1"]`),
	)
	fake := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	merged := fake(200, `{"@corp/good":[{"id":1,"title":"ReDoS","cwe":["CWE-1333"],"vulnerable_versions":"*"}],"other":[{"id":2,"title":"Malware","cwe":["CWE-506"],"vulnerable_versions":"<1.0.0"}]}`)
	for _, tt := range []struct {
		name, dependencies, project string
		env                         []string
		status                      int
		says                        string
	}{
		{"clean", `{"@corp/good": "1.0.0", "other": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + srv.URL + "/"}, 0, ""},
		{"clean, set in package.json", `{"@corp/good": "1.0.0"}`, `"rapsheet": {"url": "` + srv.URL + `"},`, nil, 0, ""},
		{"malicious", `{"@corp/good": "1.0.0", "middle": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + srv.URL}, 1, srv.URL + "/advisories/MAL-2026-1"},
		{"malicious, whatever is allowed", `{"planted": "1.0.0"}`, `"rapsheet": {"url": "` + srv.URL + `", "onError": "allow"},`, nil, 1, srv.URL + "/advisories/MAL-2026-1"},
		{"every version", `{"@corp/all": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + srv.URL}, 1, srv.URL + "/advisories/MAL-2026-2"},
		{"a range", `{"ranged": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + srv.URL}, 1, srv.URL + "/advisories/MAL-2026-3"},
		{"other advisories of a registry", `{"@corp/good": "1.0.0", "other": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + merged}, 0, ""},
		{"no server", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + down.URL}, 1, "nothing is known about these packages"},
		{"no server, allowed", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + down.URL, "RAPSHEET_ON_ERROR=allow"}, 0, "not checked"},
		{"an error", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + fake(503, `{}`)}, 1, "answers 503"},
		{"a page", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + fake(200, `<html>`)}, 1, "nothing is known about these packages"},
		{"another form", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + fake(200, `{"x": 1}`)}, 1, "no list of advisories"},
		{"not set", `{"@corp/good": "1.0.0"}`, ``, nil, 1, "RAPSHEET_URL"},
		{"not set, allowed", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_ON_ERROR=allow"}, 1, "RAPSHEET_URL"},
		{"an address with a password", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + strings.Replace(down.URL, "//", "//me:secret@", 1)}, 1, "these packages: " + down.URL + ": "},
		{"no address", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=https://:x/"}, 1, "RAPSHEET_URL"},
		{"a package of no registry that has a listed name", `{"@corp/all": "file:./local.tgz"}`, ``, []string{"RAPSHEET_URL=" + srv.URL}, 0, "1 that come from no registry are not checked"},
		{"set to something else", `{"@corp/good": "1.0.0"}`, ``, []string{"RAPSHEET_URL=" + srv.URL, "RAPSHEET_ON_ERROR=no"}, 1, "RAPSHEET_ON_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := clienttest.Tree(t, map[string]string{
				"package.json":     `{"name": "project", "version": "1.0.0", ` + tt.project + ` "dependencies": ` + tt.dependencies + `}`,
				"bunfig.toml":      "[install]\nregistry = \"" + upstream.URL + "/\"\n[install.security]\nscanner = \"./scanner/index.ts\"\n",
				"scanner/index.ts": string(source),
				"local.tgz":        string(clienttest.Tarball(t, `{"name": "@corp/all", "version": "1.0.0"}`)),
			})
			status, out := clienttest.Status(t, dir, tt.env, bun, "install")
			if status != tt.status || !strings.Contains(out, tt.says) || strings.Contains(out, "secret") {
				t.Errorf("exit status %d, want %d\n%s", status, tt.status, out)
			}
			_, err := os.Stat(filepath.Join(dir, "node_modules"))
			if installed := err == nil; installed != (tt.status == 0) {
				t.Errorf("installed: %v\n%s", installed, out)
			}
			t.Logf("%s", out)
		})
	}
}

// The package as npm packs it, from a registry, is what bun takes for a scanner by its name.
func TestBunScannerPackage(t *testing.T) {
	bun, npm := clienttest.Program(t, "bun"), clienttest.Program(t, "npm")
	dir := t.TempDir()
	clienttest.Run(t, "../../integrations/bun-scanner", []string{"HOME=" + dir, "NPM_CONFIG_CACHE=" + filepath.Join(dir, "cache")}, npm, "pack", "--pack-destination", dir)
	archive, err := os.ReadFile(filepath.Join(dir, "rapsheet-bun-scanner-0.1.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.ts", "package.json", "README.md", "LICENSE"} {
		if !slices.Contains(tarNames(t, archive), "package/"+name) {
			t.Errorf("the package has no %s", name)
		}
	}
	upstream := clienttest.NPMRegistry(t, map[string]string{"planted": `{}`, "good": `{}`})
	var registry *httptest.Server
	registry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/@rapsheet/bun-scanner":
			sum := sha512.Sum512(archive)
			fmt.Fprintf(w, `{"name": "@rapsheet/bun-scanner", "dist-tags": {"latest": "0.1.0"}, "versions": {"0.1.0": {"name": "@rapsheet/bun-scanner", "version": "0.1.0",
				"dist": {"tarball": "%s/bun-scanner.tgz", "integrity": "sha512-%s"}}}}`, registry.URL, base64.StdEncoding.EncodeToString(sum[:]))
		case r.URL.Path == "/bun-scanner.tgz":
			w.Write(archive)
		default:
			upstream.Config.Handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(registry.Close)
	srv := npmServer(t, "", nil, packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.0.0"]`))
	env := []string{"RAPSHEET_URL=" + srv.URL}
	for dependency, want := range map[string]int{"good": 0, "planted": 1} {
		project := clienttest.Tree(t, map[string]string{
			"package.json": `{"name": "project", "version": "1.0.0", "devDependencies": {"@rapsheet/bun-scanner": "0.1.0"}, "dependencies": {"` + dependency + `": "1.0.0"}}`,
			"bunfig.toml":  "[install]\nregistry = \"" + registry.URL + "/\"\n[install.security]\nscanner = \"@rapsheet/bun-scanner\"\n",
		})
		status, out := clienttest.Status(t, project, env, bun, "install")
		_, err := os.Stat(filepath.Join(project, "node_modules", dependency))
		if status != want || (err == nil) != (want == 0) || strings.Contains(out, "/advisories/MAL-2026-1") != (want == 1) {
			t.Errorf("%s: exit status %d, want %d, %v\n%s", dependency, status, want, err, out)
		}
		t.Logf("%s", out)
	}
}

// tarNames are the files of a tar archive in gzip.
func tarNames(t *testing.T, archive []byte) []string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}
