package publish

import (
	"errors"
	"syscall"
	"testing"
)

// bad-inputs.md 103: the disk is full; the old release stays, and nothing half-written.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("cannot mount a small tmpfs here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	list := served(t, 400)
	first := mustPublish(t, dir, release(1, list), Options{})
	var more []Record
	more = append(more, list...)
	for _, r := range served(t, 8000)[400:] {
		if r.ID > list[len(list)-1].ID {
			more = append(more, r)
		}
	}
	if _, err := Publish(t.Context(), dir, release(2, more), Options{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error is %v", err)
	}
	if path, _, err := Current(dir); err != nil || path != first.Path {
		t.Fatalf("current is %s, %v", path, err)
	}
	if err := Verify(t.Context(), first.Path); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, dir, release(2, list), Options{})
}
