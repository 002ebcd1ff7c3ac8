package rapsheet_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that docs/coverage.md names is there.
func TestCoverageNamesTests(t *testing.T) {
	doc, err := os.ReadFile("docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z]+)\\.(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(doc), -1)
	if len(named) < 50 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, m := range named {
		dir := "internal/inventory/" + m[1]
		if m[1] == "registry" {
			dir = "internal/registry"
		}
		files, _ := filepath.Glob(dir + "/*_test.go")
		found := false
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(b), "func "+m[2]+"(t *testing.T)")
		}
		if !found {
			t.Errorf("%s.%s is named and is not there", m[1], m[2])
		}
	}
}
