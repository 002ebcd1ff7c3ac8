package installed_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// walk gives what is installed below root, see [clienttest.Lines].
func walk(t *testing.T, root string) []string {
	t.Helper()
	return clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: installed.Kinds()}))
}

func TestInstalled(t *testing.T) {
	sha1 := strings.Repeat("0123456789", 4)
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"node_modules: packages at any depth, and nothing else in them", map[string]string{
			"node_modules/a/package.json":                               `{"name": "a", "version": "1.0.0"}`,
			"node_modules/a/dist/package.json":                          `{"type": "module"}`,
			"node_modules/a/dist/node_modules/b/package.json":           `{"name": "b", "version": "2.0.0"}`,
			"node_modules/a/package-lock.json":                          `{"lockfileVersion": 3, "packages": {"node_modules/published-with": {"version": "1.0.0"}}}`,
			"node_modules/@s/c/package.json":                            `{"name": "@s/c", "version": "3.0.0"}`,
			"node_modules/.bin/package.json":                            `{"name": "no", "version": "1.0.0"}`,
			"node_modules/.pnpm/d@4.0.0/node_modules/d/package.json":    `{"name": "d", "version": "4.0.0"}`,
			"node_modules/.pnpm/d@4.0.0/node_modules/@s/e/package.json": `{"name": "@s/e", "version": "5.0.0"}`,
			"lib/package.json":                                          `{"name": "no", "version": "1.0.0"}`,
		}, []string{
			"node_modules/.pnpm/d@4.0.0/node_modules/@s/e/package.json @s/e@5.0.0",
			"node_modules/.pnpm/d@4.0.0/node_modules/d/package.json d@4.0.0",
			"node_modules/@s/c/package.json @s/c@3.0.0",
			"node_modules/a/package.json a@1.0.0",
			"node_modules/a/dist/node_modules/b/package.json b@2.0.0",
		}},
		{"npm's hidden lockfile says where from, also for a workspace", map[string]string{
			"node_modules/.package-lock.json": `{"packages": {
				"node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "sha1-` + "ASNFZ4kBI0VniQEjRWeJASNFZ4k=" + `"},
				"node_modules/private": {"version": "1.0.0", "resolved": "https://npm.corp.example/private/-/private-1.0.0.tgz"},
				"packages/w/node_modules/b": {"version": "2.0.0", "resolved": "git+ssh://git@github.com/o/b.git#0123456789012345678901234567890123456789"}}}`,
			"node_modules/a/package.json":            `{"name": "a", "version": "1.0.0"}`,
			"node_modules/private/package.json":      `{"name": "private", "version": "1.0.0"}`,
			"node_modules/stray/package.json":        `{"name": "stray", "version": "1.0.0"}`,
			"packages/w/node_modules/b/package.json": `{"name": "b", "version": "2.0.0"}`,
		}, []string{
			"node_modules/a/package.json a@1.0.0 registry registry.npmjs.org sha1:012345",
			"node_modules/private/package.json private@1.0.0 registry npm.corp.example",
			"node_modules/stray/package.json stray@1.0.0",
			"packages/w/node_modules/b/package.json b@2.0.0 git github.com",
		}},
		{"D83 a package that calls itself otherwise is looked up under both names", map[string]string{
			"node_modules/evil/package.json":      `{"name": "harmless", "version": "1.0.0"}`,
			"node_modules/nameless/package.json":  `{"version": "1.0.0"}`,
			"node_modules/broken/package.json":    `{"name": `,
			"node_modules/twice/package.json":     `{"name": "x", "version": "1.0.0", "name": "twice"}`,
			"lib/node_modules/.package-lock.json": `{"packages": {"node_modules/evil": {"version": "1.0.0"}}}`,
			"lib/node_modules/evil/package.json":  `{"name": "harmless", "version": "1.0.0"}`,
		}, []string{
			"lib/node_modules/evil/package.json harmless@1.0.0",
			`info lib/node_modules/evil/package.json: calls itself "harmless" where "evil" is installed: both were looked up`,
			"lib/node_modules/evil/package.json evil@1.0.0",
			"node_modules/broken/package.json broken@",
			"unread node_modules/broken/package.json: unexpected EOF",
			"node_modules/evil/package.json harmless@1.0.0",
			`info node_modules/evil/package.json: calls itself "harmless" where "evil" is installed: both were looked up`,
			"node_modules/evil/package.json evil@1.0.0",
			"node_modules/nameless/package.json nameless@1.0.0",
			"node_modules/twice/package.json twice@1.0.0",
		}},
		{"a declared alias is no other package", map[string]string{
			"package.json":                               `{"dependencies": {"mine": "npm:real@^1"}}`,
			"node_modules/mine/package.json":             `{"name": "real", "version": "1.0.0"}`,
			"node_modules/@isaacs/cliui/package.json":    `{"name": "@isaacs/cliui", "version": "8.0.2", "dependencies": {"string-width-cjs": "npm:string-width@^4.2.0"}}`,
			"node_modules/string-width-cjs/package.json": `{"name": "string-width", "version": "4.2.3"}`,
			"node_modules/other/package.json":            `{"name": "o", "version": "1.0.0", "dependencies": {"wrong": "npm:something-else@1"}}`,
			"locked/node_modules/.package-lock.json":     `{"packages": {"node_modules/alias": {"name": "real", "version": "1.0.0"}}}`,
			"locked/node_modules/alias/package.json":     `{"name": "real", "version": "1.0.0"}`,
		}, []string{
			"locked/node_modules/alias/package.json real@1.0.0",
			"node_modules/@isaacs/cliui/package.json @isaacs/cliui@8.0.2",
			"node_modules/mine/package.json real@1.0.0",
			"node_modules/other/package.json o@1.0.0",
			`info node_modules/other/package.json: calls itself "o" where "other" is installed: both were looked up`,
			"node_modules/other/package.json other@1.0.0",
			"node_modules/string-width-cjs/package.json string-width@4.2.3",
		}},
		{"Yarn 1, pnpm and npm 6 say where from in their own ways", map[string]string{
			"y/node_modules/.yarn-integrity":                             `{"lockfileEntries": {"a@^1.0.0": "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#` + sha1 + `"}}`,
			"y/node_modules/a/package.json":                              `{"name": "a", "version": "1.0.0"}`,
			"p/node_modules/.modules.yaml":                               `{"registries": {"default": "https://registry.npmjs.org/", "@corp": "https://npm.corp.example/"}}`,
			"p/node_modules/.pnpm/b@1/node_modules/b/package.json":       `{"name": "b", "version": "1.0.0"}`,
			"p/node_modules/.pnpm/c@1/node_modules/@corp/c/package.json": `{"name": "@corp/c", "version": "1.0.0"}`,
			"6/node_modules/d/package.json":                              `{"name": "d", "version": "1.0.0", "_resolved": "https://registry.npmjs.org/d/-/d-1.0.0.tgz", "_integrity": "sha1-ASNFZ4kBI0VniQEjRWeJASNFZ4k="}`,
		}, []string{
			"6/node_modules/d/package.json d@1.0.0 registry registry.npmjs.org sha1:012345",
			"p/node_modules/.pnpm/b@1/node_modules/b/package.json b@1.0.0 registry registry.npmjs.org",
			"p/node_modules/.pnpm/c@1/node_modules/@corp/c/package.json @corp/c@1.0.0 registry npm.corp.example",
			"y/node_modules/a/package.json a@1.0.0 registry registry.yarnpkg.com sha1:012345",
		}},
		{"nothing but the project's configuration says where from", map[string]string{
			".npmrc":                          "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=secret\n",
			"node_modules/a/package.json":     `{"name": "a", "version": "1.0.0"}`,
			"sub/node_modules/b/package.json": `{"name": "b", "version": "1.0.0"}`,
		}, []string{
			"node_modules/a/package.json a@1.0.0 registry npm.corp.example",
			"sub/node_modules/b/package.json b@1.0.0",
		}},
		{"a user's configuration counts for the scopes in it", map[string]string{
			"home/u/.npmrc":                                "registry=https://proxy.corp.example/\n@corp:registry=https://npm.corp.example/\n",
			"home/u/p/node_modules/a/package.json":         `{"name": "a", "version": "1.0.0"}`,
			"home/u/p/node_modules/@corp/b/package.json":   `{"name": "@corp/b", "version": "1.0.0"}`,
			"home/u/q/r/.npmrc":                            "@corp:registry=https://other.corp.example/\n",
			"home/u/q/r/node_modules/@corp/b/package.json": `{"name": "@corp/b", "version": "1.0.0"}`,
			"home/v/p/node_modules/@corp/b/package.json":   `{"name": "@corp/b", "version": "1.0.0"}`,
		}, []string{
			"home/u/p/node_modules/@corp/b/package.json @corp/b@1.0.0 registry npm.corp.example",
			"home/u/p/node_modules/a/package.json a@1.0.0",
			"home/u/q/r/node_modules/@corp/b/package.json @corp/b@1.0.0 registry other.corp.example",
			"home/v/p/node_modules/@corp/b/package.json @corp/b@1.0.0",
		}},
		{"site-packages", map[string]string{
			"lib/a-1.0.dist-info/METADATA":        "Metadata-Version: 2.1\r\nName: A\r\nVersion: 1.0\r\nSummary: x\r\n  Name: no\r\n\r\nName: no\n",
			"lib/b-2.0.dist-info/METADATA":        "Name: b\nVersion: 2.0\n",
			"lib/b-2.0.dist-info/direct_url.json": `{"url": "https://host.example/b-2.0.tar.gz", "archive_info": {"hash": "sha256=00ff", "hashes": {"sha256": "00ff"}}}`,
			"lib/c-1.dist-info/METADATA":          "Name: c\nVersion: 1\n",
			"lib/c-1.dist-info/direct_url.json":   `{"url": "https://github.com/o/c", "vcs_info": {"vcs": "git", "commit_id": "0"}}`,
			"lib/d-1.dist-info/METADATA":          "Name: d\nVersion: 1\n",
			"lib/d-1.dist-info/direct_url.json":   `{"url": "file:///work/d", "dir_info": {"editable": true}}`,
			"lib/e-1.0-py3.11.egg-info":           "Name: e\nVersion: 1.0\n",
			"lib/f.egg-info/PKG-INFO":             "Name: f\nVersion: 3\n",
			"lib/g-1.0-py3.egg/EGG-INFO/PKG-INFO": "Name: g\nVersion: 1.0\n",
			"lib/evil_pkg-6.6.dist-info/METADATA": "Name: harmless\nVersion: 1.0\n",
			"lib/My_Name-1.dist-info/METADATA":    "Name: my.name\nVersion: 1\n",
			"lib/nothing-1.dist-info/METADATA":    "",
		}, []string{
			"lib/e-1.0-py3.11.egg-info e@1.0",
			"lib/My_Name-1.dist-info/METADATA my.name@1",
			"lib/a-1.0.dist-info/METADATA A@1.0",
			"lib/b-2.0.dist-info/METADATA b@2.0 url host.example",
			"lib/c-1.dist-info/METADATA c@1 git github.com",
			"lib/d-1.dist-info/METADATA d@1 file",
			"lib/evil_pkg-6.6.dist-info/METADATA harmless@1.0",
			`info lib/evil_pkg-6.6.dist-info/METADATA: calls itself "harmless" where "evil_pkg" is installed: both were looked up`,
			"lib/evil_pkg-6.6.dist-info/METADATA evil_pkg@6.6",
			"lib/f.egg-info/PKG-INFO f@3",
			"lib/g-1.0-py3.egg/EGG-INFO/PKG-INFO g@1.0",
			"lib/nothing-1.dist-info/METADATA nothing@1",
		}},
		{"gems", map[string]string{
			"specifications/rake-13.0.6.gemspec":                     "Gem::Specification.new do |s|\n  s.name = \"rake\".freeze\n  s.version = \"13.0.6\"\n",
			"specifications/default/json-2.6.1.gemspec":              "  s.name = \"json\".freeze\n  s.version = \"2.6.1\"\n",
			"specifications/nokogiri-1.15.0-arm64-darwin-22.gemspec": "  s.name = \"nokogiri\".freeze\n  s.version = \"1.15.0\"\n  s.platform = \"arm64-darwin-22\".freeze\n",
			"specifications/evil-6.6.gemspec":                        "  s.name = \"good\".freeze\n  s.version = \"1.0\"\n",
			"specifications/odd-2fa-1.gemspec":                       "name = 'x'\n",
			"src/rake.gemspec":                                       "s.name = \"no\"",
		}, []string{
			"specifications/evil-6.6.gemspec good@1.0",
			`info specifications/evil-6.6.gemspec: calls itself "good" where "evil" is installed: both were looked up`,
			"specifications/evil-6.6.gemspec evil@6.6",
			"specifications/nokogiri-1.15.0-arm64-darwin-22.gemspec nokogiri@1.15.0",
			"specifications/odd-2fa-1.gemspec odd-2fa@1",
			"specifications/rake-13.0.6.gemspec rake@13.0.6",
			"specifications/default/json-2.6.1.gemspec json@2.6.1",
		}},
		{"cargo install", map[string]string{
			".cargo/.crates2.json": `{"installs": {
				"ripgrep 13.0.0 (registry+https://github.com/rust-lang/crates.io-index)": {"bins": ["rg"]},
				"own 0.1.0 (path+file:///work/own)": {"bins": ["own"]},
				"forked 1.0.0 (git+https://github.com/o/forked#0123456789012345678901234567890123456789)": {}}}`,
			".cargo/.crates.toml": "[v1]\n",
		}, []string{
			".cargo/.crates2.json forked@1.0.0 git github.com",
			".cargo/.crates2.json own@0.1.0 file",
			".cargo/.crates2.json ripgrep@13.0.0 registry crates.io",
		}},
		{"extensions of editors", map[string]string{
			".vscode/extensions/ms-python.python-2024.1.0/package.json":     `{"publisher": "ms-python", "name": "python", "version": "2024.1.0", "__metadata": {"source": "gallery"}}`,
			".cursor/extensions/a.b-1.0.0-universal/package.json":           `{"publisher": "A", "name": "b", "version": "1.0.0"}`,
			".vscode-server-insiders/extensions/evil.x-6.6.6/package.json":  `{"publisher": "good", "name": "y", "version": "1.0.0"}`,
			"share/code-server/extensions/p.q-1.0.0/package.json":           `{"publisher": "p", "name": "q", "version": "1.0.0"}`,
			".vscode/extensions/ms-python.python-2024.1.0/sub/package.json": `{"publisher": "no", "name": "no", "version": "1"}`,
			"project/extensions/no.no-1.0.0/package.json":                   `{"publisher": "no", "name": "no", "version": "1"}`,
		}, []string{
			".cursor/extensions/a.b-1.0.0-universal/package.json A.b@1.0.0",
			".vscode/extensions/ms-python.python-2024.1.0/package.json ms-python.python@2024.1.0 registry",
			".vscode-server-insiders/extensions/evil.x-6.6.6/package.json good.y@1.0.0",
			`info .vscode-server-insiders/extensions/evil.x-6.6.6/package.json: calls itself "good.y" where "evil.x" is installed: both were looked up`,
			".vscode-server-insiders/extensions/evil.x-6.6.6/package.json evil.x@6.6.6",
			"share/code-server/extensions/p.q-1.0.0/package.json p.q@1.0.0",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := walk(t, clienttest.Tree(t, tt.files)); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

// The scopes of the user who scans a project count too; see above for the rest.
func TestUserSettings(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{"node_modules/@corp/b/package.json": `{"name": "@corp/b", "version": "1.0.0"}`, "node_modules/a/package.json": `{"name": "a", "version": "1.0.0"}`})
	opt := inventory.Options{Kinds: installed.Kinds(), Home: fstest.MapFS{".npmrc": {Data: []byte("registry=https://proxy.corp.example/\n@corp:registry=https://npm.corp.example/\n")}}}
	got := clienttest.Lines(t, root, inventory.Walk(t.Context(), root, opt))
	want := []string{"node_modules/@corp/b/package.json @corp/b@1.0.0 registry npm.corp.example", "node_modules/a/package.json a@1.0.0"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// A walk that begins in node_modules sees the same.
func TestInsideNodeModules(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		"node_modules/.package-lock.json": `{"packages": {"node_modules/evil": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/evil/-/evil-1.0.0.tgz"}}}`,
		"node_modules/evil/package.json":  `{"name": "harmless", "version": "1.0.0"}`,
	})
	got := walk(t, filepath.Join(root, "node_modules"))
	want := []string{
		"evil/package.json harmless@1.0.0 registry registry.npmjs.org",
		`info evil/package.json: calls itself "harmless" where "evil" is installed: both were looked up`,
		"evil/package.json evil@1.0.0 registry registry.npmjs.org",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
