package image_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory/archive"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/inventory/image"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
)

// A package of every ecosystem, as it is installed, cached or copied in images, in a layer that the next one
// empties.
func TestEcosystems(t *testing.T) {
	proxy := clienttest.GoProxy(t, "v1.0.0", map[string][]byte{"example.com/planted": clienttest.GoModule(t, "example.com/planted", "v1.0.0")})
	dir := clienttest.Tree(t, map[string]string{
		"go.mod":  "module example.com/project\n\nrequire example.com/planted v1.0.0\n",
		"main.go": "package main\n\nimport \"example.com/planted\"\n\nfunc main() { planted.Nothing() }\n",
	})
	clienttest.RunGo(t, dir, proxy, "build", "-mod=mod", "-o", "tool", ".")
	program, err := os.ReadFile(filepath.Join(dir, "tool"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ ecosystem, file, content, want string }{
		{"npm", "usr/lib/node_modules/evil/package.json", `{"name": "evil", "version": "1.0.0"}`, "evil@1.0.0"},
		{"npm", "root/evil.tgz", string(clienttest.Tarball(t, `{"name": "evil-archive", "version": "1.0.0"}`)), "evil-archive@1.0.0"},
		{"PyPI", "usr/lib/python3/dist-packages/evil-1.0.dist-info/METADATA", clienttest.Metadata("evil", "1.0"), "evil@1.0"},
		{"PyPI", "wheels/" + clienttest.WheelName("wheel_evil", "1.0"), string(clienttest.Wheel(t, "wheel_evil", "1.0")), "wheel_evil@1.0"},
		{"RubyGems", "var/lib/gems/3.1.0/specifications/evil-1.0.gemspec", "  s.name = \"evil\".freeze\n  s.version = \"1.0\"\n", "evil@1.0"},
		{"RubyGems", "app/vendor/cache/evil-2.0.gem", string(clienttest.Gem(t, "evil", "2.0")), "evil@2.0"},
		{"Go", "usr/local/bin/tool", string(program), "example.com/planted@v1.0.0"},
		{"Go", "root/go/pkg/mod/cache/download/example.com/evil/@v/v1.0.0.zip", string(clienttest.GoModule(t, "example.com/evil", "v1.0.0")), "example.com/evil@v1.0.0"},
		{"crates.io", "root/.cargo/.crates2.json", `{"installs": {"evil 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)": {}}}`, "evil@1.0.0"},
		{"crates.io", "root/.cargo/registry/cache/index.crates.io-6f17d22bba15001f/evil-2.0.0.crate", string(clienttest.Crate(t, "evil", "2.0.0")), "evil@2.0.0"},
		{"Maven", "app/lib/evil.jar", string(clienttest.Zip(t, "META-INF/maven/g/evil/pom.properties", "groupId=g\nartifactId=evil\nversion=1.0\n")), "g:evil@1.0"},
		{"Maven", "root/.m2/repository/g/evil/2.0/evil-2.0.jar", string(clienttest.Jar(t)), "g:evil@2.0"},
		{"NuGet", "app/app.deps.json", `{"runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"}, "targets": {".NETCoreApp,Version=v8.0": {"Evil/1.0.0": {}}}, "libraries": {"Evil/1.0.0": {"type": "package", "sha512": ""}}}`, "Evil@1.0.0"},
		{"NuGet", "opt/Evil.2.0.0.nupkg", string(clienttest.Nupkg(t, "Evil", "2.0.0")), "Evil@2.0.0"},
		{"Packagist", "app/vendor/composer/installed.json", `{"packages": [{"name": "evil/evil", "version": "1.0.0"}]}`, "evil/evil@1.0.0"},
		{"VSCode", "root/.vscode-server/extensions/evil.evil-1.0.0/package.json", `{"publisher": "evil", "name": "evil", "version": "1.0.0"}`, "evil.evil@1.0.0"},
		{"Hex", "app/deps/evil/hex_metadata.config", "{<<\"name\">>,<<\"evil\">>}.\n{<<\"version\">>,<<\"1.0.0\">>}.\n", "evil@1.0.0"},
		{"CRAN", "usr/lib/R/library/evil/DESCRIPTION", "Package: evil\nVersion: 1.0\nBuilt: R 4.3.0\n", "evil@1.0"},
		{"Hackage", "opt/ghc/package.db/evil-1.0.conf", "name: evil\nversion: 1.0\n", "evil@1.0"},
		{"GitHub Actions", "runner/_work/_actions/evil/action/v1.completed", "", "evil/action@v1"},
	}
	var first, second []entry
	for _, tt := range tests {
		first = append(first, entry{Name: tt.file, Content: tt.content})
		at := strings.LastIndexByte(tt.file, '/')
		second = append(second, entry{Name: tt.file[:at] + "/.wh." + tt.file[at+1:]})
	}
	opt := options()
	opt.Kinds = slices.Concat(cache.Kinds(), installed.Kinds(), archive.Kinds(), lockfile.Kinds())
	opt.PerFile = 0
	one, two := clienttest.TarOf(t, first...), clienttest.TarOf(t, second...)
	target := write(t, "image.tar", dockerArchive(t, one, two))
	got := lines(t, target, image.Options{Options: opt.Options}, one, two)
	for _, tt := range tests {
		t.Run(tt.ecosystem+" "+tt.file, func(t *testing.T) {
			if !slices.ContainsFunc(got, func(line string) bool {
				return strings.HasPrefix(line, "T!/"+tt.file+" "+tt.want) && strings.HasSuffix(line, " layer 1 gone 2")
			}) {
				t.Errorf("no %s that layer 1 brought and layer 2 deleted, in\n\t%s", tt.want, strings.Join(got, "\n\t"))
			}
		})
	}
}
