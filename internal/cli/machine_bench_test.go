//go:build unix

package cli_test

import (
	"os"
	"path/filepath"
	"testing"
)

// A home of 1,000,000 files with 3,000 projects, beside what it takes to list it. Both read what the system has in its
// memory, which a first run of find sees to.
func BenchmarkScanMachine(b *testing.B) {
	x := prepared(b)
	tree, list := filepath.Join(os.Getenv("RAPSHEET_BENCH"), "tree"), filepath.Join(os.Getenv("RAPSHEET_BENCH"), "tree.csv")
	if _, err := os.Stat(tree); err != nil {
		b.Skip(err)
	}
	find := []string{"-c", `find "$0" -type f | wc -l`, tree}
	scan := []string{"scan", "--only-list", "--list", list, "--format", "json", "--home", tree}
	run(b, []int{0}, "/bin/sh", find...)
	var scanned, since, listed cost
	for b.Loop() {
		listed = run(b, []int{0}, "/bin/sh", find...)
		scanned = run(b, []int{1}, x.program, scan...)
		since = run(b, []int{0}, x.program, append(scan, "--since", "1h")...)
	}
	b.ReportMetric(float64(scanned.wall)/float64(listed.wall), "x-find")
	b.ReportMetric(scanned.wall.Seconds(), "s")
	b.ReportMetric(since.wall.Seconds(), "s-since")
	b.ReportMetric(float64(scanned.rss)/1e6, "MB")
}
