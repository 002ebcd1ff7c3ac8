//go:build unix

package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The benchmarks of whole processes need what `make bench` prepares: the program,
// a catalog of 230,000 records, a real package-lock.json, and osv-scanner.
type bench struct {
	program, catalog, lock, scanner string
}

func prepared(b *testing.B) bench {
	b.Helper()
	dir := os.Getenv("RAPSHEET_BENCH")
	if dir == "" {
		b.Skip("run by `make bench`, which prepares what this needs")
	}
	x := bench{
		program: filepath.Join(dir, "rapsheet"), catalog: filepath.Join(dir, "catalog.idx"),
		lock: filepath.Join(dir, "package-lock.json"), scanner: filepath.Join(dir, "osv-scanner"),
	}
	for _, p := range []string{x.program, x.catalog, x.lock} {
		if _, err := os.Stat(p); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

// cost is what one process took. Its peak memory is never below this process's own
// (Linux carries it over to a child), so this one must stay small: what the
// benchmarks read is made by other processes.
type cost struct {
	wall, cpu time.Duration
	rss       int64 // bytes
}

func run(b *testing.B, wantStatus []int, name string, args ...string) cost {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if cmd.ProcessState == nil || !slices.Contains(wantStatus, cmd.ProcessState.ExitCode()) {
		b.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), use.Maxrss << 10}
}

func median[T int64 | time.Duration](v []T) T {
	slices.Sort(v)
	return v[len(v)/2]
}

// measure runs a process once to warm the caches of files, then runs times, and
// reports medians.
func measure(b *testing.B, runs int, once func() cost) cost {
	b.Helper()
	var wall, cpu []time.Duration
	var rss []int64
	once()
	for range runs {
		c := once()
		wall, cpu, rss = append(wall, c.wall), append(cpu, c.cpu), append(rss, c.rss)
	}
	c := cost{median(wall), median(cpu), median(rss)}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(c.wall)/1e6, "ms-wall")
	b.ReportMetric(float64(c.cpu)/1e6, "ms-cpu")
	b.ReportMetric(float64(c.rss)/1e6, "MB-peak")
	return c
}

func BenchmarkProcess(b *testing.B) {
	x := prepared(b)
	var ours cost
	b.Run("scan-package-lock", func(b *testing.B) {
		ours = measure(b, 25, func() cost { return run(b, []int{0, 1}, x.program, "scan", "--catalog", x.catalog, x.lock) })
	})
	b.Run("check", func(b *testing.B) {
		measure(b, 25, func() cost {
			return run(b, []int{0}, x.program, "check", "--catalog", x.catalog, "pkg:npm/left-pad@1.3.0")
		})
	})
	b.Run("check-hit", func(b *testing.B) {
		measure(b, 25, func() cost {
			return run(b, []int{1}, x.program, "check", "--catalog", x.catalog, "pkg:nuget/2C%D0%B0ptcha.API@1.10.2")
		})
	})
	b.Run("version", func(b *testing.B) {
		measure(b, 25, func() cost { return run(b, []int{0}, x.program, "--version") })
	})
	b.Run("osv-scanner-package-lock", func(b *testing.B) {
		if _, err := os.Stat(x.scanner); err != nil {
			b.Skip("no osv-scanner")
		}
		db := filepath.Join(os.Getenv("RAPSHEET_BENCH"), "osv-db")
		theirs := measure(b, 3, func() cost {
			return run(b, []int{0, 1}, x.scanner, "scan", "source", "--offline", "--local-db-path", db, "-L", x.lock)
		})
		if ours.cpu > 0 {
			b.ReportMetric(float64(theirs.cpu)/float64(ours.cpu), "×-our-cpu")
			b.ReportMetric(float64(theirs.rss)/float64(ours.rss), "×-our-memory")
		}
	})
}

// BenchmarkCatalogBuild builds the catalog of 230,000 records as a process.
func BenchmarkCatalogBuild(b *testing.B) {
	x := prepared(b)
	dir := os.Getenv("RAPSHEET_BENCH")
	args := []string{"catalog", "build", "-o", filepath.Join(b.TempDir(), "catalog.idx"), filepath.Join(dir, "generated.jsonl")}
	if real := os.Getenv("RAPSHEET_REAL"); real != "" {
		args = append(args, real)
	}
	c := run(b, []int{0, 3}, x.program, args...)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(c.wall.Seconds(), "s-wall")
	b.ReportMetric(c.cpu.Seconds(), "s-cpu")
	b.ReportMetric(float64(c.rss)/1e6, "MB-peak")
}

// BenchmarkScanSBOM scans generated CycloneDX files as a process.
func BenchmarkScanSBOM(b *testing.B) {
	x := prepared(b)
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := filepath.Join(os.Getenv("RAPSHEET_BENCH"), fmt.Sprintf("app-%d.cdx.json", n))
			c := run(b, []int{0, 1}, x.program, "scan", "--catalog", x.catalog, path)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(c.wall.Seconds(), "s-wall")
			b.ReportMetric(c.cpu.Seconds(), "s-cpu")
			b.ReportMetric(float64(c.rss)/1e6, "MB-peak")
		})
	}
}
