package inventory_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

func TestSince(t *testing.T) {
	root := makeTree(t, map[string]string{
		"old/package-lock.json":     lockOf("old@1.0.0"),
		"changed/package-lock.json": lockOf("changed@1.0.0"),
		"dated/package-lock.json":   lockOf("dated@1.0.0"),
	})
	away := makeTree(t, map[string]string{"moved/deep/er/package-lock.json": lockOf("moved@1.0.0")})
	// The clocks of file systems tick every few milliseconds.
	time.Sleep(50 * time.Millisecond)
	since := time.Now()
	time.Sleep(50 * time.Millisecond)
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("changed/package-lock.json", lockOf("changed@2.0.0"))
	write("new-package-lock.json", "")
	// As archives are unpacked: with the times of the files that were packed.
	long := since.Add(-1000 * time.Hour)
	if err := os.Chtimes(filepath.Join(root, "dated", "package-lock.json"), long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(away, "moved"), filepath.Join(root, "moved")); err != nil {
		t.Fatal(err)
	}
	opt := options()
	opt.Since = since
	got := collect(t, root, inventory.Walk(t.Context(), root, opt))
	unread := "files not read again, unchanged since " + since.UTC().Format(time.RFC3339)
	want := []string{"changed/package-lock.json changed@2.0.0", "dated/package-lock.json dated@1.0.0", "moved/deep/er/package-lock.json moved@1.0.0", "info .: 1 " + unread}
	if runtime.GOOS == "windows" { // which keeps no time of the last change of status
		want = []string{"changed/package-lock.json changed@2.0.0", "info .: 3 " + unread}
	}
	expect(t, got, want...)
	opt.Since = since.Add(-time.Hour)
	expect(t, collect(t, root, inventory.Walk(t.Context(), root, opt)),
		"changed/package-lock.json changed@2.0.0", "dated/package-lock.json dated@1.0.0", "moved/deep/er/package-lock.json moved@1.0.0", "old/package-lock.json old@1.0.0")
}

func TestExclude(t *testing.T) {
	root := makeTree(t, map[string]string{"a/package-lock.json": lockOf("a@1.0.0"), "b/c/package-lock.json": lockOf("c@1.0.0"), "b/d/package-lock.json": lockOf("d@1.0.0")})
	opt := options()
	opt.Exclude = []string{filepath.ToSlash(root) + "/b/c"}
	expect(t, collect(t, root, inventory.Walk(t.Context(), root, opt)),
		"a/package-lock.json a@1.0.0", "b/d/package-lock.json d@1.0.0",
		"info .: 1 directories left out that show another directory's content or are no part of the machine's files")
}

// A tree that is no directory is walked alike, by the paths in it.
func TestWalkFS(t *testing.T) {
	fsys := fstest.MapFS{
		"app/package-lock.json":                {Data: []byte(lockOf("a@1.0.0"))},
		"app/node_modules/x/package-lock.json": {Data: []byte(lockOf("published-with@1.0.0"))},
		"link/package-lock.json":               {Data: []byte("/etc/passwd"), Mode: os.ModeSymlink},
		"pipe":                                 {Mode: os.ModeNamedPipe},
	}
	got := collect(t, "image.tar!", inventory.WalkFS(t.Context(), fsys, "image.tar!", options()))
	expect(t, got, "app/package-lock.json a@1.0.0", "info .: 1 symbolic links not followed", "info .: 1 special files (pipes, sockets, devices) not opened")
	opt := options()
	opt.FileSize = 10
	got = collect(t, "i", inventory.WalkFS(t.Context(), fsys, "i", opt))
	if len(got) == 0 || got[0] != "unread app/package-lock.json: jsontext: read error: file is larger than the limit of 10 bytes" {
		t.Errorf("%q", got)
	}
}

// What packages were published with is not what this machine uses.
func TestUnpacked(t *testing.T) {
	files := map[string]string{}
	for _, dir := range []string{"node_modules/a", "venv/lib/python3.11/site-packages/a", "lib/python3/dist-packages/a", "go/pkg/mod/a@v1.0.0", ".cargo/registry/src/index.crates.io-6f17d22bba15001f/a-1.0.0",
		".cache/deno/npm/npm.corp.example/a/1.0.0", "data/npm/registry.npmjs.org/a/1.0.0"} {
		files[dir+"/package-lock.json"] = lockOf("published-with@1.0.0")
	}
	files["src/mod/package-lock.json"] = lockOf("a@1.0.0")
	files["src/npm/package-lock.json"] = lockOf("b@1.0.0")
	root := makeTree(t, files)
	opt := options()
	opt.Kinds = append(opt.Kinds, inventory.Kind{Name: "installed", Installed: true, Match: func(string, string) bool { return false }})
	expect(t, collect(t, root, inventory.Walk(t.Context(), root, opt)), "src/mod/package-lock.json a@1.0.0", "src/npm/package-lock.json b@1.0.0")
}
