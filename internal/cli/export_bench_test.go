//go:build unix

package cli_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rapsheet/rapsheet/internal/export"
)

// BenchmarkExport writes the whole catalog in every format, each twice, which must give the same bytes.
func BenchmarkExport(b *testing.B) {
	x := prepared(b)
	// One directory, which goes at the end: ext4 makes files slowly for minutes after many were deleted.
	dir := b.TempDir()
	for _, f := range export.Formats() {
		b.Run(f.Name, func(b *testing.B) {
			var sums [2]string
			var sizes written
			var c cost
			for i := range sums {
				to := filepath.Join(dir, f.Name+strconv.Itoa(i))
				// 3 is an export from which something had to be left out, which it counts.
				c = run(b, []int{0, 3}, x.program, "catalog", "export", f.Name, "--catalog", x.catalog, "--links", "https://list.example/", "--server", "https://list.example/", "-o", to)
				sums[i], sizes = sumOf(b, to)
			}
			if sums[0] != sums[1] {
				b.Errorf("two exports have other bytes: %v", sums)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(c.wall.Seconds(), "s-wall")
			b.ReportMetric(c.cpu.Seconds(), "s-cpu")
			b.ReportMetric(float64(c.rss)/1e6, "MB-peak")
			b.ReportMetric(float64(sizes.bytes)/1e6, "MB-written")
			b.ReportMetric(float64(sizes.files), "files")
		})
	}
}

type written struct {
	files int
	bytes int64
}

// sumOf is a digest over the names and contents of all files at path.
func sumOf(b *testing.B, path string) (string, written) {
	b.Helper()
	h := sha256.New()
	var n written
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		size, err := io.Copy(h, f)
		rel, _ := filepath.Rel(path, p)
		fmt.Fprintf(h, "\x00%s\x00%d\x00", rel, size)
		n.files++
		n.bytes += size
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil)), n
}
