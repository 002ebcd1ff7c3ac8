//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package publish

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// folder is one directory, held open, for hundreds of thousands of small files: os.Root and
// os.File would make several system calls more for each. Names given to it have been
// checked to be local and slash-separated; a symbolic link in the place of the last element is not
// followed, and those before it are directories that the publisher made. It is safe for
// concurrent use.
type folder struct {
	f  *os.File
	fd int
}

func openFolder(root *os.Root, name string) (*folder, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	return &folder{f, int(f.Fd())}, nil
}

func (d *folder) close() error { return d.f.Close() }

// sub opens a directory in this one, by one element of a path.
func (d *folder) sub(name string) (*folder, error) {
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &folder{os.NewFile(uintptr(fd), filepath.Join(d.f.Name(), name)), fd}, nil
}

// list gives the next n entries of the directory, in any order, and io.EOF at its end; all of them when n is -1.
func (d *folder) list(n int) ([]os.DirEntry, error) { return d.f.ReadDir(n) }

// mkdirAll makes a directory and those above it, unless they are there.
func (d *folder) mkdirAll(name string) error {
	err := unix.Mkdirat(d.fd, name, 0o755)
	if parent := path.Dir(name); err == unix.ENOENT && parent != "." {
		if err := d.mkdirAll(parent); err != nil {
			return err
		}
		err = unix.Mkdirat(d.fd, name, 0o755)
	}
	if err != nil && err != unix.EEXIST {
		return &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

// link gives the file of this name in from the same name here.
func (d *folder) link(from *folder, name string) error {
	if err := unix.Linkat(from.fd, name, d.fd, name, 0); err != nil {
		return &os.PathError{Op: "link", Path: name, Err: err}
	}
	return nil
}

// create makes a file that must not be there yet.
func (d *folder) create(name string, data []byte) error {
	fd, err := openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return &os.PathError{Op: "create", Path: name, Err: err}
	}
	for err == nil && len(data) > 0 {
		var n int
		if n, err = unix.Write(fd, data); err == unix.EINTR {
			n, err = 0, nil
		}
		data = data[max(n, 0):]
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// read appends the content of a file of at most maxDocument bytes to buf.
func (d *folder) read(name string, buf []byte) ([]byte, error) {
	// Without blocking: a pipe would wait for its other end.
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return buf, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	buf, err = appendAll(buf, func(p []byte) (int, error) {
		for {
			switch n, err := unix.Read(fd, p); {
			case err == unix.EINTR:
			case err != nil:
				return 0, err
			case n < len(p):
				// A file gives all that it has; were it not so, its digest would be another.
				return n, io.EOF
			default:
				return n, nil
			}
		}
	})
	if err != nil {
		return buf, &os.PathError{Op: "read", Path: name, Err: err}
	}
	return buf, nil
}

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
