package publish

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/osv"
)

// The public list of 2025-03-31 as its keepers wrote it: what of it can be served as it
// is. The rest is what merging has to repair; the bound keeps the rules from growing apart from
// real records unnoticed.
func TestRealRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 29,393 records")
	}
	r, err := shared(t, "data/osv/malicious-packages-2025-03-31.tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	z, err := zstd.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	reasons := map[string]int{}
	all, good := 0, 0
	in := tar.NewReader(z)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		doc, _, err := osv.Parse(b)
		if err != nil || len(doc.Affected) != 1 {
			continue
		}
		all++
		// Upstream leaves the purl out; the catalog writes it.
		doc.Affected[0].Package.PURL = ""
		record(t, doc)
		problems := check(doc)
		if len(problems) == 0 {
			good++
		}
		for _, p := range problems {
			reasons[strings.Join(strings.Fields(p)[:2], " ")]++
		}
	}
	t.Logf("%d of %d records pass; others: %v", good, all, reasons)
	if all < 28_000 || good < all*9/10 {
		t.Errorf("only %d of %d records pass", good, all)
	}
}

// shared opens a file of ../shared, beside the repository.
func shared(t *testing.T, name string) (*os.File, error) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, errors.New("no go.mod above the test")
		}
		dir = parent
	}
	f, err := os.Open(filepath.Join(dir, "..", "shared", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is not beside the repository", filepath.Join("shared", name))
	}
	return f, err
}
