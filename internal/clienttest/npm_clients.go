package clienttest

import (
	"os"
	"path/filepath"
	"testing"
)

// Script finds a program of an npm package by its path in that package, "yarn/bin/yarn.js": beside the directories of
// RAPSHEET_TOOLS, where the programs of different packages may have one name, as those of Yarn 1 and Yarn 4 do. One
// that is missing skips the test, or fails it in CI.
func Script(t *testing.T, name string) string {
	t.Helper()
	return fromNPM(t, name, executable)
}

// Module is [Script] for a file that node reads and that need not be executable.
func Module(t *testing.T, name string) string {
	t.Helper()
	return fromNPM(t, name, func(name string) bool {
		st, err := os.Stat(name)
		return err == nil && st.Mode().IsRegular()
	})
}

func fromNPM(t *testing.T, name string, good func(string) bool) string {
	t.Helper()
	long(t)
	for _, dir := range filepath.SplitList(os.Getenv("RAPSHEET_TOOLS")) {
		if at := filepath.Join(dir, "..", filepath.FromSlash(name)); good(at) {
			return at
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: scripts/test installs it", name)
	}
	t.Skipf("%s is not here", name)
	return ""
}
