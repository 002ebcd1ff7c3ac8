//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package publish

import (
	"os"
	"path"
)

// linker gives files of one directory a second name in another.
type linker struct {
	root     *os.Root
	from, to string
}

func newLinker(root *os.Root, from, to string) (*linker, error) {
	_, err := root.Stat(from)
	return &linker{root, from, to}, err
}

// link links one file.
func (l *linker) link(name string) error {
	return l.root.Link(path.Join(l.from, name), path.Join(l.to, name))
}

func (l *linker) close() error { return nil }
