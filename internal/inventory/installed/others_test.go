package installed_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// hexManifest is what Mix writes as .hex: :erlang.term_to_binary({{:hex, 2, 0}, %{…}})
// (https://www.erlang.org/doc/apps/erts/erl_ext_dist.html).
func hexManifest(pairs ...string) string {
	b := []byte{131, 104, 2, 104, 3, 119, 3, 'h', 'e', 'x', 97, 2, 97, 0, 116, 0, 0, 0, byte(len(pairs) / 2)}
	for i := 0; i+1 < len(pairs); i += 2 {
		b = append(append(b, 119, byte(len(pairs[i]))), pairs[i]...)
		b = append(binary.BigEndian.AppendUint32(append(b, 109), uint32(len(pairs[i+1]))), pairs[i+1]...)
	}
	return string(b)
}

// The notes about browsers say how many extensions each profile has, without those that the browser brings.
func TestBrowserExtensionsAreCounted(t *testing.T) {
	id := strings.Repeat("a", 32)
	root := clienttest.Tree(t, map[string]string{
		"Default/Extensions/" + id + "/1.0.0_0/manifest.json": `{}`,
		"Default/Extensions/" + id + "/1.1.0_0/manifest.json": `{}`,
		"x.default/extensions.json": `{"addons": [{"location": "app-profile"}, {"location": "app-global"}, {"location": "app-profile"},
			{"location": "app-builtin"}, {"location": "app-system-defaults"}]}`,
		"x.default/prefs.js": "",
	})
	var counts []int
	for _, err := range inventory.Walk(t.Context(), root, inventory.Options{Kinds: installed.Kinds()}) {
		var note *rapsheet.Note
		if !errors.As(err, &note) {
			t.Fatal(err)
		}
		counts = append(counts, note.Count)
	}
	if !slices.Equal(counts, []int{2, 3}) {
		t.Errorf("got %v", counts)
	}
}

func TestOtherInstalls(t *testing.T) {
	sum := strings.Repeat("0123456789abcdef", 4)
	inner := strings.Repeat("f", 64)
	chrome := strings.Repeat("abcdefghijklmnop", 2)
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"gems of Bundler from repositories", map[string]string{
			"vendor/bundle/ruby/3.1.0/bundler/gems/repo-0123456789ab/evil.gemspec":       "  s.name = \"evil\".freeze\n  s.version = \"1.0\"\n",
			"vendor/bundle/ruby/3.1.0/bundler/gems/rails-0123456789ab/a/b/inner.gemspec": "Gem::Specification.new do |s|\n s.name = 'inner'",
			"vendor/bundle/ruby/3.1.0/bundler/gems/rails-0123456789ab/a/b/c/no.gemspec":  "",
			"vendor/cache/repo-0123456789ab/evil.gemspec":                                "  s.name = \"evil\".freeze\n  s.version = \"1.0\"\n",
			"ruby/gems/3.1.0/gems/repo-0123456789ab/no.gemspec":                          "  s.name = \"no\".freeze\n",
		}, []string{
			"vendor/bundle/ruby/3.1.0/bundler/gems/rails-0123456789ab/a/b/inner.gemspec inner@ git",
			"vendor/bundle/ruby/3.1.0/bundler/gems/repo-0123456789ab/evil.gemspec evil@1.0 git",
			"vendor/cache/repo-0123456789ab/evil.gemspec evil@1.0 git",
		}},
		{"Hex", map[string]string{
			"deps/decimal/hex_metadata.config":           "{<<\"app\">>,<<\"decimal\">>}.\n{<<\"name\">>,<<\"decimal\">>}.\n{<<\"requirements\">>,[[{<<\"name\">>,<<\"no\">>}]]}.\n{<<\"version\">>,<<\"2.0.0\">>}.\n",
			"deps/decimal/.hex":                          hexManifest("inner_checksum", inner, "managers", "", "name", "decimal", "outer_checksum", sum, "repo", "hexpm", "version", "2.0.0"),
			"deps/own/hex_metadata.config":               "{<<\"name\">>,<<\"own\">>}.\n{<<\"version\">>,<<\"1.0.0\">>}.\n",
			"deps/own/.hex":                              "own,1.0.0," + inner + ",corp\nmix",
			"deps/evil/hex_metadata.config":              "{<<\"name\">>,<<\"harmless\">>}.\n{<<\"version\">>,<<\"1.0.0\">>}.\n",
			"deps/evil/.hex":                             hexManifest("name", "evil", "version", "6.6.6", "repo", "hexpm"),
			"_build/default/lib/jsx/hex_metadata.config": "{<<\"name\">>,<<\"jsx\">>}.\n{<<\"version\">>,<<\"3.1.0\">>}.\n",
			"deps/older/hex_metadata.config":             "{<<\"name\">>,<<\"older\">>}.\n{<<\"version\">>,<<\"1.0.0\">>}.\n",
			"deps/older/.hex":                            "\x83h\x02h\x03d\x00\x03hexa\x02a\x00t\x00\x00\x00\x01d\x00\x04repom\x00\x00\x00\x05hexpm", // before OTP 26: ATOM_EXT
			"deps/nothing/hex_metadata.config":           "",
			"deps/cut/hex_metadata.config":               "{<<\"name\">>,<<\"cut\">>}.\n{<<\"version\">>,<<\"1.0.0\">>}.\n",
			"deps/cut/.hex":                              "\x83w\x04namem\xff\xff\xff\xffcut",
		}, []string{
			"_build/default/lib/jsx/hex_metadata.config jsx@3.1.0",
			"deps/cut/hex_metadata.config cut@1.0.0",
			"deps/decimal/hex_metadata.config decimal@2.0.0 registry repo.hex.pm sha256:012345",
			"deps/evil/hex_metadata.config harmless@1.0.0 registry repo.hex.pm",
			`info deps/evil/hex_metadata.config: calls itself "harmless" where "evil" is installed: both were looked up`,
			"deps/evil/hex_metadata.config evil@6.6.6 registry repo.hex.pm",
			"unmatchable deps/nothing/hex_metadata.config: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			"deps/older/hex_metadata.config older@1.0.0 registry repo.hex.pm",
			"deps/own/hex_metadata.config own@1.0.0 registry corp",
		}},
		{"Swift", map[string]string{
			".build/workspace-state.json": `{"object": {"artifacts": [], "dependencies": [
				{"basedOn": null, "packageRef": {"identity": "swift-nio", "kind": "remoteSourceControl", "location": "https://user:secret@github.com/apple/swift-nio.git", "name": "swift-nio"},
				 "state": {"checkoutState": {"revision": "0123", "version": "2.40.0"}, "name": "sourceControlCheckout"}, "subpath": "swift-nio"},
				{"packageRef": {"identity": "ssh", "kind": "remoteSourceControl", "location": "git@git.corp.example:o/ssh.git"}, "state": {"checkoutState": {"branch": "main", "revision": "0123"}, "name": "sourceControlCheckout"}},
				{"packageRef": {"identity": "mona.evil", "kind": "registry", "location": "mona.evil", "name": "mona.evil"}, "state": {"name": "registryDownload", "version": "1.0.0"}},
				{"packageRef": {"identity": "here", "kind": "fileSystem", "location": "/work/here"}, "state": {"name": "fileSystem", "path": "/work/here"}}]}, "version": 6}`,
			"App/SourcePackages/workspace-state.json": `{"object": {"dependencies": [{"packageRef": {"identity": "old", "kind": "remote", "name": "Old", "path": "https://github.com/o/Old"}, "state": {"checkoutState": {"version": "1.0.0"}}}]}, "version": 8}`,
			"other/workspace-state.json":              `{"windows": []}`,
		}, []string{
			".build/workspace-state.json github.com/apple/swift-nio@2.40.0 registry github.com",
			".build/workspace-state.json git.corp.example/o/ssh@ git git.corp.example",
			".build/workspace-state.json mona.evil@1.0.0 registry",
			".build/workspace-state.json here@ file",
			"App/SourcePackages/workspace-state.json github.com/o/Old@1.0.0 registry github.com",
			"unread App/SourcePackages/workspace-state.json: version 8 of workspace-state.json is not known: there may be more",
		}},
		{"R", map[string]string{
			"R/library/ggplot2/DESCRIPTION": "Package: ggplot2\nVersion: 3.4.0\nDescription: Text:\n  Package: no\nRepository: CRAN\nBuilt: R 4.2.2; ; 2023-01-01; unix\n",
			"R/library/hub/DESCRIPTION":     "Package: hub\r\nVersion: 0.1-2\r\nRemoteType: github\r\nRemoteHost: api.github.com\r\nRemoteUsername: o\r\nRemoteRepo: hub\r\nBuilt: R 4.2.2\r\n",
			"R/library/evil/DESCRIPTION":    "Package: harmless\nVersion: 1.0\nRepository: RSPM\nBuilt: R 4.2.2\n",
			"R/library/stats/DESCRIPTION":   "Package: stats\nVersion: 4.2.2\nPriority: base\nBuilt: R 4.2.2\n",
			"src/mine/DESCRIPTION":          "Package: mine\nVersion: 1.0\n",
			"doc/DESCRIPTION":               "What this is.\n",
		}, []string{
			"R/library/evil/DESCRIPTION harmless@1.0",
			`info R/library/evil/DESCRIPTION: calls itself "harmless" where "evil" is installed: both were looked up`,
			"R/library/evil/DESCRIPTION evil@1.0",
			"R/library/ggplot2/DESCRIPTION ggplot2@3.4.0 registry cran.r-project.org",
			"R/library/hub/DESCRIPTION hub@0.1-2 git github.com",
		}},
		{"Haskell", map[string]string{
			".cabal/store/ghc-9.2.5/package.db/aeson-2.1.0.0-0a1b.conf":         "name:                 aeson\nversion:              2.1.0.0\nvisibility: public\nid:\n    aeson-2.1.0.0-0a1b\n",
			".stack/snapshots/x/h/9.2.5/pkgdb/z-attoparsec-z-internal-0.1.conf": "name:\n    z-attoparsec-z-internal\nversion: 0.14.4\npackage-name: attoparsec\n",
			"var/lib/ghc/package.conf.d/base-4.15.1.0.conf":                     "name: base\nversion: 4.15.1.0\n",
			"etc/x/base.conf": "name: no\nversion: 1\n",
		}, []string{
			".cabal/store/ghc-9.2.5/package.db/aeson-2.1.0.0-0a1b.conf aeson@2.1.0.0",
			".stack/snapshots/x/h/9.2.5/pkgdb/z-attoparsec-z-internal-0.1.conf attoparsec@0.14.4",
			"var/lib/ghc/package.conf.d/base-4.15.1.0.conf base@4.15.1.0",
		}},
		{"what a runner of GitHub Actions downloaded", map[string]string{
			"_work/_actions/tj-actions/changed-files/v45.completed":  "1/1/2025",
			"_work/_actions/tj-actions/changed-files/v45/action.yml": "name: x\n",
			"_work/_actions/Owner/Repo/releases/v1.completed":        "",
			"_work/_actions/tj-actions/changed-files/v44/x.txt":      "",
			"_work/_actions/stray.completed":                         "",
			"downloads/file.completed":                               "",
		}, []string{
			"_work/_actions/Owner/Repo/releases/v1.completed Owner/Repo@releases/v1 registry github.com",
			"_work/_actions/tj-actions/changed-files/v45.completed tj-actions/changed-files@v45 registry github.com",
		}},
		{"extensions of browsers: counted, a note for each profile", map[string]string{
			".config/google-chrome/Default/Extensions/" + chrome + "/1.0.0_0/manifest.json":                 `{"name": "secret", "version": "1.0.0"}`,
			".config/google-chrome/Default/Extensions/" + chrome + "/1.1.0_0/manifest.json":                 `{}`,
			".config/google-chrome/Default/Extensions/" + strings.Repeat("p", 32) + "/2_0/manifest.json":    `{}`,
			".config/google-chrome/Default/Extensions/" + strings.Repeat("a", 32) + "/2_0/README":           "",
			".config/google-chrome/Default/Extensions/Temp/x/manifest.json":                                 `{}`,
			".config/BraveSoftware/Brave-Browser/Profile 1/Extensions/" + chrome + "/1_0/manifest.json":     `{}`,
			".config/BraveSoftware/Brave-Browser/Profile 1/Extensions/" + chrome + "/1_0/sub/manifest.json": `{}`,
			".mozilla/firefox/x.default/extensions.json":                                                    `{"schemaVersion": 35, "addons": [{"id": "secret@x", "version": "1", "location": "app-profile"}, {"id": "b", "location": "app-builtin"}, {"id": "c", "location": "app-system-defaults"}]}`,
			".mozilla/firefox/x.default/times.json":                                                         `{}`,
			".mozilla/firefox/y.default/extensions.json":                                                    `{"addons": `,
			".mozilla/firefox/y.default/prefs.js":                                                           ``,
			"project/extensions.json":                                                                       `{"addons": [{"location": "app-profile"}]}`,
		}, []string{
			"unmatchable .config/BraveSoftware/Brave-Browser/Profile 1/Extensions/" + chrome + "/1_0/manifest.json: extensions of a browser: an ecosystem without records",
			"unmatchable .config/google-chrome/Default/Extensions/" + chrome + "/1.0.0_0/manifest.json: extensions of a browser: an ecosystem without records",
			"unmatchable .mozilla/firefox/x.default/extensions.json: extensions of a browser: an ecosystem without records",
			"unread .mozilla/firefox/y.default/extensions.json: unexpected EOF",
		}},
		{"what an editor keeps about its extensions", map[string]string{
			// As in the files of osv-scalibr's test data, which VS Code wrote.
			".vscode/extensions/extensions.json": `[
				{"identifier": {"id": "ms-python.python", "uuid": "f1f59ae4-9318-4f3c-a9b5-81b2eaa5f8a5"}, "version": "2025.2.0", "location": {"$mid": 1, "path": "/c:/x", "scheme": "file"},
				 "relativeLocation": "ms-python.python-2025.2.0-win32-arm64", "metadata": {"source": "gallery", "pinned": false}},
				{"identifier": {"id": "a.old"}, "version": "1.0.0", "location": {"path": "/home/u/.vscode/extensions/a.old-1.0.0"}, "metadata": {"source": "gallery"}},
				{"identifier": {"id": "a.file"}, "version": "1.0.0", "relativeLocation": "a.file-1.0.0", "metadata": {"source": "vsix"}},
				{"identifier": {"id": "evil.other"}, "version": "6.6.6", "relativeLocation": "a.spoof-1.0.0"},
				{"identifier": {"id": "a.gone"}, "version": "1.0.0", "relativeLocation": "a.gone-1.0.0"}]`,
			".vscode/extensions/.obsolete":                                          `{"a.obsolete-1.0.0": true}`,
			".vscode/extensions/ms-python.python-2025.2.0-win32-arm64/package.json": `{"publisher": "ms-python", "name": "python", "version": "2025.2.0"}`,
			".vscode/extensions/a.old-1.0.0/package.json":                           `{"publisher": "a", "name": "old", "version": "1.0.0"}`,
			".vscode/extensions/a.file-1.0.0/package.json":                          `{"publisher": "a", "name": "file", "version": "1.0.0"}`,
			".vscode/extensions/a.spoof-1.0.0/package.json":                         `{"publisher": "a", "name": "spoof", "version": "1.0.0"}`,
			".vscode/extensions/a.obsolete-1.0.0/package.json":                      `{"publisher": "a", "name": "obsolete", "version": "1.0.0"}`,
			".cursor/extensions/extensions.json":                                    `[`,
			".cursor/extensions/a.b-1.0.0/package.json":                             `{"publisher": "a", "name": "b", "version": "1.0.0"}`,
		}, []string{
			".cursor/extensions/a.b-1.0.0/package.json a.b@1.0.0",
			".vscode/extensions/a.file-1.0.0/package.json a.file@1.0.0",
			".vscode/extensions/a.obsolete-1.0.0/package.json a.obsolete@1.0.0",
			".vscode/extensions/a.old-1.0.0/package.json a.old@1.0.0 registry",
			".vscode/extensions/a.spoof-1.0.0/package.json a.spoof@1.0.0",
			`info .vscode/extensions/a.spoof-1.0.0/package.json: calls itself "a.spoof" where "evil.other" is installed: both were looked up`,
			".vscode/extensions/a.spoof-1.0.0/package.json evil.other@6.6.6",
			".vscode/extensions/ms-python.python-2025.2.0-win32-arm64/package.json ms-python.python@2025.2.0 registry",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := walk(t, clienttest.Tree(t, tt.files))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
			for _, line := range got {
				if strings.Contains(line, "secret") {
					t.Errorf("a secret: %s", line)
				}
			}
		})
	}
}

func FuzzBundlerGit(f *testing.F) {
	fuzzKind(f, "bundler/gems/r-0123456789ab/a.gemspec", "x", [2]string{"  s.name = \"b\".freeze\n  s.version = \"1.0\"\n", ""})
}

func FuzzHexMetadata(f *testing.F) {
	fuzzKind(f, "deps/a/hex_metadata.config", "deps/a/.hex",
		[2]string{"{<<\"name\">>,<<\"a\">>}.\n{<<\"version\">>,<<\"1.0.0\">>}.\n", hexManifest("name", "a", "version", "1", "repo", "hexpm", "outer_checksum", strings.Repeat("0", 64))},
		[2]string{"", "a,1,x,hexpm\nmix"}, [2]string{"", "\x83d\x00\x04namem\x00\x00\x00\x01a"})
}

func FuzzSwiftWorkspace(f *testing.F) {
	fuzzQuiet(f, ".build/workspace-state.json", "x",
		[2]string{`{"object": {"dependencies": [{"packageRef": {"identity": "a", "kind": "remoteSourceControl", "location": "https://github.com/o/a"}, "state": {"checkoutState": {"version": "1"}}}]}, "version": 6}`, ""})
}

func FuzzRDescription(f *testing.F) {
	fuzzQuiet(f, "library/a/DESCRIPTION", "x", [2]string{"Package: a\nVersion: 1\nBuilt: R 4\nRemoteHost: github.com\nRemoteUsername: o\n", ""})
}

func FuzzGHCPackage(f *testing.F) {
	fuzzKind(f, "package.db/a-1.conf", "x", [2]string{"name:\n  a\nversion: 1\n", ""})
}

func FuzzFirefoxExtensions(f *testing.F) {
	fuzzQuiet(f, "p/extensions.json", "p/prefs.js", [2]string{`{"addons": [{"location": "app-profile"}]}`, ""})
}
