package installed_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// fuzzKind fuzzes the kind that reads the file at a path, of which it always says something; see [clienttest.FuzzKind].
func fuzzKind(f *testing.F, at, beside string, seeds ...[2]string) {
	clienttest.FuzzKind(f, installed.Kinds(), at, beside, true, seeds...)
}

// fuzzQuiet is fuzzKind for files that may list nothing, or be another program's.
func fuzzQuiet(f *testing.F, at, beside string, seeds ...[2]string) {
	clienttest.FuzzKind(f, installed.Kinds(), at, beside, false, seeds...)
}

func FuzzNodePackage(f *testing.F) {
	fuzzKind(f, "p/node_modules/a/package.json", "p/node_modules/.package-lock.json",
		[2]string{`{"name": "b", "version": "1.0.0"}`, `{"packages": {"node_modules/a": {"name": "c", "resolved": "https://h/c/-/c-1.tgz", "integrity": "sha1-AA=="}}}`},
		[2]string{`{"name": "a", "_resolved": "x", "_integrity": "y"}`, ``}, [2]string{`[]`, `{"packages": []}`})
}

func FuzzPythonMetadata(f *testing.F) {
	fuzzKind(f, "l/a-1.0.dist-info/METADATA", "l/a-1.0.dist-info/direct_url.json",
		[2]string{"Name: b\nVersion: 1\n\n", `{"url": "https://h/x", "archive_info": {"hash": "sha256=00", "hashes": {"sha256": "00"}}}`},
		[2]string{"name:a\r\n x\n:", `{"url": "file:///x", "dir_info": {}}`}, [2]string{"Name: a\n", `{"vcs_info": {}}`})
}

func FuzzGemspec(f *testing.F) {
	fuzzKind(f, "specifications/a-1.0.gemspec", "x", [2]string{"  s.name = \"b\".freeze\n  s.version = \"1.0\"\n  s.platform = \"java\"\n", ""})
}

func FuzzEditorExtension(f *testing.F) {
	fuzzKind(f, ".vscode/extensions/p.n-1.0.0/package.json", ".vscode/extensions/extensions.json",
		[2]string{`{"publisher": "p", "name": "n", "version": "1.0.0", "__metadata": {"source": "gallery"}}`,
			`[{"identifier": {"id": "p.m"}, "version": "1.0.0", "relativeLocation": "p.n-1.0.0", "metadata": {"source": "gallery"}}]`})
}

func FuzzCargoInstalls(f *testing.F) {
	fuzzQuiet(f, ".cargo/.crates2.json", "x",
		[2]string{`{"installs": {"a 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)": {}, "b": null, "": 1}}`, ""})
}

func FuzzGoVendor(f *testing.F) {
	fuzzQuiet(f, "p/vendor/modules.txt", "p/vendor/a.b/c/d",
		[2]string{"## workspace\n# a.b/c v1.0.0 => a.b/d v1.1.0\n## explicit; go 1.20\na.b/c\n# a.b/e => ./e\na.b/c/d\n", ""})
}

func FuzzCargoVendor(f *testing.F) {
	fuzzKind(f, "v/a-1.0.0/.cargo-checksum.json", "v/a-1.0.0/Cargo.toml",
		[2]string{`{"files": {}, "package": "` + strings.Repeat("0", 64) + `"}`, "[package]\nname = \"b\"\nversion = \"1.0.0\"\n"})
}

func FuzzOldCargoInstalls(f *testing.F) {
	fuzzQuiet(f, ".cargo/.crates.toml", "x",
		[2]string{"[v1]\n\"a 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)\" = [\"a\"]\n[x]\n", ""})
}
