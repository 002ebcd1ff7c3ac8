//go:build !linux

package atomicfile

import (
	"io/fs"
	"os"
	"path"
)

// SyncTree makes everything below dir durable, file by file.
func SyncTree(root *os.Root, dir string) error {
	return fs.WalkDir(root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return SyncDir(root, path.Clean(name))
		}
		// Windows syncs only what is open for writing.
		f, err := root.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}
