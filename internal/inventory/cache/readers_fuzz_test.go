package cache_test

import (
	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"strings"
	"testing"
)

// fuzzReader is fuzz for files of which something is always said.
func fuzzReader(f *testing.F, at, beside string, seeds ...[2]string) {
	clienttest.FuzzKind(f, cache.Kinds(), at, beside, true, seeds...)
}

func FuzzNuGetPackage(f *testing.F) {
	fuzzReader(f, "evil/1.0.0/.nupkg.metadata", "evil/1.0.0/evil.nuspec",
		[2]string{`{"version": 2, "contentHash": "x", "source": "https://api.nuget.org/v3/index.json"}`, clienttest.Nuspec("Evil", "1.0.0")},
		[2]string{`{"version": 1}`, "<package><metadata><id>a</id></x>"})
}

func FuzzNupkg(f *testing.F) {
	fuzzReader(f, "p/Evil.1.0.0/Evil.1.0.0.nupkg", "x",
		[2]string{string(clienttest.Nupkg(f, "Evil", "1.0.0")), ""}, [2]string{"PK\x05\x06", ""})
}

func FuzzGem(f *testing.F) {
	fuzzReader(f, "cache/evil-1.0.0.gem", "x", [2]string{string(clienttest.Gem(f, "evil", "1.0.0")), ""})
}

func FuzzComposerFile(f *testing.F) {
	fuzzReader(f, "files/v/n/0123456789012345678901234567890123456789.zip", "x",
		[2]string{string(clienttest.Zip(f, "r/composer.json", `{"name": "a/b", "version": "1"}`)), ""})
}

func FuzzPubspec(f *testing.F) {
	fuzzReader(f, "c/hosted/pub.dev/evil-1.0.0/pubspec.yaml", "c/hosted-hashes/pub.dev/evil-1.0.0.sha256",
		[2]string{"name: evil\nversion: 1.0.0\n", strings.Repeat("0", 64)}, [2]string{"name: 'other' # x\r\n", ""})
}

// The names of files and directories are the whole of these.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"nupkg_evil.1.0.0.dat", "a.1.2.3.4.nupkg", "evil-1.0.0-java.gem", "p.n-1.0.0-linux-x64", "evil-1.0.0.tar", "http%58%47%47h%588080"} {
		f.Add(s)
	}
	kinds := cache.Kinds()
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsAny(name, "/\x00") || name == "" || name == "." || name == ".." {
			return
		}
		for _, at := range []string{
			"http-cache/670c1461c29885f9aa22c281d8b7da90845b38e4$x/" + name, name + "/1.0.0/.nupkg.metadata", "a/" + name + "/.nupkg.metadata",
			"cache/" + name, "CachedExtensionVSIXs/" + name, ".hex/packages/" + name + "/a-1.tar", ".hex/packages/hexpm/" + name,
			"hosted/" + name + "/a-1/pubspec.yaml", "hosted/pub.dev/" + name + "/pubspec.yaml", "packages/h/" + name + "/1/" + name + "-1.tar.gz",
		} {
			base := at[strings.LastIndexByte(at, '/')+1:]
			for _, k := range kinds {
				if k.Dir != nil && !k.Dir("/"+at[:len(at)-len(base)-1]) || !k.Match(base, "/"+at) {
					continue
				}
				in := &inventory.File{Path: "/" + at, Rel: at, R: strings.NewReader("x")}
				_ = k.Read(t.Context(), in, &inventory.Sink{File: in, Kind: k.Name, Yield: func(s rapsheet.Sighting, err error) bool {
					if err == nil && (s.Package.Name == "" || len(s.Package.Name) > ecosystem.MaxIdentifier) {
						t.Errorf("%s: seen %+.200v", at, s)
					}
					return true
				}})
			}
		}
	})
}
