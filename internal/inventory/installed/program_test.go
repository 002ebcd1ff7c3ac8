package installed_test

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// walked compares what is installed in a tree of files.
func walked(t *testing.T, files map[string]string, want []string) {
	t.Helper()
	equal(t, walk(t, clienttest.Tree(t, files)), want)
}

// deflated is text as cargo-auditable compresses it.
func deflated(text string) string {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	fmt.Fprint(z, text)
	z.Close()
	return buf.String()
}

// elfWith is an ELF file of no program and one section (refspecs.linuxfoundation.org/elf/elf.pdf).
func elfWith(section, content string) string {
	names := "\x00" + section + "\x00.shstrtab\x00"
	const header = 64
	at := uint64(header + len(content) + len(names))
	var buf bytes.Buffer
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: at,
		Ehsize: header, Phentsize: 56, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	for _, part := range []any{
		h, []byte(content), []byte(names), elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: header, Size: uint64(len(content))},
		elf.Section64{Name: uint32(2 + len(section)), Type: uint32(elf.SHT_STRTAB), Off: uint64(header + len(content)), Size: uint64(len(names))},
	} {
		if err := binary.Write(&buf, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return buf.String()
}

// The example of github.com/rust-secure-code/cargo-auditable, README.md, and the other sources of its schema.
const audited = `{"packages":[
	{"name":"adler","version":"0.2.3","source":"crates.io"},
	{"name":"builder","version":"1.0.0","source":"registry","kind":"build"},
	{"name":"forked","version":"0.3.0","source":"git","dependencies":[0]},
	{"name":"hello","version":"0.1.0","source":"local","dependencies":[0,1],"root":true},
	{"name":"odd","version":"1.0.0","source":"something new"}]}`

func TestPrograms(t *testing.T) {
	rust := elfWith(".dep-v0", deflated(audited))
	crates := func(at string) []string {
		return []string{
			at + " adler@0.2.3 registry crates.io", at + " builder@1.0.0 registry", at + " forked@0.3.0 git", at + " hello@0.1.0 file", at + " odd@1.0.0",
		}
	}
	walked(t, map[string]string{
		"bin/hello":                  rust,
		"bin/hello.exe":              rust,
		"bin/hello.txt":              rust,
		"bin/hello-1.2":              rust,
		"lib/hello":                  rust,
		"bin/c":                      elfWith(".data", "x"),
		"bin/broken":                 elfWith(".dep-v0", "not zlib"),
		"bin/other":                  elfWith(".dep-v0", deflated(`{"packages": 1}`)),
		"bin/cut":                    rust[:70],
		"bin/mz":                     "MZ",
		"bin/windows":                "MZ\x90\x00 and nothing else that makes a program",
		"bin/script":                 "#!/bin/sh\n",
		"bin/empty":                  "",
		"node_modules/x/bin/esbuild": rust,
	}, slices.Concat([]string{"unread bin/broken: .dep-v0: zlib: invalid header"}, crates("bin/hello"), crates("bin/hello-1.2"), crates("bin/hello.exe"),
		[]string{"unread bin/other: .dep-v0: /packages is not what it should be"}, crates("node_modules/x/bin/esbuild")))
}

// A link out of the tree with the name of a program is none of a package: every virtual environment has one.
func TestLinkedProgram(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{"venv/bin/activate": ""})
	if err := os.Symlink(t.TempDir(), filepath.Join(root, "venv", "bin", "python")); err != nil {
		t.Skip(err)
	}
	equal(t, walk(t, root), []string{"info " + filepath.ToSlash(root) + ": symbolic links not followed"})
}

// Images have their programs in the root, and an archive cannot be read in place.
func TestProgramsOfImages(t *testing.T) {
	rust := []byte(elfWith(".dep-v0", deflated(`{"packages":[{"name":"adler","version":"0.2.3","source":"crates.io"}]}`)))
	fsys := fstest.MapFS{"server": {Data: rust}, "app/server": {Data: rust}, "srv/no/server": {Data: rust}}
	equal(t, clienttest.Lines(t, "", inventory.WalkFS(t.Context(), fsys, "image", inventory.Options{Kinds: installed.Kinds()})), []string{
		"image/server adler@0.2.3 registry crates.io", "image/app/server adler@0.2.3 registry crates.io",
	})
}

// A program that somebody asks about and that says nothing is not passed over.
func TestNamedProgramThatSaysNothing(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{"x.bin": elfWith(".data", "x")})
	equal(t, clienttest.Lines(t, root, inventory.ReadFile(t.Context(), filepath.Join(root, "x.bin"), inventory.Options{Kinds: installed.Kinds()})), []string{
		"unread x.bin: a program that does not say what it is made of: neither Go's build information nor cargo-auditable's is in it",
	})
}

func FuzzProgram(f *testing.F) {
	fuzzQuiet(f, "bin/x", "x", [2]string{elfWith(".dep-v0", deflated(audited)), ""}, [2]string{elfWith(".data", "x"), ""},
		[2]string{"MZ\x90\x00", ""}, [2]string{"\xcf\xfa\xed\xfe\x07\x00\x00\x01", ""}, [2]string{"\xca\xfe\xba\xbe\x00\x00\x00\x02", ""})
}
