//go:build unix

package inventory

import (
	"io/fs"
	"os"
	"syscall"

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
	conn, err := above.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var oerr error
	err = conn.Control(func(p uintptr) {
		for {
			fd, oerr = unix.Openat(int(p), name, flags, 0)
			if oerr != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if oerr != nil {
		return nil, &fs.PathError{Op: "open", Path: join(dir, name), Err: oerr}
	}
	return os.NewFile(uintptr(fd), above.Name()+"/"+name), nil
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
