package osv_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// A file is one of the real records.
type file struct {
	name string
	data []byte
}

const realRecords = "data/osv/malicious-packages-2025-03-31.tar.zst"

// realFiles reads the records of the malicious-packages repository, or skips.
func realFiles(tb testing.TB) []file {
	tb.Helper()
	f, err := os.Open(shared(tb, realRecords))
	if err != nil {
		tb.Skipf("real records are not here: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	var files []file
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		data, err := io.ReadAll(t)
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, file{h.Name, data})
	}
	if len(files) == 0 {
		tb.Fatal("no records in the archive")
	}
	return files
}

// shared gives the path of a file that lies beside the repository.
func shared(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", name)
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}
