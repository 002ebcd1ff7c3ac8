package cache_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

// cached gives what is in caches below root, see [clienttest.Lines].
func cached(t *testing.T, root string, hash bool) []string {
	t.Helper()
	return clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: cache.Kinds(), Hash: hash}))
}

func TestGoModuleCache(t *testing.T) {
	const download = "go/pkg/mod/cache/download/"
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"a zip is a module that somebody has, and the files beside it are not", map[string]string{
			download + "github.com/!burnt!sushi/toml/@v/v1.6.0.zip":     "",
			download + "github.com/!burnt!sushi/toml/@v/v1.6.0.mod":     "module x",
			download + "github.com/!burnt!sushi/toml/@v/v1.6.0.info":    `{"Version":"v1.6.0"}`,
			download + "github.com/!burnt!sushi/toml/@v/v1.6.0.ziphash": "h1:AAAA",
			download + "github.com/!burnt!sushi/toml/@v/v1.6.0.lock":    "",
			download + "example.com/graph/only/@v/v1.0.0.mod":           "module example.com/graph/only",
			download + "example.com/graph/only/@v/v1.0.0.info":          "{}",
			download + "example.com/graph/only/@v/list":                 "v1.0.0\n",
			download + "example.com/v/v2/@v/v2.0.0-!r!c1.zip":           "",
			"elsewhere/cache/download/example.com/w/@v/v0.1.0.zip":      "",
			"notacache/example.com/w/@v/v0.1.0.zip":                     "",
		}, []string{
			"elsewhere/cache/download/example.com/w/@v/v0.1.0.zip example.com/w@v0.1.0",
			download + "example.com/v/v2/@v/v2.0.0-!r!c1.zip example.com/v/v2@v2.0.0-RC1",
			download + "github.com/!burnt!sushi/toml/@v/v1.6.0.zip github.com/BurntSushi/toml@v1.6.0",
		}},
		{"where from: the checksum database's answer, or the repository", map[string]string{
			download + "example.com/public/@v/v1.0.0.zip":     "",
			download + "example.com/public/@v/v1.0.0.ziphash": "h1:9EVhXjsf5OG=",
			download + "sumdb/sum.golang.org/lookup/example.com/public@v1.0.0": "51218456\nexample.com/public v1.0.0 h1:9EVhXjsf5OG=\n" +
				"example.com/public v1.0.0/go.mod h1:other=\n\ngo.sum database tree\n1\nx\n",
			download + "example.com/other/@v/v1.0.0.zip":                      "",
			download + "example.com/other/@v/v1.0.0.ziphash":                  "h1:gomod=",
			download + "sumdb/sum.golang.org/lookup/example.com/other@v1.0.0": "1\nexample.com/other v1.0.0 h1:9EVhXjsf5OG=\nexample.com/other v1.0.0/go.mod h1:gomod=\n",
			download + "example.com/forge/@v/v1.0.0.zip":                      "",
			download + "example.com/forge/@v/v1.0.0.info":                     `{"Version":"v1.0.0","Origin":{"VCS":"git","URL":"https://github.com/o/forge","Hash":"00","Ref":"refs/tags/v1.0.0"}}`,
			// The module's own host is no reason to excuse it.
			download + "git.example.com/vanity.git/@v/v1.0.0.zip":  "",
			download + "git.example.com/vanity.git/@v/v1.0.0.info": `{"Version":"v1.0.0","Origin":{"VCS":"git","URL":"https://user:secret@git.example.com/vanity.git"}}`,
			download + "example.com/broken/@v/v1.0.0.zip":          "",
			download + "example.com/broken/@v/v1.0.0.info":         `{"Origin":[`,
		}, []string{
			download + "example.com/broken/@v/v1.0.0.zip example.com/broken@v1.0.0",
			download + "example.com/forge/@v/v1.0.0.zip example.com/forge@v1.0.0 registry github.com",
			download + "example.com/other/@v/v1.0.0.zip example.com/other@v1.0.0",
			download + "example.com/public/@v/v1.0.0.zip example.com/public@v1.0.0 registry sum.golang.org",
			download + "git.example.com/vanity.git/@v/v1.0.0.zip git.example.com/vanity.git@v1.0.0 git.example.com",
		}},
		{"names that are none are counted", map[string]string{
			download + "example.com/UPPER/@v/v1.0.0.zip": "",
			download + "nodot/@v/v1.0.0.zip":             "",
			download + "example.com/a/@v/v1!!.zip":       "",
		}, []string{
			"unmatchable " + download + "example.com/UPPER/@v/v1.0.0.zip: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			"unmatchable " + download + "example.com/a/@v/v1!!.zip: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			"unmatchable " + download + "nodot/@v/v1.0.0.zip: entries without a usable name (missing, not UTF-8, or longer than the limit)",
		}},
		{"extracted: each module once", map[string]string{
			"go/pkg/mod/github.com/!burnt!sushi/toml@v1.6.0/go.mod":              "module forged.example/name\nrequire example.com/weighed v1.0.0\n",
			"go/pkg/mod/github.com/!burnt!sushi/toml@v1.6.0/internal/go.mod":     "module x",
			"go/pkg/mod/gopkg.in/yaml.v3@v3.0.1/go.mod":                          "",
			"go/pkg/mod/example.com/old@v1.0.0+incompatible/main.go":             "package main",
			"go/pkg/mod/cache/download/example.com/old/@v/v1.0.0.mod":            "",
			"src/example.com/project/go.mod":                                     "module example.com/project",
			"go/pkg/mod/example.com/p@v0.0.0-20240101000000-0123456789ab/a.c":    "",
			"go/pkg/mod/example.com/p@v0.0.0-20240101000000-0123456789ab/go.mod": "",
		}, []string{
			"go/pkg/mod/example.com/p@v0.0.0-20240101000000-0123456789ab/go.mod example.com/p@v0.0.0-20240101000000-0123456789ab",
			"go/pkg/mod/github.com/!burnt!sushi/toml@v1.6.0/go.mod github.com/BurntSushi/toml@v1.6.0",
			"go/pkg/mod/gopkg.in/yaml.v3@v3.0.1/go.mod gopkg.in/yaml.v3@v3.0.1",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, cached(t, clienttest.Tree(t, tt.files), false), tt.want)
		})
	}
}

// A walk may begin anywhere in a cache, and finds the same.
func TestBelowTheTopOfACache(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		"go/pkg/mod/cache/download/example.com/a/@v/v1.0.0.zip":                                 "",
		"go/pkg/mod/example.com/a@v1.0.0/go.mod":                                                "",
		".cargo/registry/cache/index.crates.io-6f17d22bba15001f/a-b-1.0.0.crate":                "",
		".cargo/registry/src/index.crates.io-6f17d22bba15001f/a-b-1.0.0/.cargo-ok":              "",
		".m2/repository/org/example/lib/1.0/lib-1.0.jar":                                        "",
		".cache/coursier/v1/https/repo1.maven.org/maven2/org/example/lib/1.0/lib-1.0.jar":       "",
		".ivy2/cache/org.example/lib/jars/lib-1.0.jar":                                          "",
		".gradle/caches/modules-2/files-2.1/org.example/lib/1.0/" + sha1Of("") + "/lib-1.0.jar": "",
	})
	for _, tt := range []struct{ below, want string }{
		{"go/pkg/mod/cache/download/example.com", "a/@v/v1.0.0.zip example.com/a@v1.0.0"},
		{"go/pkg/mod/example.com/a@v1.0.0", "go.mod example.com/a@v1.0.0"},
		{".cargo/registry/cache/index.crates.io-6f17d22bba15001f", "a-b-1.0.0.crate a-b@1.0.0 registry index.crates.io"},
		{".cargo/registry/src/index.crates.io-6f17d22bba15001f/a-b-1.0.0", ".cargo-ok a-b@1.0.0 registry index.crates.io"},
		{".m2/repository/org/example/lib", "1.0/lib-1.0.jar org.example:lib@1.0"},
		{".cache/coursier/v1/https/repo1.maven.org/maven2/org", "example/lib/1.0/lib-1.0.jar org.example:lib@1.0 registry repo1.maven.org"},
		{".ivy2/cache/org.example/lib/jars", "lib-1.0.jar org.example:lib@1.0"},
		{".gradle/caches/modules-2/files-2.1/org.example/lib/1.0", sha1Of("") + "/lib-1.0.jar org.example:lib@1.0 sha1:" + sha1Of("")[:6]},
	} {
		dir := filepath.Join(root, filepath.FromSlash(tt.below))
		compare(t, cached(t, dir, false), []string{tt.want})
		// The same from inside, where paths are shown without what is above.
		t.Run(tt.below, func(t *testing.T) {
			t.Chdir(dir)
			compare(t, cached(t, ".", false), []string{tt.want})
		})
	}
}

// What the go command downloads, from a proxy of the test's own.
func TestGoClient(t *testing.T) {
	const planted = "example.com/Planted"
	data := clienttest.GoModule(t, planted, "v1.0.0")
	proxy := clienttest.GoProxy(t, "v1.0.0", map[string][]byte{planted: data})
	dir := clienttest.Tree(t, map[string]string{"go.mod": "module project\n\nrequire " + planted + " v1.0.0\n"})
	cacheDir := filepath.Join(clienttest.Home(dir), "go/pkg/mod")
	clienttest.RunGo(t, dir, proxy, "mod", "download", planted)
	sum := sha256.Sum256(data)
	got := cached(t, cacheDir, true)
	for i, line := range got {
		if zip := "cache/download/example.com/!planted/@v/v1.0.0.zip "; strings.HasPrefix(line, zip) {
			if !strings.Contains(line, fmt.Sprintf(" sha256:%.3x ", sum)) {
				t.Errorf("the zip's digest is not there: %s", line)
			}
			got[i], _, _ = strings.Cut(line, " md5:")
		}
	}
	compare(t, got, []string{
		"cache/download/example.com/!planted/@v/v1.0.0.zip example.com/Planted@v1.0.0",
		"example.com/!planted@v1.0.0/go.mod example.com/Planted@v1.0.0",
	})
}

func sha1Of(content string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(content))) }
