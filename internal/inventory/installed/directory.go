package installed

import (
	"io/fs"
	"slices"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxDirectory bounds the entries of a directory that are looked at.
const maxDirectory = 200_000

// subdirectories gives the names of the directories in a directory of the tree, sorted.
func subdirectories(in *inventory.File, dir string) []string {
	f, err := in.FS.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil
	}
	list, err := d.ReadDir(maxDirectory)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range list {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}
