package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes everything below dir durable: one call for the whole file system
// instead of one for each of hundreds of thousands of files.
func SyncTree(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
