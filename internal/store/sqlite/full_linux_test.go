package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// bad-inputs.md 103: disk full at each write.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("cannot mount a small tmpfs here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	// Room to give back later.
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	fullDisk(t, open(t, filepath.Join(dir, "x.db")), func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}, "full")
}
