package cache_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// nodeLines gives what a walk with the caches' kinds finds, see [clienttest.Lines].
func nodeLines(t *testing.T, root string, opt inventory.Options) []string {
	t.Helper()
	opt.Kinds = append(cache.Kinds(), installed.Kinds()...)
	return clienttest.Lines(t, root, inventory.Walk(t.Context(), root, opt))
}

// Packages that the real clients install stay in their caches once the project is gone.
func TestNodeClientCaches(t *testing.T) {
	srv := clienttest.NPMRegistry(t, map[string]string{
		"planted":    `{"alias-of-it": "npm:other@1.0.0"}`,
		"other":      `{}`,
		"@corp/tool": `{"planted": "^1.0.0"}`,
	})
	host := strings.TrimPrefix(srv.URL, "http://")
	names := []string{"@corp/tool@1.0.0", "other@1.0.0", "planted@1.0.0"}
	tests := []struct {
		name   string
		client func(*testing.T) string
		args   []string
		// origin is what is known of where each package came from; hashed, that a SHA-512 is.
		origin string
		hashed bool
		// kept is a directory of the project that is not removed.
		kept string
	}{
		{"npm", program("npm"), []string{"install", "--no-audit", "--no-fund", "--no-update-notifier"}, "registry " + host, true, ""},
		{"pnpm 10", script("pnpm/bin/pnpm.cjs"), []string{"install", "--no-frozen-lockfile"}, "registry", false, ""},
		{"pnpm 12", script("pnpm12/pnpm"), []string{"install", "--no-frozen-lockfile"}, "registry", true, ""},
		{"yarn 1", script("yarn/bin/yarn.js"), []string{"install", "--no-progress"}, "registry " + host, true, ""},
		{"yarn 4 for everyone", script("@yarnpkg/cli-dist/bin/yarn.js"), []string{"install"}, "registry", false, ""},
		{"yarn 4 in the project", script("@yarnpkg/cli-dist/bin/yarn.js"), []string{"install"}, "registry", false, ".yarn"},
		{"bun", program("bun"), []string{"install"}, "registry 127.0.0.1", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := tt.client(t)
			yarnrc := "npmRegistryServer: " + srv.URL + "\nunsafeHttpWhitelist: [127.0.0.1]\nenableTelemetry: false\nenableImmutableInstalls: false\nnpmMinimalAgeGate: 0\n"
			if tt.kept != "" {
				yarnrc += "enableGlobalCache: false\nenableMirror: false\n"
			}
			dir := clienttest.Tree(t, map[string]string{
				"package.json": `{"name": "project", "version": "1.0.0", "dependencies": {"@corp/tool": "1.0.0", "alias": "npm:other@1.0.0"}}`,
				".npmrc":       "registry=" + srv.URL + "/\n", ".yarnrc": "registry \"" + srv.URL + "\"\n", ".yarnrc.yml": yarnrc, "yarn.lock": "",
			})
			clienttest.Run(t, dir, nil, client, tt.args...)
			all, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				if e.Name() == filepath.Base(clienttest.Home(dir)) || e.Name() == tt.kept {
					continue
				}
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]bool{}
			for _, line := range nodeLines(t, dir, inventory.Options{}) {
				if strings.Contains(line, ": symbolic links not followed") {
					continue // bun's index of its own cache
				}
				_, line, _ = strings.Cut(line, " ")
				what, digest, hashed := strings.Cut(line, " sha512:")
				if hashed != tt.hashed || hashed && len(strings.Fields(digest)[0]) != 6 {
					t.Errorf("%s: a SHA-512 is there: %t", line, hashed)
				}
				got[what] = true
			}
			for _, name := range names {
				if want := name + " " + tt.origin; !got[want] {
					t.Errorf("not found: %s", want)
				} else {
					delete(got, want)
				}
			}
			for what := range got {
				t.Errorf("found, and was not installed: %s", what)
			}
		})
	}
}

// program and script find a client when its test runs.
func program(name string) func(*testing.T) string {
	return func(t *testing.T) string { return clienttest.Program(t, name) }
}

func script(name string) func(*testing.T) string {
	return func(t *testing.T) string { return clienttest.Script(t, name) }
}

// What Yarn 4 and bun install is found in the project too.
func TestNodeClientsInstalled(t *testing.T) {
	srv := clienttest.NPMRegistry(t, map[string]string{"planted": `{"alias-of-it": "npm:other@1.0.0"}`, "other": `{}`, "@corp/tool": `{"planted": "^1.0.0"}`})
	host := strings.TrimPrefix(srv.URL, "http://")
	berry := "npmRegistryServer: " + srv.URL + "\nunsafeHttpWhitelist: [127.0.0.1]\nenableTelemetry: false\nenableImmutableInstalls: false\nnpmMinimalAgeGate: 0\n"
	tests := []struct {
		name   string
		client func(*testing.T) string
		yarnrc string
		files  []string // in which the packages are found
	}{
		{"yarn 4 PnP", script("@yarnpkg/cli-dist/bin/yarn.js"), "", []string{".pnp.cjs", ".pnp.cjs", ".pnp.cjs"}},
		{"yarn 4 PnP in two files", script("@yarnpkg/cli-dist/bin/yarn.js"), "pnpEnableInlining: false\n", []string{".pnp.data.json", ".pnp.data.json", ".pnp.data.json"}},
		{"yarn 4 node_modules", script("@yarnpkg/cli-dist/bin/yarn.js"), "nodeLinker: node-modules\n", []string{"node_modules/@corp/tool/package.json", "node_modules/alias/package.json", "node_modules/planted/package.json"}},
		{"bun", program("bun"), "", []string{"node_modules/@corp/tool/package.json", "node_modules/alias/package.json", "node_modules/planted/package.json"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := tt.client(t)
			dir := clienttest.Tree(t, map[string]string{
				"package.json": `{"name": "project", "version": "1.0.0", "dependencies": {"@corp/tool": "1.0.0", "alias": "npm:other@1.0.0"}}`,
				".npmrc":       "registry=" + srv.URL + "/\n", ".yarnrc.yml": berry + tt.yarnrc, "yarn.lock": "",
			})
			clienttest.Run(t, dir, nil, client, "install")
			if err := os.RemoveAll(clienttest.Home(dir)); err != nil {
				t.Fatal(err)
			}
			got := nodeLines(t, dir, inventory.Options{})
			for i, name := range []string{"@corp/tool@1.0.0", "other@1.0.0", "planted@1.0.0"} {
				if want := tt.files[i] + " " + name + " registry " + host; !slices.Contains(got, want) {
					t.Errorf("not found: %s", want)
				}
			}
			for _, line := range got {
				if strings.Contains(line, " alias@") || strings.HasPrefix(line, "unread ") {
					t.Errorf("found: %s", line)
				}
			}
			if t.Failed() {
				t.Logf("found\n\t%s", strings.Join(got, "\n\t"))
			}
		})
	}
}

// counted is nodeLines with the number of things that each note stands for behind it, where the note says one.
func counted(t *testing.T, root string, opt inventory.Options) []string {
	t.Helper()
	opt.Kinds = append(cache.Kinds(), installed.Kinds()...)
	return clienttest.Lines(t, root, func(yield func(rapsheet.Sighting, error) bool) {
		for s, err := range inventory.Walk(t.Context(), root, opt) {
			var note *rapsheet.Note
			if errors.As(err, &note) && note.Count > 0 {
				n := *note
				n.Message = fmt.Sprintf("%s (%d)", n.Message, n.Count)
				err = &n
			}
			if !yield(s, err) {
				return
			}
		}
	})
}
