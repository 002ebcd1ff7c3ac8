package cli_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rapsheet/rapsheet"
)

// asNobody gives up root's powers for the rest of a test, on all threads. Tests that use it are not parallel.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	if err := syscall.Setreuid(-1, nobody); err != nil {
		t.Skipf("cannot be anybody but root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	})
}

// Sources that cannot be read: the error names what and why, and the store stays as it was.
func TestUnreadableSources(t *testing.T) {
	s := newShell(t)
	for path, mode := range map[string]os.FileMode{s.home: 0o777, filepath.Dir(s.home): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	list := writeFile(t, "list.csv", []byte("ecosystem,name,version\nnpm,evil,1.0.0\n"))
	feed := writeFile(t, "feed.zip", zipOf(t, goodBefore, goodAfter))
	advisories := `[{"ghsa_id":"GHSA-aaaa-bbbb-0001","type":"malware","vulnerabilities":[{"package":{"ecosystem":"npm","name":"evil"},"vulnerable_version_range":">= 0"}]}]`
	answers := writeFile(t, "answers.json", []byte(advisories[:len(advisories)/2]))
	closed, deep := writeTree(t, goodBefore, goodAfter), writeTree(t, goodBefore, goodAfter)
	for path, mode := range map[string]os.FileMode{list: 0, feed: 0, closed: 0, filepath.Join(deep, "osv", "malicious", "npm", "zzz-good"): 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o755) })
	}
	earlier := writeTree(t, placed("before", "MAL-2025-1", osvOf("MAL-2025-1", "before", "")))
	asNobody(t)
	s.must("catalog", "import", earlier, "--name", "before", "--yes")
	before := s.records()
	for _, tt := range []struct{ name, path, says string }{
		{"a list", list, "permission denied"},
		{"a zip", feed, "permission denied"},
		{"a directory", closed, "permission denied"},
		{"a link that leads nowhere", filepath.Join(earlier, "absent"), "no such file"},
		{"half of GitHub's answers", answers, "answers.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			status, stdout, stderr := s.run("catalog", "import", tt.path, "--yes")
			if status != rapsheet.ExitIncomplete && status != rapsheet.ExitCatalog || !strings.Contains(stderr, tt.says) || !strings.Contains(stderr, filepath.Base(tt.path)) || !strings.Contains(stderr, "\nhint: ") {
				t.Errorf("status %d: %s%s", status, stdout, stderr)
			}
			if !maps.Equal(before, s.records()) {
				t.Error("records changed")
			}
		})
	}
	t.Run("a directory in a tree", func(t *testing.T) {
		s.t = t
		// What cannot be read may be what is missing: the rest is taken, and it is said.
		status, stdout, stderr := s.run("catalog", "import", deep, "--name", "deep", "--yes")
		if status != rapsheet.ExitIncomplete || !strings.Contains(stdout, "zzz-good: ") || !strings.Contains(stdout, "kept aside: 1") {
			t.Errorf("status %d: %s%s", status, stdout, stderr)
		}
	})
	s.t = t
}

// A dump of which one ecosystem is broken is not taken in part.
func TestBrokenDump(t *testing.T) {
	dump := func(t *testing.T, names ...string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ecosystems.txt"), []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			id := fmt.Sprintf("MAL-2026-%d", i+1)
			doc := strings.Replace(osvOf(id, "evil", ""), `"npm"`, `"`+name+`"`, 1)
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			f, err := w.Create(id + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte(doc)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			for file, data := range map[string]string{"all.zip": b.String(), "modified_id.csv": "2026-01-02T00:00:00Z," + id + "\n", id + ".json": doc} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name, file), []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		return dir
	}
	html := []byte("<!DOCTYPE html><html><body>Sign in</body></html>")
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
	}{
		{"half a zip", func(dir string) error { return os.Truncate(filepath.Join(dir, "PyPI", "all.zip"), 100) }},
		{"HTML in place of a zip", func(dir string) error { return os.WriteFile(filepath.Join(dir, "PyPI", "all.zip"), html, 0o644) }},
		{"HTML in place of the list", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "PyPI", "modified_id.csv"), html, 0o644)
		}},
		{"no ecosystem", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "PyPI")) }},
		{"HTML in place of the ecosystems", func(dir string) error { return os.WriteFile(filepath.Join(dir, "ecosystems.txt"), html, 0o644) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShell(t)
			dir := dump(t, "npm", "PyPI")
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			status, stdout, stderr := s.run("catalog", "import", dir, "--name", "dump", "--yes")
			if status != rapsheet.ExitIncomplete && status != rapsheet.ExitCatalog || strings.Count(stderr, "rapsheet: ") != 1 || !strings.Contains(stderr, "\nhint: ") {
				t.Errorf("status %d: %s%s", status, stdout, stderr)
			}
			if len(s.records()) != 0 {
				t.Error("a part of it was taken")
			}
		})
	}
	s := newShell(t)
	s.must("catalog", "import", dump(t, "npm", "PyPI"), "--name", "dump", "--yes")
	if got := len(s.records()); got != 2 {
		t.Errorf("a dump that is whole gives %d records", got)
	}
}
