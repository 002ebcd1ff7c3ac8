package inventory_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// BenchmarkWalk20000 walks 20,000 files in 2,000 directories; find is what the
// system's own walker needs for the same tree.
func BenchmarkWalk20000(b *testing.B) {
	root := b.TempDir()
	for i := range 2000 {
		dir := filepath.Join(root, fmt.Sprint(i%10), fmt.Sprint(i%100), fmt.Sprint(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			name, content := fmt.Sprintf("file%d.js", j), ""
			if j == 0 && i%100 == 0 {
				name, content = "package-lock.json", lockOf("a@1.0.0", "b@1.0.0")
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range inventory.Walk(b.Context(), root, options()) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != 40 {
				b.Fatalf("%d sightings", n)
			}
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.Command("find", root, "-name", "package-lock.json").Output(); err != nil || bytes.Count(out, []byte("\n")) != 20 {
				b.Skip("no find here")
			}
		}
	})
}
