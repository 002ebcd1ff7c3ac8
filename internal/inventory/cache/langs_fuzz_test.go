package cache_test

import (
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

// fuzzTree walks a tree of two files with fuzzed content: no panic, no identifier above the limit, the same twice.
func fuzzTree(f *testing.F, at, beside string, seeds ...[2]string) {
	f.Add("", "")
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, content, other string) {
		first := fuzzWalk(t, fstest.MapFS{at: {Data: []byte(content)}, beside: {Data: []byte(other)}})
		if len(first) == 0 {
			t.Error("nothing was said")
		}
		if again := fuzzWalk(t, fstest.MapFS{at: {Data: []byte(content)}, beside: {Data: []byte(other)}}); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
	})
}

func fuzzWalk(t *testing.T, tree fstest.MapFS) []string {
	t.Helper()
	var small rapsheet.Sightings = func(yield func(rapsheet.Sighting, error) bool) {
		for s, err := range inventory.WalkFS(t.Context(), tree, "t", inventory.Options{Kinds: cache.Kinds()}) {
			if err != nil && strings.Contains(err.Error(), "panicked") || len(s.Package.Name) > ecosystem.MaxIdentifier || len(s.Package.Version) > ecosystem.MaxIdentifier {
				t.Errorf("%+.200v, %v", s, err)
			}
			if !yield(s, err) {
				return
			}
		}
	}
	return clienttest.Lines(t, "t", small)
}

func FuzzGoInfo(f *testing.F) {
	const at = "cache/download/example.com/a/@v/v1.0.0"
	fuzzTree(f, at+".zip", at+".info", [2]string{"", `{"Version":"v1.0.0","Origin":{"VCS":"git","URL":"https://github.com/o/a"}}`})
}

func FuzzMavenBeside(f *testing.F) {
	const dir = ".m2/repository/org/e/a/1/"
	fuzzTree(f, dir+"a-1.jar.sha1", dir+"a-1.jar", [2]string{strings.Repeat("0", 40), ""})
}

func FuzzRemoteRepositories(f *testing.F) {
	const dir = "r/org/e/a/1/"
	seed := "#NOTE: x\na-1.jar>central=\na-1.pom>=\n"
	f.Add(seed, "<project><parent><groupId>org.e</groupId></parent><groupId>e</groupId></project>")
	f.Fuzz(func(t *testing.T, content, pom string) {
		tree := func() fstest.MapFS {
			return fstest.MapFS{dir + "_remote.repositories": {Data: []byte(content)}, dir + "a-1.pom": {Data: []byte(pom)}, dir + "a-1.jar": {}}
		}
		if first, again := fuzzWalk(t, tree()), fuzzWalk(t, tree()); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
	})
}

func FuzzIvyData(f *testing.F) {
	const dir = ".ivy2/cache/org.e/a/"
	fuzzTree(f, dir+"jars/a-1.0-x.jar", dir+"ivydata-1.0-x.properties", [2]string{"", `artifact\:a\#jar\#jar\#1.location=https\://repo1.maven.org/maven2/x`})
}

// Paths are as hostile as what is in files.
func FuzzCachePaths(f *testing.F) {
	for _, s := range []string{
		"cache/download/example.com/a/@v/v1.0.0.zip", "pkg/mod/example.com/!a@v1.0.0/go.mod", "registry/cache/index.crates.io-0123456789abcdef/a-1.0.0.crate",
		"registry/src/x/a-1.0.0/.cargo-ok", ".m2/repository/a/b/1/b-1.jar", "caches/modules-2/files-2.1/g/a/1/00/a.jar", "caches/modules-3/modules-3.lock",
		".ivy2/cache/o/m/jars/m-1.jar", "coursier/v1/https/repo1.maven.org/maven2/a/b/1/b-1.jar", "coursier/v1/https/u%40h%zz/a/b/1/b-1.jar", "Cellar/f/1/INSTALL_RECEIPT.json",
		"Caskroom/c/.metadata/config.json", "Homebrew/downloads/" + strings.Repeat("0", 64) + "--a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name = strings.TrimPrefix(path.Clean("/"+name), "/"); name == "" || len(name) > 2000 {
			t.Skip()
		}
		if first, again := fuzzWalk(t, fstest.MapFS{name: {}}), fuzzWalk(t, fstest.MapFS{name: {}}); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
		group, artifact, version, ok := cache.MavenPath(name)
		if ok && !strings.HasPrefix(strings.ReplaceAll(name, "/", "."), group+"."+artifact+"."+version+"."+artifact+"-") {
			t.Errorf("%q: %q %q %q", name, group, artifact, version)
		}
	})
}
