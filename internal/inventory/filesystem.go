package inventory

import "os"

// Filesystem names the file system that a file or directory is on, and reports whether it is on this machine's
// disks or in its memory. Where the system does not tell, it is.
func Filesystem(name string) (kind string, local bool) {
	f, err := os.Open(name)
	if err != nil {
		return "", true // whoever reads it will say why it cannot be
	}
	defer f.Close()
	kind, class := filesystem(f)
	// What the root of a container is on is all there is.
	return kind, class == fsLocal || class == fsUnknown || kind == "overlay"
}

// fsClass is where the files of a file system are.
type fsClass uint8

const (
	fsUnknown fsClass = iota // the system does not tell
	fsNetwork                // on another machine, or maybe so
	fsLocal                  // on this machine's disks or in its memory
	fsSpecial                // nowhere: the kernel shows something as files, or another tree again
)
