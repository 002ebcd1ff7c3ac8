package installed_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// fuzzKind fuzzes one kind on a file at a path, and on what stands beside it: no panic, no
// identifier above the limit, and the same reading twice.
func fuzzKind(f *testing.F, kind, at, beside string, seeds ...[2]string) {
	f.Add("", "")
	f.Add("\ufeff", "\xff\xfea\x00")
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, content, other string) {
		read := func() (saw []string) {
			in := &inventory.File{Path: at, Rel: at, R: strings.NewReader(content), FS: fstest.MapFS{beside: {Data: []byte(other)}, at: {Data: []byte(content)}}}
			for _, k := range installed.Kinds() {
				if k.Name != kind {
					continue
				}
				err := k.Read(t.Context(), in, &inventory.Sink{File: in, Kind: kind, Yield: func(s rapsheet.Sighting, err error) bool {
					var note *rapsheet.Note
					if err != nil && !errors.As(err, &note) {
						t.Errorf("an error that is no note: %v", err)
					}
					if err == nil && (s.Package.Name == "" || len(s.Package.Name) > ecosystem.MaxIdentifier || len(s.Package.Version) > ecosystem.MaxIdentifier) {
						t.Errorf("seen: %+.200v", s)
					}
					saw = append(saw, s.Package.String())
					return true
				}})
				if err != nil {
					saw = append(saw, "error")
				}
			}
			return saw
		}
		first := read()
		if len(first) == 0 && kind != "cargo-install" && kind != ".pnp.cjs" { // where nothing may be installed, or another file says so
			t.Error("nothing was said about the file")
		}
		if again := read(); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
	})
}

func FuzzNodePackage(f *testing.F) {
	fuzzKind(f, "node_modules", "p/node_modules/a/package.json", "p/node_modules/.package-lock.json",
		[2]string{`{"name": "b", "version": "1.0.0"}`, `{"packages": {"node_modules/a": {"name": "c", "resolved": "https://h/c/-/c-1.tgz", "integrity": "sha1-AA=="}}}`},
		[2]string{`{"name": "a", "_resolved": "x", "_integrity": "y"}`, ``}, [2]string{`[]`, `{"packages": []}`})
}

func FuzzPythonMetadata(f *testing.F) {
	fuzzKind(f, "site-packages", "l/a-1.0.dist-info/METADATA", "l/a-1.0.dist-info/direct_url.json",
		[2]string{"Name: b\nVersion: 1\n\n", `{"url": "https://h/x", "archive_info": {"hash": "sha256=00", "hashes": {"sha256": "00"}}}`},
		[2]string{"name:a\r\n x\n:", `{"url": "file:///x", "dir_info": {}}`}, [2]string{"Name: a\n", `{"vcs_info": {}}`})
}

func FuzzGemspec(f *testing.F) {
	fuzzKind(f, "gem", "specifications/a-1.0.gemspec", "x", [2]string{"  s.name = \"b\".freeze\n  s.version = \"1.0\"\n  s.platform = \"java\"\n", ""})
}

func FuzzEditorExtension(f *testing.F) {
	fuzzKind(f, "editor-extension", ".vscode/extensions/p.n-1.0.0/package.json", "x",
		[2]string{`{"publisher": "p", "name": "n", "version": "1.0.0", "__metadata": {"source": "gallery"}}`, ""})
}

func FuzzCargoInstalls(f *testing.F) {
	fuzzKind(f, "cargo-install", ".cargo/.crates2.json", "x",
		[2]string{`{"installs": {"a 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)": {}, "b": null, "": 1}}`, ""})
}
