package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// bad-inputs.md 103: disk full at each write.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("cannot mount a small tmpfs here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	keepsTarget(t, dir, syscall.ENOSPC)
	// There is room again: nothing was left behind.
	if err := Write(filepath.Join(dir, "f"), 0o644, put("new")); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "f", "new")
}

func TestFileSizeLimit(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 64 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		t.Skipf("cannot lower the file size limit: %v", err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	keepsTarget(t, t.TempDir(), syscall.EFBIG)
}

func keepsTarget(t *testing.T, dir string, want error) {
	t.Helper()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Once in the middle of filling, once only when the buffer is flushed or synced.
	for _, size := range []int{1 << 20, 300 << 10} {
		err := Write(path, 0o644, func(w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte("x"), size))
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: error is %v, want %v", size, err, want)
		}
		onlyFile(t, dir, "f", "old")
	}
	// fill hides the error of its writer: the file must not come out short.
	err := Write(path, 0o644, func(w io.Writer) error {
		for range 1 << 10 {
			_, _ = w.Write(make([]byte, 1<<10))
		}
		return nil
	})
	if !errors.Is(err, want) {
		t.Errorf("hidden error: error is %v, want %v", err, want)
	}
	onlyFile(t, dir, "f", "old")
}
