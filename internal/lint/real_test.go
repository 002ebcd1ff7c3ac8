package lint_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/internal/lint"
)

// realFiles reads the real tree of 2025-03-31 that stands beside the repository
// (github.com/khulnasoft-lab/malicious-packages, a fork whose tree passed upstream's
// validator of that day).
func realFiles(t testing.TB) []lint.File {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	f, err := os.Open(filepath.Join(root, "..", "shared", "data", "osv", "malicious-packages-2025-03-31.tar.zst"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("needs ../shared/data, which is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	var out []lint.File
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lint.File{Path: h.Name, Data: data})
	}
}

func stream(files []lint.File) iter.Seq2[lint.File, error] {
	return func(yield func(lint.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// The tree passed upstream's validator, so no rule of upstream's may call anything
// in it an error. Of the schema's, only one may: new reports have no id yet.
func TestRealTree(t *testing.T) {
	files := realFiles(t)
	if testing.Short() {
		var some []lint.File
		for i := 0; i < len(files); i += 20 {
			some = append(some, files[i])
		}
		files = some
	}
	for _, rules := range []lint.Rules{lint.OSV, lint.Upstream, lint.Served} {
		t.Run(rules.String(), func(t *testing.T) {
			counts := map[string]int{}
			samples := map[string][]string{}
			for p, err := range lint.Tree(context.Background(), stream(files), rules) {
				if err != nil {
					t.Fatal(err)
				}
				draft := strings.Contains(p.Path, "/MAL-0000-") && p.Rule == "required" && p.Pointer == "/id"
				if p.Severity == lint.Error && (rules == lint.Upstream || rules == lint.OSV && !draft) {
					t.Error(p)
				}
				k := string(p.Severity) + " " + p.Rule
				counts[k]++
				if len(samples[k]) < 3 {
					samples[k] = append(samples[k], p.String())
				}
			}
			var lines []string
			for k, n := range counts {
				lines = append(lines, fmt.Sprintf("%6d %s\n         %s", n, k, strings.Join(samples[k], "\n         ")))
			}
			slices.Sort(lines)
			t.Logf("%d documents\n%s", len(files), strings.Join(lines, "\n"))
		})
	}
}

func BenchmarkTree(b *testing.B) {
	files := realFiles(b)
	problems := 0
	for b.Loop() {
		for range lint.Tree(context.Background(), stream(files), lint.Upstream) {
			problems++
		}
	}
	b.ReportMetric(float64(problems)/float64(b.N), "problems/op")
	b.ReportMetric(float64(len(files)*b.N)/b.Elapsed().Seconds(), "documents/s")
}
