package registry_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// stored gives what lies in the storage at root, each line with its layout in front, see [clienttest.Lines].
func stored(t *testing.T, root string, hash bool) []string {
	t.Helper()
	found := inventory.Walk(t.Context(), root, inventory.Options{Kinds: registry.Kinds(), Hash: hash})
	return clienttest.Lines(t, root, func(yield func(rapsheet.Sighting, error) bool) {
		for s, err := range found {
			s.Package.Version += " (" + s.Location.Kind + ")"
			if !yield(s, err) {
				return
			}
		}
	})
}

const (
	sha1A   = "0123456789012345678901234567890123456789"
	sha1B   = "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
	sha512A = "sha512-nzuMWgdORs3qI54ND1mUX4U5Lcos4bHj1RJDSZ3r02Qh74H5X5Cy8c+1znZTbqbClPwIVDvmYN2H+MAoy7wV7A=="
)

func TestStorage(t *testing.T) {
	hash60 := strings.Repeat("0123456789", 6)
	chart := string(clienttest.TarGz(t, "chart/Chart.yaml", "name: chart\n"))
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		// The shape of package.json is that which Verdaccio 5.20.1 wrote for a package from an uplink.
		{"Verdaccio: what lies there, with the upstream that it came from", map[string]string{
			".verdaccio-db.json": `{"list":["@private/own"],"secret":"s"}`,
			"evil/package.json": `{"name": "evil", "versions": {
				"1.0.0": {"name": "evil", "version": "1.0.0", "dist": {"tarball": "http://127.0.0.1:4873/evil/-/evil-1.0.0.tgz", "integrity": "` + sha512A + `", "shasum": "` + sha1A + `"}},
				"2.0.0": {"name": "evil", "version": "2.0.0", "dist": {"tarball": "http://127.0.0.1:4873/evil/-/evil-2.0.0.tgz"}}},
				"time": {}, "dist-tags": {"latest": "2.0.0"}, "_uplinks": {"npmjs": {"fetched": 1}},
				"_distfiles": {"evil-1.0.0.tgz": {"url": "https://user:secret@registry.npmjs.org/evil/-/evil-1.0.0.tgz", "registry": "npmjs"},
					"evil-2.0.0.tgz": {"url": "https://registry.npmjs.org/evil/-/evil-2.0.0.tgz"}},
				"_attachments": {"evil-1.0.0.tgz": {"shasum": "` + sha1A + `"}, "evil-0.9.0.tgz": {}}, "readme": ""}`,
			"evil/evil-1.0.0.tgz": "x",
			// Taken out of the metadata by hand: it still lies there.
			"evil/evil-0.0.1.tgz": "x",
			// Known, and not there.
			"known/package.json": `{"name": "known", "versions": {"1.0.0": {"dist": {"tarball": "https://h/known/-/known-1.0.0.tgz"}}}, "_distfiles": {}, "_attachments": {}}`,
		}, []string{
			"evil/evil-0.0.1.tgz evil@0.0.1 (verdaccio)",
			"evil/evil-1.0.0.tgz evil@1.0.0 (verdaccio) registry registry.npmjs.org sha512:9f3b8c sha1:012345",
		}},
		{"Verdaccio: scopes, and what was published here", map[string]string{
			"@s/own/package.json": `{"name": "@s/own", "versions": {"1.0.0-rc.1": {"dist": {"tarball": "http://npm.corp.example:4873/@s/own/-/@s/own-1.0.0-rc.1.tgz", "shasum": "` + sha1A + `"}}},
				"_distfiles": {}, "_attachments": {"own-1.0.0-rc.1.tgz": {"shasum": "` + sha1B + `", "version": "1.0.0-rc.1"}}}`,
			"@s/own/own-1.0.0-rc.1.tgz": "x",
			"odd/package.json":          `{"name": "odd", "versions": {"7.0.0": {"dist": {"tarball": "https://npm.pkg.github.com/download/odd/7.0.0/abc?token=1"}}}, "_attachments": {"named.tgz": {"version": "8.0.0"}}}`,
			"odd/named.tgz":             "x",
			"odd/odd.tgz":               string(clienttest.Tarball(t, `{"name": "odd", "version": "9.0.0"}`)),
			"odd/chart.tgz":             chart,
			"odd/lie.tgz":               string(clienttest.Tarball(t, `{"name": "harmless", "version": "9.9.9"}`)),
		}, []string{
			"@s/own/own-1.0.0-rc.1.tgz @s/own@1.0.0-rc.1 (verdaccio) registry npm.corp.example:4873 sha1:012345 sha1:abcdef",
			"unmatchable odd/chart.tgz: archives of which neither name, place nor content says which package they are",
			"odd/lie.tgz harmless@9.9.9 (verdaccio)",
			`info odd/lie.tgz: calls itself "harmless@9.9.9" where "odd@9.9.9" is stored: both were looked up`,
			"odd/lie.tgz odd@9.9.9 (verdaccio)",
			"odd/named.tgz odd@8.0.0 (verdaccio)",
			"odd/odd.tgz odd@9.0.0 (verdaccio)",
		}},
		{"Verdaccio: a name that is not the directory's, and metadata that cannot be read", map[string]string{
			"evil/package.json":       `{"name": "harmless", "_attachments": {}}`,
			"evil/evil-1.0.0.tgz":     "x",
			"broken/package.json":     `{"_attachments": {"broken-1.0.0.tgz": {"shasum": "` + sha1A + `"}}, "versions": {`,
			"broken/broken-1.0.0.tgz": "x",
			"wrong/package.json":      `{"_attachments": [], "versions": 7, "_distfiles": {"wrong-1.0.0.tgz": []}, "name": {}}`,
			"wrong/wrong-1.0.0.tgz":   "x",
		}, []string{
			"info broken/package.json: where the archives beside it came from is not known: unexpected EOF",
			"broken/broken-1.0.0.tgz broken@1.0.0 (verdaccio) sha1:012345",
			`info evil/evil-1.0.0.tgz: calls itself "harmless" where "evil" is stored: both were looked up`,
			"evil/evil-1.0.0.tgz evil@1.0.0 (verdaccio)",
			"evil/evil-1.0.0.tgz harmless@1.0.0 (verdaccio)",
			"wrong/wrong-1.0.0.tgz wrong@1.0.0 (verdaccio)",
		}},
		{"npm archives without Verdaccio", map[string]string{
			"registry/@s/a/-/a-1.0.0.tgz":  "x",
			"registry/b-2/-/b-2-1.0.0.tgz": "x",
			"flat/c-d-1.0.0-beta.1.tgz":    string(clienttest.Tarball(t, `{"name": "c-d", "version": "1.0.0-beta.1"}`)),
			"flat/e-f-1.0.0.tgz":           string(clienttest.Tarball(t, `{"name": "@e/f", "version": "1.0.0"}`)),
			"flat/g-h-1.0.0.tgz":           string(clienttest.Tarball(t, `{"name": "harmless", "version": "1.0.0"}`)),
			"flat/i-j-1.0.0.tgz":           "x",
			"flat/k-1.0.0.tgz":             "x",
			"flat/l.tgz":                   string(clienttest.Tarball(t, `{"name": "@l/l", "version": "2.0.0"}`)),
			"flat/package.json":            `{"name": "a-project", "version": "1.0.0"}`,
			"flat/chart.tgz":               chart,
			"m-n/m-n-1.0.0.tgz":            "x",
			"@t/e-1.0.0.tgz":               "x",
		}, []string{
			"@t/e-1.0.0.tgz @t/e@1.0.0 (npm-archives)",
			"flat/c-d-1.0.0-beta.1.tgz c-d@1.0.0-beta.1 (npm-archives)",
			"unmatchable flat/chart.tgz: archives of which neither name, place nor content says which package they are",
			"flat/e-f-1.0.0.tgz @e/f@1.0.0 (npm-archives)",
			"flat/g-h-1.0.0.tgz harmless@1.0.0 (npm-archives)",
			`info flat/g-h-1.0.0.tgz: calls itself "harmless@1.0.0" where "g-h@1.0.0" is stored: both were looked up`,
			"flat/g-h-1.0.0.tgz g-h@1.0.0 (npm-archives)",
			"flat/i-j-1.0.0.tgz i-j@1.0.0 (npm-archives)",
			"unread flat/i-j-1.0.0.tgz: is neither a zip nor a tar",
			"flat/k-1.0.0.tgz k@1.0.0 (npm-archives)",
			"flat/l.tgz @l/l@2.0.0 (npm-archives)",
			"m-n/m-n-1.0.0.tgz m-n@1.0.0 (npm-archives)",
			"registry/@s/a/-/a-1.0.0.tgz @s/a@1.0.0 (npm-archives)",
			"registry/b-2/-/b-2-1.0.0.tgz b-2@1.0.0 (npm-archives)",
		}},
		// go.dev/ref/mod#goproxy-protocol; github.com/gomods/athens, docs "Pre-filling disk storage".
		{"Go module proxies: zips only, wherever the tree begins", map[string]string{
			"github.com/!evil/mod/@v/v1.0.0.zip":           "x",
			"github.com/!evil/mod/@v/v1.0.0.mod":           "module github.com/Evil/mod\n",
			"github.com/!evil/mod/@v/v1.0.1.mod":           "module github.com/Evil/mod\n",
			"github.com/!evil/mod/@v/v1.0.1.info":          `{"Version": "v1.0.1"}`,
			"deep/proxy/example.org/x/v2/@v/v2.0.0.zip":    "x",
			"v1.2/corp/mod/@v/v1.0.0.zip":                  "x",
			"v1.2/corp/mod/@v/v1.0.0.mod":                  "module corp/mod\n",
			"fork/example.org/y/@v/v1.0.0.zip":             "x",
			"fork/example.org/y/@v/v1.0.0.mod":             "module example.org/original\n",
			"athens/github.com/!evil/a/v1.0.0/source.zip":  "x",
			"athens/github.com/!evil/a/v1.0.0/go.mod":      "module github.com/Evil/a\n",
			"athens/github.com/!evil/a/v1.0.0/v1.0.0.info": "{}",
			"athens/github.com/!evil/a/v1.0.1/go.mod":      "module github.com/Evil/a\n",
			"some/source.zip":                              string(clienttest.GoModule(t, "example.org/z", "v1.0.0")),
		}, []string{
			"athens/github.com/!evil/a/v1.0.0/source.zip github.com/Evil/a@v1.0.0 (athens)",
			"deep/proxy/example.org/x/v2/@v/v2.0.0.zip example.org/x/v2@v2.0.0 (goproxy)",
			"fork/example.org/y/@v/v1.0.0.zip example.org/y@v1.0.0 (goproxy)",
			"github.com/!evil/mod/@v/v1.0.0.zip github.com/Evil/mod@v1.0.0 (goproxy)",
			"some/source.zip example.org/z@v1.0.0 (athens)",
			"v1.2/corp/mod/@v/v1.0.0.zip corp/mod@v1.0.0 (goproxy)",
		}},
		// maven.apache.org/repository/layout.html, maven.apache.org/ref/3-LATEST/maven-repository-metadata
		{"Maven: code only, and the group as far as somebody says it", map[string]string{
			"org/evil/lib/1.0/lib-1.0.jar":                             "x",
			"org/evil/lib/1.0/lib-1.0.jar.sha1":                        sha1A + "  lib-1.0.jar\n",
			"org/evil/lib/1.0/lib-1.0.jar.md5":                         "bad",
			"org/evil/lib/1.0/lib-1.0-sources.jar":                     "x",
			"org/evil/lib/1.0/lib-1.0.pom":                             "<project/>",
			"org/evil/lib/1.1/lib-1.1.pom":                             "<project/>",
			"hosted/releases/com/corp/app/2.0/app-2.0-all.war":         "x",
			"hosted/releases/com/corp/app/maven-metadata.xml":          "<metadata><groupId>com.corp</groupId></metadata>",
			"snap/com/corp/s/1.0-SNAPSHOT/s-1.0-20240131.120000-1.jar": "x",
			"snap/com/corp/s/1.0-SNAPSHOT/s-1.0-SNAPSHOT.pom":          "<project><parent><groupId> com.corp </groupId></parent></project>",
			"snap/com/corp/lie/1.0/lie-1.0.jar":                        "x",
			"snap/com/corp/lie/1.0/lie-1.0.pom":                        "<project><groupId>org.apache</groupId></project>",
			"lib/other.jar":                                            "x",
		}, []string{
			"hosted/releases/com/corp/app/2.0/app-2.0-all.war com.corp:app@2.0 (maven-storage)",
			"org/evil/lib/1.0/lib-1.0.jar org.evil:lib@1.0 (maven-storage) sha1:012345",
			"snap/com/corp/lie/1.0/lie-1.0.jar snap.com.corp:lie@1.0 (maven-storage)",
			"snap/com/corp/s/1.0-SNAPSHOT/s-1.0-20240131.120000-1.jar com.corp:s@1.0-SNAPSHOT (maven-storage)",
		}},
		// learn.microsoft.com/nuget/hosting-packages/local-feeds
		{"NuGet: both folder feeds", map[string]string{
			"v3/newtonsoft.json/13.0.1/newtonsoft.json.13.0.1.nupkg":        "x",
			"v3/newtonsoft.json/13.0.1/newtonsoft.json.13.0.1.nupkg.sha512": strings.TrimPrefix(sha512A, "sha512-") + "\n",
			"v3/newtonsoft.json/13.0.1/newtonsoft.json.nuspec":              "<package/>",
			"v3/evil.2/1.0.0/Evil.2.1.0.0.nupkg":                            "x",
			"v2/Evil.Tool.1.0.0-beta.1.nupkg":                               "x",
			"v2/Evil.Tool.1.0.0.symbols.nupkg":                              "x",
			"v2/nothing.nupkg":                                              string(clienttest.Nupkg(t, "Evil.Other", "2.0.0")),
		}, []string{
			"v2/Evil.Tool.1.0.0-beta.1.nupkg Evil.Tool@1.0.0-beta.1 (nuget-folder)",
			"v2/nothing.nupkg Evil.Other@2.0.0 (nuget-folder)",
			"v3/evil.2/1.0.0/Evil.2.1.0.0.nupkg Evil.2@1.0.0 (nuget-feed)",
			"v3/newtonsoft.json/13.0.1/newtonsoft.json.13.0.1.nupkg newtonsoft.json@13.0.1 (nuget-feed) sha512:9f3b8c",
		}},
		{"gems and crates", map[string]string{
			"gems/rake-13.0.6.gem":                     "x",
			"gems/nokogiri-1.15.0-arm64-darwin-22.gem": "x",
			"gems/odd-2fa-1.0.pre1.gem":                "x",
			"specs.4.8.gz":                             "x",
			"quick/Marshal.4.8/known-1.0.gemspec.rz":   "x",
			"crates/serde-1.0.200.crate":               "x",
			"crates/sha-1-0.10.0.crate":                "x",
		}, []string{
			"crates/serde-1.0.200.crate serde@1.0.200 (crate-archives)",
			"crates/sha-1-0.10.0.crate sha-1@0.10.0 (crate-archives)",
			"gems/nokogiri-1.15.0-arm64-darwin-22.gem nokogiri@1.15.0 (gem-directory)",
			"gems/odd-2fa-1.0.pre1.gem odd-2fa@1.0.pre1 (gem-directory)",
			"gems/rake-13.0.6.gem rake@13.0.6 (gem-directory)",
		}},
		// github.com/devpi/devpi, filestore.py (make_splitdir: 3 and 13 digits); bandersnatch.readthedocs.io; PEP 503.
		{"Python: devpi, bandersnatch, simple indexes and directories of files", map[string]string{
			"d/+files/root/pypi/+f/012/3456789012345/Evil_Pkg-1.0-py3-none-any.whl": "x",
			"d/+files/corp/dev/+f/012/3456789012345/own-1.0.tar.gz":                 "x",
			"b/web/packages/01/23/" + hash60 + "/python-3parclient-4.2.12.tar.gz":   "x",
			"b/web/simple/known/index.html":                                         "<a href='../../packages/01/23/x/known-1.0.tar.gz'>known</a>",
			"s/simple/zope.interface/zope-interface-5.0-1.zip":                      "x",
			"s/simple/foo-2/foo-2-1.0.tar.gz":                                       "x",
			"flat/c-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": "x",
			"flat/old-1.0-py2.7.egg":                                                "x",
			"flat/two-words-1.0rc1.tar.bz2":                                         "x",
			"flat/backup.tar.gz":                                                    chart,
			"flat/evil.tar.gz":                                                      string(clienttest.Sdist(t, "evil_pkg", "1.0")),
		}, []string{
			"b/web/packages/01/23/" + hash60 + "/python-3parclient-4.2.12.tar.gz python-3parclient@4.2.12 (bandersnatch)",
			"d/+files/corp/dev/+f/012/3456789012345/own-1.0.tar.gz own@1.0 (devpi)",
			"d/+files/root/pypi/+f/012/3456789012345/Evil_Pkg-1.0-py3-none-any.whl Evil_Pkg@1.0 (devpi)",
			"unmatchable flat/backup.tar.gz: archives of which neither name, place nor content says which package they are",
			"flat/c-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl c@1.0 (python-archives)",
			"flat/evil.tar.gz evil_pkg@1.0 (python-archives)",
			"flat/old-1.0-py2.7.egg old@1.0 (python-archives)",
			"flat/two-words-1.0rc1.tar.bz2 two-words@1.0rc1 (python-archives)",
			"s/simple/foo-2/foo-2-1.0.tar.gz foo-2@1.0 (simple-index)",
			"s/simple/zope.interface/zope-interface-5.0-1.zip zope-interface@5.0-1 (simple-index)",
		}},
		{"D80 keys of JavaScript's prototypes are names like any other", map[string]string{
			"__proto__/package.json":        `{"name": "__proto__", "versions": {"__proto__": {}, "constructor": {"dist": null}}, "_attachments": {"__proto__": 1}, "_distfiles": null}`,
			"__proto__/__proto__-1.0.0.tgz": "x",
		}, []string{"__proto__/__proto__-1.0.0.tgz __proto__@1.0.0 (verdaccio)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := stored(t, clienttest.Tree(t, tt.files), false)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// What lies in a storage as package managers' caches do is listed once: as the archive that it is, or with what its
// package manager noted of where it came from.
func TestStorageOnce(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		// An offline feed, as `nuget add` lays it out, and a global packages folder.
		"feed/evil/1.0.0/evil.1.0.0.nupkg":                                       "x",
		"feed/evil/1.0.0/evil.1.0.0.nupkg.sha512":                                strings.TrimPrefix(sha512A, "sha512-"),
		"feed/evil/1.0.0/evil.nuspec":                                            "<package/>",
		"packages/evil/2.0.0/evil.2.0.0.nupkg":                                   "x",
		"packages/evil/2.0.0/evil.2.0.0.nupkg.sha512":                            strings.TrimPrefix(sha512A, "sha512-"),
		"packages/evil/2.0.0/.nupkg.metadata":                                    `{"version": 2, "contentHash": "x", "source": "https://api.nuget.org/v3/index.json"}`,
		"packages/bare/3.0.0/.nupkg.metadata":                                    `{"version": 2, "contentHash": "x", "source": "https://api.nuget.org/v3/index.json"}`,
		"Evil.4.0.0/Evil.4.0.0.nupkg":                                            string(clienttest.Nupkg(t, "Evil", "4.0.0")),
		"maven/org/evil/lib/1.0/lib-1.0.jar":                                     "x",
		"maven/org/evil/lib/1.0/lib-1.0.pom":                                     "<project><groupId>org.evil</groupId></project>",
		"maven/org/evil/lib/1.0/_remote.repositories":                            "#NOTE\nlib-1.0.jar>central=\n",
		"maven/org/evil/lib/2.0/lib-2.0.jar":                                     "x",
		"maven/org/evil/lib/2.0/lib-2.0.pom":                                     "<project><groupId>org.evil</groupId></project>",
		"maven/org/evil/lib/2.0/_remote.repositories":                            "#NOTE\nlib-2.0.pom>central=\n",
		".m2/repository/org/evil/lib/3.0/lib-3.0.jar":                            "x",
		".m2/repository/org/evil/lib/3.0/_remote.repositories":                   "lib-3.0.jar>central=\n",
		"cargo/registry/cache/index.crates.io-1949cf8c6b5b557f/evil-1.0.0.crate": "x",
		"mirror/crates/evil-2.0.0.crate":                                         "x",
		"vendor/cache/evil-1.0.gem":                                              clientGem(t, "evil", "1.0"),
		"gems/evil-2.0.gem":                                                      "x",
		"go/cache/download/example.org/evil/@v/v1.0.0.zip":                       "x",
		"proxy/example.org/evil/@v/v2.0.0.zip":                                   "x",
	})
	want := map[string]int{
		"evil@1.0.0": 2, "evil@2.0.0": 2, // NuGet's and crates.io's
		"bare@3.0.0": 1, "Evil@4.0.0": 1, "org.evil:lib@1.0": 1, "org.evil:lib@2.0": 1, "org.evil:lib@3.0": 1,
		"evil@1.0": 1, "evil@2.0": 1, "example.org/evil@v1.0.0": 1, "example.org/evil@v2.0.0": 1,
	}
	got := map[string]int{}
	lines := stored(t, root, false)
	for _, l := range lines {
		f := strings.Fields(l)
		got[f[1]]++
		if f[1] == "org.evil:lib@1.0" && !strings.Contains(l, "repo.maven.apache.org") {
			t.Errorf("%s: not from where Maven noted", l)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v:\n%s", got, want, strings.Join(lines, "\n"))
	}
}

func clientGem(t *testing.T, name, version string) string {
	return string(clienttest.Gem(t, name, version))
}

// Archives are hashed where a record has digests and the storage has none.
func TestStorageHash(t *testing.T) {
	hash60 := strings.Repeat("0123456789", 6)
	root := clienttest.Tree(t, map[string]string{
		"a-1.0.tar.gz":             "",
		"o/e/l/1.0/l-1.0.jar":      "",
		"o/e/l/1.0/l-1.0.jar.sha1": sha1A,
		// As simple.py of bandersnatch writes it.
		"web/simple/evil-pkg/index.html":                        `<a href="../../packages/01/23/` + hash60 + `/evil_pkg-1.0.tar.gz#sha256=` + strings.Repeat("ab", 32) + `">evil_pkg-1.0.tar.gz</a><br/>`,
		"web/simple/f/foo/index.html":                           `<a href="../../packages/01/23/` + hash60 + `/foo-1.0.tar.gz#md5=` + strings.Repeat("cd", 16) + `" data-yanked="">foo-1.0.tar.gz</a><br/>`,
		"web/packages/01/23/" + hash60 + "/evil_pkg-1.0.tar.gz": "",
		"web/packages/01/23/" + hash60 + "/foo-1.0.tar.gz":      "",
		"web/packages/01/23/" + hash60 + "/foo-2.0.tar.gz":      "",
	})
	want := []string{
		"a-1.0.tar.gz a@1.0 (python-archives) md5:d41d8c sha1:da39a3 sha256:e3b0c4 sha512:cf83e1",
		"o/e/l/1.0/l-1.0.jar o.e:l@1.0 (maven-storage) sha1:012345",
		"web/packages/01/23/" + hash60 + "/evil_pkg-1.0.tar.gz evil_pkg@1.0 (bandersnatch) sha256:ababab",
		"web/packages/01/23/" + hash60 + "/foo-1.0.tar.gz foo@1.0 (bandersnatch) md5:cdcdcd",
		"web/packages/01/23/" + hash60 + "/foo-2.0.tar.gz foo@2.0 (bandersnatch) md5:d41d8c sha1:da39a3 sha256:e3b0c4 sha512:cf83e1",
	}
	if got := stored(t, root, true); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A walk that begins inside a storage sees the same packages as one that begins above it.
func TestStorageFromInside(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		"@s/a/package.json":                 `{"name": "@s/a", "_attachments": {}}`,
		"@s/a/a-1.0.0.tgz":                  "x",
		"example.org/m/@v/v1.0.0.zip":       "x",
		"example.org/m/@v/v1.0.0.mod":       "module example.org/m\n",
		"o/e/l/1.0/l-1.0.jar":               "x",
		"o/e/l/1.0/l-1.0.pom":               "<groupId>o.e</groupId>",
		"simple/foo-2/foo-2-1.0.tar.gz":     "x",
		"n/evil.2/1.0.0/evil.2.1.0.0.nupkg": "x",
	})
	for dir, want := range map[string]string{
		"@s/a": "@s/a@1.0.0", "example.org/m/@v": "example.org/m@v1.0.0", "o/e/l/1.0": "o.e:l@1.0", "o/e/l": "o.e:l@1.0",
		"simple/foo-2": "foo-2@1.0", "n/evil.2/1.0.0": "evil.2@1.0.0",
	} {
		got := stored(t, root+"/"+dir, false)
		if len(got) != 1 || !strings.Contains(got[0], " "+want+" ") {
			t.Errorf("%s: %q, want %s", dir, got, want)
		}
	}
}

// Metadata beyond the limit costs the evidence, not the sighting.
func TestStoragePackumentLimit(t *testing.T) {
	readme := strings.Repeat(`"`+strings.Repeat("x", 1<<10)+`",`, 64<<10)
	root := clienttest.Tree(t, map[string]string{
		"big/package.json":  `{"_attachments": {"big-1.0.0.tgz": {"shasum": "` + sha1A + `"}}, "readme": [` + readme + `0]}`,
		"big/big-1.0.0.tgz": "x",
	})
	want := []string{
		"info big/package.json: where the archives beside it came from is not known: file is larger than the limit of 67108864 bytes",
		"big/big-1.0.0.tgz big@1.0.0 (verdaccio) sha1:012345",
	}
	if got := stored(t, root, false); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// fuzzStored fuzzes one archive's path and what stands beside it: no panic, no identifier above the limit, something
// said about every archive, and the same reading twice.
func fuzzStored(t *testing.T, at, beside, content string) {
	if !fstestValid(at) || !fstestValid(beside) || at == beside {
		t.Skip()
	}
	for _, k := range registry.Kinds() {
		if !strings.HasSuffix(k.Name, "-storage") || !k.Match(at[strings.LastIndexByte(at, '/')+1:], "/"+at) {
			continue
		}
		read := func() (saw []string) {
			in := &inventory.File{Path: at, Rel: at, R: strings.NewReader("x"), Size: 1, FS: fstest.MapFS{beside: {Data: []byte(content)}, at: {Data: []byte("x")}}}
			err := k.Read(t.Context(), in, &inventory.Sink{File: in, Kind: k.Name, Yield: func(s rapsheet.Sighting, err error) bool {
				var note *rapsheet.Note
				if err != nil && !errors.As(err, &note) {
					t.Errorf("an error that is no note: %v", err)
				}
				if err == nil && (s.Package.Name == "" || s.Package.Version == "" || len(s.Package.Name) > ecosystem.MaxIdentifier || len(s.Package.Version) > ecosystem.MaxIdentifier) {
					t.Errorf("seen: %+.200v", s)
				}
				saw = append(saw, fmt.Sprintf("%v %v", s, err))
				return true
			}})
			if err != nil {
				saw = append(saw, err.Error()) // opened, and no archive
			}
			return saw
		}
		first := read()
		if len(first) == 0 && !strings.HasSuffix(beside, "_remote.repositories") {
			t.Errorf("nothing was said about %s", at)
		}
		if again := read(); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
	}
}

// fstestValid keeps the tree one that a file system can have.
func fstestValid(name string) bool {
	return name != "" && !strings.HasPrefix(name, "/") && !strings.HasSuffix(name, "/") && !strings.Contains("/"+name+"/", "//") &&
		!strings.Contains("/"+name+"/", "/./") && !strings.Contains("/"+name+"/", "/../") && !strings.Contains(name, "\x00")
}

func FuzzStoragePath(f *testing.F) {
	for _, s := range [][3]string{
		{"example.org/m/@v/v1.0.0.zip", "example.org/m/@v/v1.0.0.mod", "module example.org/m\n"},
		{"a/b/v1/source.zip", "a/b/v1/go.mod", "module a/b\n"},
		{"o/e/l/1.0/l-1.0.jar", "o/e/l/maven-metadata.xml", "<groupId>o.e</groupId>"},
		{"o/l/1-SNAPSHOT/l-1-20240131.120000-1.jar", "o/l/1-SNAPSHOT/l-1-SNAPSHOT.pom", "<groupId>"},
		{"id/1.0/id.1.0.nupkg", "id/1.0/id.1.0.nupkg.sha512", "AAAA"},
		{"gems/a-1.0-java.gem", "specs.4.8.gz", ""}, {"a-1.0.0.crate", "x", ""},
		{"packages/01/23/" + strings.Repeat("0123456789", 6) + "/a-1.0.tar.gz", "x", ""},
		{"simple/a-b/a_b-1.0.zip", "x", ""}, {"-1.whl", "x", ""}, {"@s/-/x-1.tgz", "x", ""}, {".tgz", "x", ""}, {"-/.tgz", "x", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(fuzzStored)
}

func FuzzStoragePackument(f *testing.F) {
	for _, s := range []string{
		`{"name": "a", "versions": {"1.0.0": {"dist": {"tarball": "https://h/a/-/a-1.0.0.tgz", "integrity": "` + sha512A + `"}}}, "_attachments": {"a-1.0.0.tgz": {"shasum": "00", "version": "1"}}, "_distfiles": {"a-1.0.0.tgz": {"url": "https://u:p@h/x"}}}`,
		`{"_attachments": {"a-1.0.0.tgz": []}, "versions": {"1": null}}`, `[]`, ``, "\xff", `{"versions": {"": {"dist": {"tarball": "?/a-1.0.0.tgz#"}}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) { fuzzStored(t, "a/a-1.0.0.tgz", "a/package.json", content) })
}
