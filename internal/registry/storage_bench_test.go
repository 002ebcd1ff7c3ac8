package registry_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// writeVerdaccio writes the storage of a Verdaccio that has cached archives of packages, 5 of each, whose metadata
// has 30 versions of 1.5 kB as npm's have on average. The first package is one of npm's largest: 20,000 versions in
// some 30 MB.
func writeVerdaccio(tb testing.TB, root string, archives int) {
	tb.Helper()
	const perPackage = 5
	about := strings.Repeat(`"dependency-name": "^1.0.0", `, 40)
	for i := range archives / perPackage {
		name := "package-" + strconv.Itoa(i)
		dir := filepath.Join(root, name)
		if i%4 == 0 {
			name = "@scope-" + strconv.Itoa(i/64) + "/" + name
			dir = filepath.Join(root, filepath.FromSlash(name))
		}
		versions := 30
		if i == 0 {
			versions = 20_000
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, `{"name": %q, "versions": {`, name)
		files := make([]string, versions)
		for v := range versions {
			files[v] = fmt.Sprintf("%s-1.0.%d.tgz", filepath.Base(dir), v)
			fmt.Fprintf(&b, `%s"1.0.%d": {"name": %q, "version": "1.0.%d", "dependencies": {%s"last": "1"}, "dist": {"integrity": %q, "shasum": %q, "tarball": "https://registry.npmjs.org/%s/-/%s"}}`,
				strings.Repeat(", ", min(v, 1)), v, name, v, about, sha512A, sha1A, name, files[v])
		}
		b.WriteString(`}, "time": {}, "dist-tags": {"latest": "1.0.0"}, "_uplinks": {"npmjs": {"fetched": 1}}, "_distfiles": {`)
		for v, file := range files {
			fmt.Fprintf(&b, `%s%q: {"url": "https://registry.npmjs.org/%s/-/%s", "registry": "npmjs"}`, strings.Repeat(", ", min(v, 1)), file, name, file)
		}
		b.WriteString(`}, "_attachments": {`)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
		for v, file := range files[:perPackage] {
			fmt.Fprintf(&b, `%s%q: {"shasum": %q}`, strings.Repeat(", ", min(v, 1)), file, sha1A)
			if err := os.WriteFile(filepath.Join(dir, file), []byte("archive"), 0o644); err != nil {
				tb.Fatal(err)
			}
		}
		b.WriteString(`}, "_rev": "1-0", "readme": ""}`)
		if err := os.WriteFile(filepath.Join(dir, "package.json"), b.Bytes(), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkVerdaccioStorage walks the storage of RAPSHEET_STORAGE_ARCHIVES archives, 1,000 by default, which it
// leaves in RAPSHEET_STORAGE_DIR, if that is set, for the program itself.
func BenchmarkVerdaccioStorage(b *testing.B) {
	archives := 1000
	if s := os.Getenv("RAPSHEET_STORAGE_ARCHIVES"); s != "" {
		var err error
		if archives, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	root := os.Getenv("RAPSHEET_STORAGE_DIR")
	if root == "" {
		root = b.TempDir()
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) == 0 {
		writeVerdaccio(b, root, archives)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range inventory.Walk(b.Context(), root, inventory.Options{Kinds: registry.Kinds()}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != archives {
			b.Fatalf("%d archives, want %d", n, archives)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(archives), "ns/archive")
}
