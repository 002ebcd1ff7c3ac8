package bucket

import (
	"path/filepath"
	"strings"
	"testing"
)

// What passes as the name of a file or directory is one on every system, and stays below where it is put.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"MAL-2026-1", "openSUSE-SU-2019:0003-1", "..", "npm", "Debian:12", "GitHub Actions", "aux", "com1.x", "a/b", `a\b`, "npm ", ".x", "x.", "all.zip"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		local := func(name string) {
			if !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\:\x00\n\"<>|?*") || len(name) > 255 {
				t.Fatalf("%q", name)
			}
		}
		if CheckID(s) == nil {
			local(s + ".json")
		}
		dir, err := Directory(s)
		if err != nil {
			return
		}
		local(dir)
		if again, err := Directory(dir); err != nil || again != dir || strings.EqualFold(dir, Archive) {
			t.Fatalf("%q of %q: %q, %v", dir, s, again, err)
		}
	})
}
