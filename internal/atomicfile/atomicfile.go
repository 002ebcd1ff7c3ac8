// Package atomicfile writes files that are either wholly there or not there at
// all: the content goes to a temporary file beside the target, is synced, takes
// the target's name, and the directory is synced.
//
// Promise: when [Write] or [File.Commit] returns nil, the content survives a
// crash of the machine; when they fail before the rename, an existing target is
// byte for byte what it was and the temporary file is gone. A process that is
// killed leaves at most a temporary file ([IsTemp]), never half a target.
package atomicfile

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	tempSuffix = ".tmp"
	// maxPrefix keeps temporary names below the 255 bytes that file systems allow.
	maxPrefix  = 180
	bufferSize = 64 << 10
)

// IsTemp reports whether name, without directory, looks like a temporary file of
// a target called base. Whoever holds a directory's lock may remove those.
func IsTemp(name, base string) bool {
	return strings.HasPrefix(name, tempPrefix(base)) && strings.HasSuffix(name, tempSuffix)
}

func tempPrefix(base string) string {
	if len(base) > maxPrefix {
		base = base[:maxPrefix]
	}
	return "." + base + "."
}

// Write makes path hold exactly what fill writes. The file is created with perm
// (before umask). fill's writer is buffered; fill need not flush it. An error of
// fill is returned wrapped, and path stays as it was. If path is a symbolic
// link, the link is replaced, not what it points to.
func Write(path string, perm os.FileMode, fill func(io.Writer) error) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	defer f.Abort()
	w := bufio.NewWriterSize(f, bufferSize)
	if err := fill(w); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Commit()
}

// File is an output in the making, for writers that need random access. It is
// not safe for concurrent use, except ReadAt and WriteAt. End it with Commit or
// Abort; "defer f.Abort()" beside a Commit is the usual shape.
type File struct {
	f    *os.File // nil once committed or aborted
	path string
}

// Create starts a new content for path. The directory of path must exist.
func Create(path string, perm os.FileMode) (*File, error) {
	dir, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return nil, fmt.Errorf("create %q: not the name of a file", path)
	}
	temp := filepath.Join(dir, tempPrefix(base)+rand.Text()+tempSuffix)
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, reason(err))
	}
	return &File{f: f, path: path}, nil
}

// Write appends to the new content at the current offset.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	return n, f.wrap("write", err)
}

// WriteAt writes into the new content at an offset in bytes.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	return n, f.wrap("write", err)
}

// ReadAt reads back from the new content; at its end the error is [io.EOF] itself.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	return n, f.wrap("read back", err)
}

// Seek moves the offset of the next Write, as [io.Seeker] says.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	n, err := f.f.Seek(offset, whence)
	return n, f.wrap("seek in", err)
}

// Commit syncs the new content and gives it the name. After an error before the
// rename the old content is in place and the new one is gone; the one later
// error, that the directory could not be synced, says so.
func (f *File) Commit() error {
	if f.f == nil {
		return fmt.Errorf("write %s: already committed or aborted", f.path)
	}
	defer f.Abort()
	if err := f.f.Sync(); err != nil {
		return f.wrap("sync", err)
	}
	temp := f.f.Name()
	if err := f.f.Close(); err != nil {
		return f.wrap("write", err)
	}
	if err := os.Rename(temp, f.path); err != nil {
		return f.wrap("replace", err)
	}
	f.f = nil
	if err := f.syncName(); err != nil {
		return fmt.Errorf("%s is written, but its directory could not be synced: %w", f.path, reason(err))
	}
	return nil
}

// syncName makes the rename durable.
func (f *File) syncName() error {
	root, err := os.OpenRoot(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer root.Close()
	return SyncDir(root, ".")
}

// Abort drops the new content. After Commit or a first Abort it does nothing.
func (f *File) Abort() {
	if f.f == nil {
		return
	}
	// Neither failure can be helped here: the target is untouched either way.
	_ = f.f.Close()
	_ = os.Remove(f.f.Name())
	f.f = nil
}

func (f *File) wrap(verb string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("%s %s: %w", verb, f.path, reason(err))
}

// reason takes the temporary file's name out of a message: it means nothing to a reader.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}
