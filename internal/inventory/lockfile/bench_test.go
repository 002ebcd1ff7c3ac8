package lockfile

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// A poetry.lock of 1,000 packages with a dozen files each, as large ones have.
func BenchmarkPoetryLock(b *testing.B) {
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "[[package]]\nname = \"package-%d\"\nversion = \"1.%d.0\"\ndescription = \"Does something.\"\noptional = false\npython-versions = \">=3.8\"\ngroups = [\"main\"]\nfiles = [\n", i, i)
		for j := range 12 {
			fmt.Fprintf(&in, "    {file = \"package_%d-1.%d.0-cp3%d-cp3%d-manylinux_2_17_x86_64.whl\", hash = \"sha256:%064x\"},\n", i, i, j, j, i*j)
		}
		in.WriteString("]\n\n[package.dependencies]\nother = \">=1.0\"\n\n")
	}
	benchmark(b, readPoetry, in.String())
}

// A Cargo.lock of 1,000 packages.
func BenchmarkCargoLock(b *testing.B) {
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "[[package]]\nname = \"crate-%d\"\nversion = \"1.0.%d\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"%064x\"\ndependencies = [\n \"serde\",\n \"libc\",\n]\n\n", i, i, i)
	}
	benchmark(b, readCargoLock, in.String())
}

// A composer.lock of 1,000 packages.
func BenchmarkComposerLock(b *testing.B) {
	var in strings.Builder
	in.WriteString(`{"packages": [`)
	for i := range 1000 {
		if i > 0 {
			in.WriteString(",")
		}
		fmt.Fprintf(&in, "\n{\"name\": \"a/p%d\", \"version\": \"1.%d\", \"source\": {\"type\": \"git\", \"url\": \"https://github.com/a/p.git\", \"reference\": \"x\"},\n\"dist\": {\"type\": \"zip\", \"url\": \"https://api.github.com/repos/a/p/zipball/x\", \"shasum\": \"\"},\n\"require\": {\"php\": \">=8\"}, \"autoload\": {\"psr-4\": {\"A\\\\\\\\\": \"src/\"}}, \"notification-url\": \"https://packagist.org/downloads/\"}", i, i)
	}
	in.WriteString("]}")
	benchmark(b, readComposerLock, in.String())
}

func benchmark(b *testing.B, read func(context.Context, *inventory.File, *inventory.Sink) error, content string) {
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		in := &inventory.File{Path: "x", Rel: "x", R: io.Reader(strings.NewReader(content))}
		out := &inventory.Sink{File: in, Yield: func(_ rapsheet.Sighting, err error) bool {
			if err == nil {
				n++
			}
			return true
		}}
		if err := read(b.Context(), in, out); err != nil || n != 1000 {
			b.Fatal(n, err)
		}
	}
}
