package installed_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// Packages that are installed by the real clients, from a registry of the test's own.
func TestNodeClients(t *testing.T) {
	srv := clienttest.NPMRegistry(t, map[string]string{
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
			var client string
			if tt.client == "yarn" { // which other versions are called, too
				client = clienttest.Script(t, "yarn/bin/yarn.js")
			} else {
				client = clienttest.Program(t, tt.client)
			}
			dir := clienttest.Tree(t, map[string]string{"package.json": project, ".npmrc": "registry=" + srv.URL + "/\n", ".yarnrc": "registry \"" + srv.URL + "\"\n"})
			clienttest.Run(t, dir, nil, client, tt.args...)
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

// What pip installs, from an index (PEP 503) and from a file.
func TestPip(t *testing.T) {
	python := clienttest.Program(t, "python3")
	if exec.Command(python, "-m", "pip", "--version").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("pip is missing: scripts/test installs it")
		}
		t.Skip("pip is not here")
	}
	data := clienttest.Wheel(t, "planted", "1.0")
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
	clienttest.Run(t, dir, nil, python, append(pip, "--target", "index", "--index-url", srv.URL+"/simple/", "planted")...)
	file := filepath.Join(dir, "planted-1.0-py3-none-any.whl")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	clienttest.Run(t, dir, nil, python, append(pip, "--target", "file", "--no-index", file)...)
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
