//go:build !unix

package inventory

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// top is the root of a walk. Without openat(2) every step goes through [os.Root],
// which refuses links out of the tree; links inside it are told by comparing what
// lies there with what was opened.
type top struct {
	f     *os.File
	root  *os.Root
	enter Filesystems
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
	return &top{f: f, root: root}, nil
}

func (t *top) close() {
	t.f.Close()
	t.root.Close()
}

func (t *top) open(_ fs.File, dir, name string, directory bool) (fs.File, error) {
	rel := join(dir, name)
	before, err := t.root.Lstat(rel)
	if err != nil {
		return nil, err
	}
	if directory != before.IsDir() || !directory && !before.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: rel, Err: errors.New("changed while it was read")}
	}
	f, err := t.root.Open(rel)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err != nil || !os.SameFile(before, after) {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: rel, Err: errors.New("changed while it was read")}
	}
	return f, nil
}

// changed implements tree.
func (t *top) changed(_ fs.File, dir, name string) (time.Time, bool) {
	info, err := t.root.Lstat(join(dir, name))
	if err != nil || !info.Mode().IsRegular() {
		return time.Time{}, false
	}
	return lastChange(info), true
}

// foreign is always "": these systems do not number devices, and what is mounted in a directory is a
// kind of link, which is not followed.
func (t *top) foreign(fs.File, fs.FileInfo) string { return "" }

// statusTime is the time of the last modification: no other is kept.
func statusTime(info fs.FileInfo) time.Time { return info.ModTime() }

const nonblock = 0
