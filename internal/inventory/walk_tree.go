package inventory

import (
	"errors"
	"io/fs"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// inside reports whether the walk meets what the symbolic link at rel leads to, or there is nothing there.
func (t *top) inside(rel string) bool {
	_, err := t.root.Stat(rel)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// within is a walk's tree inside any [fs.FS]. Links in it lead nowhere else, and it is all one device.
type within struct{ fsys, around fs.FS }

func (t within) open(_ fs.File, dir, name string, directory bool) (fs.File, error) {
	if directory {
		return openDir(t.fsys, join(dir, name))
	}
	return t.fsys.Open(join(dir, name))
}

// changed leaves it to opening, which asks no system.
func (within) changed(fs.File, string, string) (time.Time, bool) { return time.Time{}, false }

func (within) inside(string) bool                  { return true }
func (within) foreign(fs.File, fs.FileInfo) string { return "" }

func (t within) fs(limit int64) fs.FS { return boundedFS{t.around, limit} }

func openDir(fsys fs.FS, name string) (fs.ReadDirFile, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is no directory")}
	}
	return d, nil
}

// boundedFS bounds the files of an [fs.FS].
type boundedFS struct {
	fs.FS
	limit int64
}

// Open implements [fs.FS].
func (b boundedFS) Open(name string) (fs.File, error) {
	f, err := b.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if _, ok := f.(fs.ReadDirFile); ok {
		return f, nil
	}
	return &boundedFile{File: f, r: bounded.Reader(f, b.limit, "file")}, nil
}

// Stat implements [fs.StatFS].
func (b boundedFS) Stat(name string) (fs.FileInfo, error) { return fs.Stat(b.FS, name) }
