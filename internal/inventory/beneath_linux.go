package inventory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openBeneath opens what name leads to inside the tree, in one call where the kernel knows openat2(2) (Linux 5.6):
// it refuses what leads out, as [os.Root] does with a call for each element of the path.
func (t *top) openBeneath(name string, flags int) (*os.File, error) {
	f, err := t.openat2(name, flags)
	if errors.Is(err, errors.ErrUnsupported) {
		return t.root.OpenFile(filepath.FromSlash(name), flags, 0)
	}
	return f, err
}

// openat2 is openBeneath where the kernel has the call; [errors.ErrUnsupported] says that it has not.
func (t *top) openat2(name string, flags int) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range 8 { // EAGAIN is a rename somewhere meanwhile
		fd, err := unix.Openat2(int(t.f.Fd()), name, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), name), nil
		case unix.EINTR, unix.EAGAIN:
			continue
		case unix.ENOSYS, unix.EPERM: // an old kernel, or a sandbox that does not know the call
			return nil, errors.ErrUnsupported
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return nil, errors.ErrUnsupported
}

// statBeneath describes what name leads to inside the tree.
func (t *top) statBeneath(name string) (fs.FileInfo, error) {
	f, err := t.openat2(name, unix.O_PATH)
	if errors.Is(err, errors.ErrUnsupported) {
		return t.root.Stat(filepath.FromSlash(name))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}
