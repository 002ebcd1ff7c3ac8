//go:build unix

package inventory_test

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func makePipe(name string) error { return unix.Mkfifo(name, 0o644) }

// makeDeep makes n directories, each inside the last, from parent on.
func makeDeep(parent string, n int) error {
	fd, err := unix.Open(parent, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	for range n {
		if err != nil {
			return err
		}
		if err = unix.Mkdirat(fd, "d", 0o755); err != nil {
			unix.Close(fd)
			return err
		}
		up := fd
		fd, err = unix.Openat(up, "d", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		unix.Close(up)
	}
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// withoutRoot gives up root's powers for the rest of a test, on all threads. Tests
// that use it are not parallel.
func withoutRoot(t *testing.T) {
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
