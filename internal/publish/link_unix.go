//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package publish

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// linker gives files of one directory a second name in another. os.Root would
// open both directories anew for each of hundreds of thousands of files.
type linker struct{ from, to *os.File }

func newLinker(root *os.Root, from, to string) (*linker, error) {
	f, err := root.Open(from)
	if err != nil {
		return nil, err
	}
	t, err := root.Open(to)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &linker{f, t}, nil
}

// link links one file; name has been checked to be an id with ".json", so it has no separator.
func (l *linker) link(name string) error {
	return unix.Linkat(int(l.from.Fd()), name, int(l.to.Fd()), name, 0)
}

func (l *linker) close() error { return errors.Join(l.from.Close(), l.to.Close()) }
