package inventory_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// mount mounts a file system for the rest of the test.
func mount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Skipf("cannot mount %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestFilesystems(t *testing.T) {
	root := makeTree(t, map[string]string{"a/package-lock.json": lockOf("a@1.0.0"), "z/package-lock.json": lockOf("z@1.0.0")})
	mount(t, "tmpfs", filepath.Join(root, "memory"), "tmpfs", 0)
	mount(t, "proc", filepath.Join(root, "proc"), "proc", 0)
	if err := os.WriteFile(filepath.Join(root, "memory", "package-lock.json"), []byte(lockOf("m@1.0.0")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		fs   inventory.Filesystems
		want []string
	}{
		{"one", inventory.OneFilesystem, []string{
			"a/package-lock.json a@1.0.0",
			"info memory: another file system is mounted here (this one only was asked for): not entered",
			"info proc: another file system is mounted here (this one only was asked for): not entered",
			"z/package-lock.json z@1.0.0", "info .: 2 directories on another file system not entered",
		}},
		{"local ones", inventory.LocalFilesystems, []string{
			"a/package-lock.json a@1.0.0", "memory/package-lock.json m@1.0.0",
			"info proc: another file system is mounted here (proc): not entered",
			"z/package-lock.json z@1.0.0", "info .: 1 directories on another file system not entered",
		}},
		{"D74 all, and never the kernel's", inventory.AllFilesystems, []string{
			"a/package-lock.json a@1.0.0", "memory/package-lock.json m@1.0.0",
			"info proc: another file system is mounted here (proc): not entered",
			"z/package-lock.json z@1.0.0", "info .: 1 directories on another file system not entered",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opt := options()
			opt.Filesystems = tt.fs
			expect(t, collect(t, root, inventory.Walk(t.Context(), root, opt)), tt.want...)
		})
	}
}
