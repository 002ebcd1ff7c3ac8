package source

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// tree reads the *.json files below dir. Everything is opened through an
// os.Root, so that a directory swapped for a link while the walk runs leads
// nowhere outside.
func (e *emitter) tree(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Unnamed(err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == "." {
				return Unnamed(err)
			}
			return e.reject(name, Unnamed(err))
		}
		if err := e.entry(); err != nil {
			return err
		}
		switch {
		case d.IsDir():
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			if strings.Count(name, "/") >= e.lim.Depth {
				if err := e.reject(name, errors.New("directory is nested too deep")); err != nil {
					return err
				}
				return fs.SkipDir
			}
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			// A link to a file that is no record is nothing unread; one to a
			// directory, or to anywhere outside, may hide records.
			info, err := root.Stat(name)
			if !isJSON(name) && err == nil && !info.IsDir() {
				return nil
			}
			return e.reject(name, errors.New("symbolic link, not followed"))
		case !isJSON(name):
			return nil
		case !d.Type().IsRegular():
			return e.reject(name, errors.New("not a regular file"))
		}
		data, err := e.readFile(root, name)
		if err != nil {
			return e.reject(name, Unnamed(err))
		}
		return e.document(name, data)
	})
}

func (e *emitter) readFile(root *os.Root, name string) ([]byte, error) {
	f, err := OpenRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > e.lim.Entry {
		return nil, e.tooLong()
	}
	return bounded.ReadAll(f, e.lim.Entry, "document")
}

// OpenRegular opens a regular file for reading, and nothing else: should it be a pipe, or have
// become one since it was listed, opening does not wait for a writer (O_NONBLOCK).
func OpenRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
