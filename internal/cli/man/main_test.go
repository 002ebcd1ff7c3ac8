package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Every command has a page with its examples, and the pages are the same each time.
func TestPages(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range []string{
		"rapsheet", "rapsheet-scan", "rapsheet-check", "rapsheet-sbom", "rapsheet-update",
		"rapsheet-catalog-build", "rapsheet-catalog-info", "rapsheet-catalog-show", "rapsheet-catalog-search",
	} {
		b, err := os.ReadFile(filepath.Join(one, page+".1"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(".SH EXAMPLE")) {
			t.Errorf("%s has no examples", page)
		}
		again, err := os.ReadFile(filepath.Join(two, page+".1"))
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s differs from run to run (%v)", page, err)
		}
	}
}
