//go:build !linux

package inventory

import (
	"io/fs"
	"os"
	"path/filepath"
)

// openBeneath opens what name leads to inside the tree.
func (t *top) openBeneath(name string, flags int) (*os.File, error) {
	return t.root.OpenFile(filepath.FromSlash(name), flags, 0)
}

// statBeneath describes what name leads to inside the tree.
func (t *top) statBeneath(name string) (fs.FileInfo, error) {
	return t.root.Stat(filepath.FromSlash(name))
}
