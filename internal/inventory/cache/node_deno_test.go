package cache_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// The layout is that of github.com/denoland/deno, libs/cache_dir/npm.rs and libs/npm_cache, whose own tests have the
// encoded names.
func TestDenoCache(t *testing.T) {
	pkg := func(name, version string) string { return fmt.Sprintf(`{"name": %q, "version": %q}`, name, version) }
	one, oneAt := sri("one")
	sum := " sha512:" + strings.ReplaceAll(strings.TrimPrefix(oneAt, "_cacache/content-v2/sha512/"), "/", "")[:6]
	sha1 := strings.Repeat("0123456789", 4)
	tests := []struct {
		name  string
		files map[string]string
		hash  bool
		want  []string
	}{
		{"versions, scopes, capitals and copies, and the registry's answer beside them", map[string]string{
			".cache/deno/npm/registry.npmjs.org/chalk/registry.json":                         `{"name": "chalk", "versions": {"5.0.0": {}, "5.0.1": {}}}`,
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1/package.json":                    pkg("chalk", "5.0.1"),
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1_1/package.json":                  pkg("chalk", "5.0.1"),
			".cache/deno/npm/registry.npmjs.org/only-asked-for/registry.json":                `{"name": "only-asked-for", "versions": {"1.0.0": {}}}`,
			".cache/deno/npm/registry.npmjs.org/@types/chalk/2.2.0-rc.1/package.json":        pkg("@types/chalk", "2.2.0-rc.1"),
			".cache/deno/npm/registry.npmjs.org/_jjju6tq/2.1.5/package.json":                 pkg("JSON", "2.1.5"),
			".cache/deno/npm/registry.npmjs.org/_ib2hs4dfomxuuu2pjy/2.1.5/package.json":      pkg("@types/JSON", "2.1.5"),
			".cache/deno/npm/registry.npmjs.org/_!/1.0.0/package.json":                       pkg("no-base-32", "1.0.0"),
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1/.deno_sync_lock":                 "",
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1/test/fixture/1.0.0/package.json": pkg("fixture", "1.0.0"),
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1/node_modules/in/package.json":    pkg("in", "1.0.0"),
		}, false, []string{
			".cache/deno/npm/registry.npmjs.org/@types/chalk/2.2.0-rc.1/package.json @types/chalk@2.2.0-rc.1 registry registry.npmjs.org",
			".cache/deno/npm/registry.npmjs.org/_ib2hs4dfomxuuu2pjy/2.1.5/package.json @types/JSON@2.1.5 registry registry.npmjs.org",
			".cache/deno/npm/registry.npmjs.org/_jjju6tq/2.1.5/package.json JSON@2.1.5 registry registry.npmjs.org",
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1/package.json chalk@5.0.1 registry registry.npmjs.org",
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1/node_modules/in/package.json in@1.0.0",
			".cache/deno/npm/registry.npmjs.org/chalk/5.0.1_1/package.json chalk@5.0.1 registry registry.npmjs.org",
		}},
		{"other registries, with ports and paths", map[string]string{
			"deno-dir/npm/npm.corp.example/a/1.0.0/package.json":                 pkg("a", "1.0.0"),
			".deno/npm/npm.corp.example_8443/repo/npm/@s/a/1.0.0/package.json":   pkg("@s/a", "1.0.0"),
			".deno/npm/4873/a/1.0.0/package.json":                                pkg("a", "1.0.0"),
			".deno/npm/npm.corp.example/r/a/1.0.0/test/f/2.0.0/package.json":     pkg("fixture", "2.0.0"),
			".deno/npm/npm.corp.example/@s/a/1.0.0/test/f/2.0.0/package.json":    pkg("fixture", "2.0.0"),
			"other/npm/npm.corp.example/not-of-deno/1.0.0/package.json":          pkg("not-of-deno", "1.0.0"),
			"data/d/npm/registry.npmjs.org/moved/1.0.0/package.json":             pkg("moved", "1.0.0"),
			"Library/Caches/deno/npm/registry.npmjs.org/mac/1.0.0/package.json":  pkg("mac", "1.0.0"),
			"AppData/Local/deno/npm/registry.npmjs.org/win/1.0.0/package.json":   pkg("win", "1.0.0"),
			"AppData/Local/deno/npm/registry.npmjs.org/win/1.0.0/README.md":      "# 1.0.0",
			"AppData/Local/deno/deps/https/deno.land/" + sha1 + ".metadata.json": `{"url": "https://deno.land/x/a@1.0.0/mod.ts"}`,
		}, false, []string{
			".deno/npm/4873/a/1.0.0/package.json a@1.0.0 registry",
			".deno/npm/npm.corp.example_8443/repo/npm/@s/a/1.0.0/package.json @s/a@1.0.0 registry npm.corp.example:8443",
			"AppData/Local/deno/npm/registry.npmjs.org/win/1.0.0/package.json win@1.0.0 registry registry.npmjs.org",
			"Library/Caches/deno/npm/registry.npmjs.org/mac/1.0.0/package.json mac@1.0.0 registry registry.npmjs.org",
			"data/d/npm/registry.npmjs.org/moved/1.0.0/package.json moved@1.0.0 registry registry.npmjs.org",
			"deno-dir/npm/npm.corp.example/a/1.0.0/package.json a@1.0.0 registry npm.corp.example",
		}},
		{"a package that calls itself otherwise, and one that says nothing", map[string]string{
			".deno/npm/registry.npmjs.org/evil/1.0.0/package.json":   pkg("harmless", "3.0.0"),
			".deno/npm/registry.npmjs.org/evil/1.0.1/package.json":   "{",
			".deno/npm/registry.npmjs.org/evil/1.0.2/package.json":   `{"main": "x.js"}`,
			".deno/npm/registry.npmjs.org/evil/1.0.3_2/package.json": pkg("evil", "1.0.3+build"),
		}, false, []string{
			".deno/npm/registry.npmjs.org/evil/1.0.0/package.json harmless@3.0.0 registry registry.npmjs.org",
			`info .deno/npm/registry.npmjs.org/evil/1.0.0/package.json: calls itself "harmless@3.0.0" where the cache has "evil@1.0.0": both were looked up`,
			".deno/npm/registry.npmjs.org/evil/1.0.0/package.json evil@1.0.0 registry registry.npmjs.org",
			".deno/npm/registry.npmjs.org/evil/1.0.1/package.json evil@1.0.1 registry registry.npmjs.org",
			"unread .deno/npm/registry.npmjs.org/evil/1.0.1/package.json: unexpected EOF",
			".deno/npm/registry.npmjs.org/evil/1.0.2/package.json evil@1.0.2 registry registry.npmjs.org",
			".deno/npm/registry.npmjs.org/evil/1.0.3_2/package.json evil@1.0.3+build registry registry.npmjs.org",
		}},
		{"digests, where they are of use", map[string]string{
			".deno/npm/registry.npmjs.org/a/1.0.0/package.json":   pkg("a", "1.0.0"),
			".deno/npm/registry.npmjs.org/a/1.0.0_1/package.json": pkg("a", "1.0.0"),
			".deno/npm/registry.npmjs.org/a/1.0.1/package.json":   pkg("a", "1.0.1"),
			".deno/npm/registry.npmjs.org/a/1.0.2/package.json":   pkg("a", "1.0.2"),
			".deno/npm/registry.npmjs.org/a/registry.json":        `{"versions": {"1.0.0": {"dist": {"integrity": "` + one + `"}}, "1.0.1": {"dist": {"shasum": "` + sha1 + `"}}}}`,
			".deno/npm/registry.npmjs.org/b/1.0.0/package.json":   pkg("b", "1.0.0"),
			".deno/npm/registry.npmjs.org/b/registry.json":        `{"versions": `,
		}, true, []string{
			".deno/npm/registry.npmjs.org/a/1.0.0/package.json a@1.0.0 registry registry.npmjs.org" + sum,
			".deno/npm/registry.npmjs.org/a/1.0.0_1/package.json a@1.0.0 registry registry.npmjs.org" + sum,
			".deno/npm/registry.npmjs.org/a/1.0.1/package.json a@1.0.1 registry registry.npmjs.org sha1:012345",
			".deno/npm/registry.npmjs.org/a/1.0.2/package.json a@1.0.2 registry registry.npmjs.org",
			".deno/npm/registry.npmjs.org/b/1.0.0/package.json b@1.0.0 registry registry.npmjs.org",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, nodeLines(t, clienttest.Tree(t, tt.files), inventory.Options{Hash: tt.hash}), tt.want)
		})
	}
	t.Run("DENO_DIR", func(t *testing.T) {
		root := clienttest.Tree(t, map[string]string{"npm/npm.corp.example/a/1.0.0/package.json": pkg("a", "1.0.0")})
		compare(t, nodeLines(t, root, inventory.Options{As: "/home/.cache/deno"}), []string{"npm/npm.corp.example/a/1.0.0/package.json a@1.0.0 registry npm.corp.example"})
	})
}

// What Deno has fetched stays in its cache once the project is gone.
func TestDenoClientCache(t *testing.T) {
	deno := clienttest.Program(t, "deno")
	srv := clienttest.NPMRegistry(t, map[string]string{"planted": `{}`, "@corp/tool": `{"planted": "^1.0.0"}`})
	at := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	dir := clienttest.Tree(t, map[string]string{
		"package.json": `{"name": "project", "version": "1.0.0", "dependencies": {"@corp/tool": "1.0.0"}}`,
		".npmrc":       "registry=" + at + "/\n",
	})
	cache := filepath.Join(clienttest.Home(dir), "deno")
	clienttest.Run(t, dir, []string{"DENO_NO_UPDATE_CHECK=1", "NO_PROXY=localhost,127.0.0.1"}, deno, "install")
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(at, "http://")
	in := "npm/" + strings.Replace(host, ":", "_", 1) + "/"
	for _, line := range nodeLines(t, cache, inventory.Options{Hash: true, As: "/home/.cache/deno"}) {
		what, digest, _ := strings.Cut(line, " sha512:")
		if len(digest) != 6 {
			t.Errorf("%s: no SHA-512", what)
		}
		switch what {
		case in + "@corp/tool/1.0.0/package.json @corp/tool@1.0.0 registry " + host:
		case in + "planted/1.0.0/package.json planted@1.0.0 registry " + host:
			return
		default:
			t.Errorf("found, and was not installed: %s", line)
		}
	}
	t.Error("not found: planted")
}
