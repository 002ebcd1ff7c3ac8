//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/store/pgtest"
)

// stores names an empty store of each kind. What a benchmark of one kind writes must not be deleted
// before that of the other: for up to six minutes ext4 steps over every inode that was freed
// (recently_deleted in the kernel's fs/ext4/ialloc.c), and making 400,000 files takes longer.
func stores(b *testing.B) map[string]string {
	return map[string]string{"sqlite": "sqlite:" + filepath.Join(b.TempDir(), "store.db"), "postgres": pgtest.Start(b)}
}

// step runs one command and reports what it took under a name of its own.
func step(b *testing.B, name string, wantStatus int, program string, args ...string) cost {
	b.Helper()
	c := run(b, []int{wantStatus}, program, args...)
	b.ReportMetric(c.wall.Seconds(), "s/"+name)
	b.ReportMetric(float64(c.rss)/1e6, "MB/"+name)
	return c
}

// BenchmarkWorstDay takes in a campaign of 144,000 packages, publishes it, finds one of them, and takes it in again:
// one process each, on both engines.
func BenchmarkWorstDay(b *testing.B) {
	x := prepared(b)
	csv := filepath.Join(os.Getenv("RAPSHEET_BENCH"), "campaign.csv")
	data, err := os.ReadFile(csv)
	if err != nil {
		b.Fatal(err)
	}
	row := strings.Split(strings.SplitN(string(data), "\n", 3)[1], ",")
	dir := b.TempDir() // see stores
	for kind, store := range stores(b) {
		b.Run(kind, func(b *testing.B) {
			out := filepath.Join(dir, kind)
			imported := []string{"catalog", "import", csv, "--campaign", "worst-day", "--yes", "--store", store}
			total := step(b, "import", 0, x.program, imported...).wall
			total += step(b, "publish", 0, x.program, "catalog", "publish", "-o", out, "--store", store).wall
			total += step(b, "scan", 1, x.program, "scan", "--catalog", out, fmt.Sprintf("pkg:nuget/%s@%s", row[1], row[2])).wall
			step(b, "again", 0, x.program, imported...)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total.Seconds(), "s/total")
		})
	}
}

// BenchmarkBulk publishes 230,000 records, and then 100 more.
func BenchmarkBulk(b *testing.B) {
	x := prepared(b)
	dir := os.Getenv("RAPSHEET_BENCH")
	sources := []string{"catalog", "import", filepath.Join(dir, "generated.jsonl")}
	if real := os.Getenv("RAPSHEET_REAL"); real != "" {
		sources = append(sources, real)
	}
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, "npm:brand-new-%d@1.0.0\n", i)
	}
	hundred := filepath.Join(b.TempDir(), "hundred.txt")
	if err := os.WriteFile(hundred, []byte(lines.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	releases := b.TempDir() // see stores
	for kind, store := range stores(b) {
		b.Run(kind, func(b *testing.B) {
			out := filepath.Join(releases, kind)
			step(b, "import", 0, x.program, append(sources, "--yes", "--store", store)...)
			step(b, "publish", 0, x.program, "catalog", "publish", "-o", out, "--store", store)
			step(b, "import-100", 0, x.program, "catalog", "import", hundred, "--yes", "--store", store)
			step(b, "publish-100", 0, x.program, "catalog", "publish", "-o", out, "--store", store)
			b.ReportMetric(0, "ns/op")
		})
	}
}
