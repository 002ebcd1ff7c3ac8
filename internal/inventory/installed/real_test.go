package installed_test

import (
	"os"
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
			switch tt.client {
			case "npm":
				client = clienttest.Program(t, "npm")
			case "pnpm": // other versions of these are called so, too
				client = clienttest.Script(t, "pnpm/bin/pnpm.cjs")
			case "yarn":
				client = clienttest.Script(t, "yarn/bin/yarn.js")
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
