package inventory_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// opened tells which files in directories were opened, by their base names, since it was asked last (inotify(7)).
func opened(t *testing.T, dirs ...string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN); err != nil {
			t.Skip(err)
		}
	}
	return func() (names []string) {
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buf)
			if errors.Is(err, unix.EAGAIN) {
				slices.Sort(names)
				return names
			}
			if err != nil {
				t.Fatal(err)
			}
			for b := buf[:n]; len(b) > 0; {
				mask, size := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
				if name := strings.TrimRight(string(b[16:16+size]), "\x00"); name != "" && mask&unix.IN_ISDIR == 0 {
					names = append(names, name)
				}
				b = b[16+size:]
			}
		}
	}
}

// A file that has not changed is not opened to learn that.
func TestSinceOpensNothingOld(t *testing.T) {
	root := makeTree(t, map[string]string{"package-lock.json": lockOf("a@1.0.0"), "npm-shrinkwrap.json": lockOf("b@1.0.0"), "sub/package-lock.json": lockOf("c@1.0.0")})
	time.Sleep(50 * time.Millisecond)
	since := time.Now()
	time.Sleep(50 * time.Millisecond)
	if err := os.Chmod(filepath.Join(root, "sub", "package-lock.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := opened(t, root, filepath.Join(root, "sub"))
	opt := options()
	for _, tt := range []struct {
		since        time.Time
		opens, finds []string
	}{
		{since, []string{"package-lock.json"}, []string{"sub/package-lock.json c@1.0.0", "info .: 2 files not read again, unchanged since " + since.UTC().Format(time.RFC3339)}},
		{time.Now().Add(time.Hour), nil, []string{"info .: 3 files not read again, unchanged since "}},
		{time.Time{}, []string{"npm-shrinkwrap.json", "package-lock.json", "package-lock.json"}, []string{"npm-shrinkwrap.json b@1.0.0", "package-lock.json a@1.0.0", "sub/package-lock.json c@1.0.0"}},
	} {
		opt.Since = tt.since
		if n := len(tt.finds) - 1; strings.HasSuffix(tt.finds[n], "since ") {
			tt.finds[n] += tt.since.UTC().Format(time.RFC3339)
		}
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, opt)), tt.finds...)
		if got := files(); !slices.Equal(got, tt.opens) {
			t.Errorf("since %v opened %q, want %q", tt.since, got, tt.opens)
		}
	}
}

// What takes a file's place is not believed: a link is not followed to the times of what it leads to, and a directory
// that became a link does not lead out of the tree.
func TestSinceHostile(t *testing.T) {
	root := makeTree(t, map[string]string{"a/package-lock.json": lockOf("a@1.0.0"), "b/package-lock.json": lockOf("b@1.0.0")})
	top, err := inventory.OpenTop(root)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	dir, err := top.Open("a", true)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := os.Symlink("package-lock.json", filepath.Join(root, "a", "link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, "a", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"package-lock.json": true, "link": false, "pipe": false, ".": false, "none": false} {
		if at, ok := top.Changed(dir, "a", name); ok != want || ok && time.Since(at) > time.Hour {
			t.Errorf("%s: %v, %t", name, at, ok)
		}
	}
	// The open directory is asked, whatever stands at its path by now.
	old := makeTree(t, map[string]string{"package-lock.json": ""})
	long := time.Now().Add(-1000 * time.Hour)
	if err := os.Chtimes(filepath.Join(old, "package-lock.json"), long, long); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(root, "a", "package-lock.json"), later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "a"), filepath.Join(root, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(old, filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	if at, ok := top.Changed(dir, "a", "package-lock.json"); !ok || at.Before(later.Add(-time.Second)) {
		t.Errorf("the file behind the link was asked: %v, %t", at, ok)
	}
}
