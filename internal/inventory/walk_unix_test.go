//go:build unix

package inventory

import "golang.org/x/sys/unix"

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
