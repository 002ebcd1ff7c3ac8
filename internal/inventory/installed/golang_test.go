package installed_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

func TestGoVendor(t *testing.T) {
	walked(t, map[string]string{
		// The shapes of go.dev/ref/mod#vendoring and of the go command's modload.vendorPkg.
		"p/vendor/modules.txt": `## workspace
# github.com/BurntSushi/toml v1.6.0
## explicit; go 1.18
github.com/BurntSushi/toml
github.com/BurntSushi/toml/internal
# example.com/required/only v1.0.0
## explicit
# example.com/old v1.0.0 => example.com/new v1.1.0
## explicit; go 1.20
example.com/old/p
# example.com/here v1.0.0 => ./here
## explicit
example.com/here
# example.com/twice v1.0.0+incompatible
example.com/twice
example.com/twice/q
# example.com/old => example.com/new v1.1.0
# three strange words here
example.com/x
`,
		"p/vendor/github.com/BurntSushi/toml/toml.go":         "",
		"p/vendor/example.com/old/p/p.go":                     "",
		"p/vendor/example.com/here/here.go":                   "",
		"p/vendor/example.com/twice/twice.go":                 "",
		"p/vendor/example.com/x/x.go":                         "",
		"mod/example.com/published@v1.0.0/vendor/modules.txt": "# example.com/no v1.0.0\nexample.com/no\n# example.com/up v1.0.0\n../../published@v1.0.0\n",
		"p/vendor/x/modules.txt":                              "# example.com/no v1.0.0\nexample.com/no\n",
		"p/modules.txt":                                       "# example.com/no v1.0.0\nexample.com/no\n",
		"q/vendor/modules.txt":                                "",
	}, []string{
		"p/vendor/modules.txt github.com/BurntSushi/toml@v1.6.0",
		"p/vendor/modules.txt example.com/new@v1.1.0",
		"p/vendor/modules.txt example.com/here@v1.0.0 file",
		"p/vendor/modules.txt example.com/twice@v1.0.0+incompatible",
		"unmatchable p/vendor/modules.txt: entries without a usable name (missing, not UTF-8, or longer than the limit)",
	})
}

// What the go command builds and vendors, from a proxy of the test's own.
func TestGoClient(t *testing.T) {
	const version = "v1.0.0"
	zip := func(path string) []byte { return clienttest.GoModule(t, path, version) }
	proxy := clienttest.GoProxy(t, version, map[string][]byte{
		"example.com/Planted": zip("example.com/Planted"), "example.com/replacement": zip("example.com/replacement"),
		"example.com/unused": zip("example.com/unused"),
	})
	dir := clienttest.Tree(t, map[string]string{
		"go.mod": `module example.com/project

require (
	example.com/Planted v1.0.0
	example.com/replaced v1.0.0
	example.com/local v1.0.0
	example.com/unused v1.0.0
)

replace (
	example.com/replaced v1.0.0 => example.com/replacement v1.0.0
	example.com/local => ./local
)
`,
		"local/go.mod":   "module example.com/local\n",
		"local/local.go": "package local\n\nfunc Nothing() {}\n",
		"main.go": `package main

import (
	"example.com/Planted"
	"example.com/local"
	"example.com/replaced"
)

func main() {
	planted.Nothing()
	local.Nothing()
	replacement.Nothing()
}
`,
	})
	clienttest.RunGo(t, dir, proxy, "mod", "tidy", "-e")
	clienttest.RunGo(t, dir, proxy, "build", "-buildvcs=false", "-o", "bin/", ".")
	clienttest.RunGo(t, dir, proxy, "mod", "vendor")
	if err := os.RemoveAll(clienttest.Home(dir)); err != nil {
		t.Fatal(err)
	}
	equal(t, walk(t, dir), []string{
		"bin/project example.com/project@",
		"bin/project example.com/Planted@v1.0.0",
		"bin/project example.com/local@v1.0.0 file",
		"bin/project example.com/replacement@v1.0.0",
		"vendor/modules.txt example.com/Planted@v1.0.0",
		"vendor/modules.txt example.com/local@v1.0.0 file",
		"vendor/modules.txt example.com/replacement@v1.0.0",
	})
	// A program that the user names may be called as he likes, and stand where he likes.
	named := filepath.Join(dir, "server.bin")
	if err := os.Rename(filepath.Join(dir, "bin", "project"), named); err != nil {
		t.Fatal(err)
	}
	equal(t, clienttest.Lines(t, dir, inventory.ReadFile(t.Context(), named, inventory.Options{Kinds: installed.Kinds()})), []string{
		"server.bin example.com/project@",
		"server.bin example.com/Planted@v1.0.0",
		"server.bin example.com/local@v1.0.0 file",
		"server.bin example.com/replacement@v1.0.0",
	})
}
