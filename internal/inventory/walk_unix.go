//go:build unix

package inventory

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// top is the root of a walk. On Unix every step down is one openat(2) from the
// open parent that refuses symbolic links, so no race can lead out of the tree;
// the [os.Root] is for what readers look up beside their files.
type top struct {
	f     *os.File
	root  *os.Root
	dev   uint64
	enter Filesystems
	// seen are the devices that were asked about before; used by the goroutine that walks.
	seen map[uint64]string
}

func openTop(name string) (*top, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	t := &top{f: f, root: root}
	info, err := f.Stat()
	if err != nil {
		t.close()
		return nil, err
	}
	t.dev, _ = device(info)
	return t, nil
}

func (t *top) close() {
	t.f.Close()
	t.root.Close()
}

// open opens name, one entry of parent. O_NONBLOCK keeps a pipe that was put in
// a file's place from holding up the walk; callers look at what they got.
func (t *top) open(parent fs.File, dir, name string, directory bool) (fs.File, error) {
	flags := unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	if directory {
		flags |= unix.O_DIRECTORY
	}
	above := parent.(*os.File)
	fd := -1
	err := control(above, func(at int) (err error) {
		fd, err = unix.Openat(at, name, flags, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: join(dir, name), Err: err}
	}
	return os.NewFile(uintptr(fd), above.Name()+"/"+name), nil
}

// changed implements tree: one fstatat(2) from the open parent, which follows no symbolic link. A file system
// that was not met as a directory is left to foreign, which has to open the file.
func (t *top) changed(parent fs.File, _, name string) (time.Time, bool) {
	var st unix.Stat_t
	err := control(parent.(*os.File), func(at int) error { return unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return time.Time{}, false
	}
	dev := uint64(st.Dev) // the type of Dev differs between systems
	if reason, known := t.seen[dev]; dev != t.dev && (!known || reason != "") {
		return time.Time{}, false
	}
	modified, status := time.Unix(st.Mtim.Unix()), time.Unix(st.Ctim.Unix())
	if status.After(modified) {
		return status, true
	}
	return modified, true
}

// control calls f with a directory's descriptor until no signal interrupts it.
func control(dir *os.File, f func(at int) error) error {
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	err = conn.Control(func(fd uintptr) {
		for ferr = unix.EINTR; ferr == unix.EINTR; {
			ferr = f(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return ferr
}

// foreign implements tree.
func (t *top) foreign(f fs.File, info fs.FileInfo) string {
	dev, ok := device(info)
	if !ok || dev == t.dev {
		return ""
	}
	if t.enter == OneFilesystem {
		return "this one only was asked for"
	}
	name, known := t.seen[dev]
	if !known {
		var class fsClass
		name, class = filesystem(f.(*os.File))
		if class == fsLocal || class != fsSpecial && t.enter == AllFilesystems {
			name = ""
		}
		if t.seen == nil {
			t.seen = map[uint64]string{}
		}
		t.seen[dev] = name
	}
	return name
}

func device(info fs.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Dev), true // the type of Dev differs between systems
}

// nonblock is added to the flags of every open below the root.
const nonblock = unix.O_NONBLOCK
