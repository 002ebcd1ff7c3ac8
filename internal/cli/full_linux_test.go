package cli_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/publish"
)

// bad-inputs.md 103: the disk that has the store and the releases is full, in an import and in a publish. Both say so,
// what was before stays, and with room again the same commands do their work.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a disk nine times; package publish does it once")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("cannot mount a small tmpfs here: %v", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	filler := filepath.Join(disk, "filler")
	// fill leaves so many bytes of the disk.
	fill := func(left int64) {
		t.Helper()
		var st syscall.Statfs_t
		if err := syscall.Statfs(disk, &st); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filler, bytes.Repeat([]byte{1}, int(int64(st.Bavail)*st.Bsize-left)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	room := func() {
		t.Helper()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	s := newShell(t)
	s.home = filepath.Join(disk, "home")
	out := filepath.Join(disk, "out")
	list := func(name string, packages int) string {
		var csv strings.Builder
		csv.WriteString("ecosystem,name,version\n")
		for i := range packages {
			fmt.Fprintf(&csv, "npm,%s-%d,1.0.%d\n", name, i, i)
		}
		return writeFile(t, name+".csv", []byte(csv.String()))
	}
	first, second := list("first", 50), list("second", 1000)
	s.must("catalog", "import", first, "--yes")
	s.must("catalog", "publish", "-o", out)
	released, _, err := publish.Current(out)
	if err != nil {
		t.Fatal(err)
	}
	before := s.records()
	fails := func(args ...string) {
		t.Helper()
		status, stdout, stderr := s.run(args...)
		if status != rapsheet.ExitInternal || !strings.Contains(stderr, "full") && !strings.Contains(stderr, "no space left") || !strings.Contains(stderr, "\nhint: ") {
			t.Errorf("%v: status %d: %s%s", args, status, stdout, stderr)
		}
		if path, _, err := publish.Current(out); err != nil || path != released {
			t.Errorf("the current release is %s, %v", path, err)
		}
		if err := publish.Verify(t.Context(), released); err != nil {
			t.Errorf("the old release is not whole: %v", err)
		}
	}
	for _, left := range []int64{0, 64 << 10, 512 << 10} {
		fill(left)
		fails("catalog", "import", second, "--yes")
		room()
		if !maps.Equal(before, s.records()) {
			t.Fatalf("%d bytes left: the store is not as it was", left)
		}
	}
	s.must("catalog", "import", second, "--yes")
	for _, left := range []int64{0, 64 << 10, 512 << 10} {
		fill(left)
		fails("catalog", "publish", "-o", out)
		room()
	}
	if got := s.must("catalog", "publish", "-o", out); !strings.Contains(got, "1050 records") {
		t.Errorf("with room again: %s", got)
	}
}
