//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package publish

import (
	"os"
	"path"
)

// folder is one directory for hundreds of thousands of small files. Names given to it have
// been checked to be local and slash-separated. It is safe for concurrent use.
type folder struct {
	parent *os.Root // in which dir is
	dir    string
	root   *os.Root
	f      *os.File // the directory itself, once it is listed
}

func openFolder(root *os.Root, name string) (*folder, error) {
	sub, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &folder{parent: root, dir: name, root: sub}, nil
}

func (d *folder) close() error {
	if d.f != nil {
		d.f.Close()
	}
	return d.root.Close()
}

// sub opens a directory in this one, by one element of a path.
func (d *folder) sub(name string) (*folder, error) {
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &folder{parent: d.parent, dir: path.Join(d.dir, name), root: root}, nil
}

// list gives the next n entries of the directory, in any order, and io.EOF at its end; all of them when n is -1.
func (d *folder) list(n int) ([]os.DirEntry, error) {
	if d.f == nil {
		f, err := d.root.Open(".")
		if err != nil {
			return nil, err
		}
		d.f = f
	}
	return d.f.ReadDir(n)
}

// mkdirAll makes a directory and those above it, unless they are there.
func (d *folder) mkdirAll(name string) error { return d.root.MkdirAll(name, 0o755) }

// link gives the file of this name in from the same name here.
func (d *folder) link(from *folder, name string) error {
	return d.parent.Link(path.Join(from.dir, name), path.Join(d.dir, name))
}

// create makes a file that must not be there yet.
func (d *folder) create(name string, data []byte) error { return writeFile(d.root, name, data) }

// read appends the content of a file of at most maxDocument bytes to buf.
func (d *folder) read(name string, buf []byte) ([]byte, error) { return readSmall(d.root, name, buf) }
