package inventory

import (
	"os"

	"golang.org/x/sys/unix"
)

// filesystem names the file system that f is on (statfs(2) of macOS).
func filesystem(f *os.File) (string, fsClass) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return "of a kind that the system does not tell", fsNetwork
	}
	name := unix.ByteSliceToString(st.Fstypename[:])
	switch name {
	case "devfs", "autofs", "nullfs", "lifs":
		return name, fsSpecial
	}
	if st.Flags&unix.MNT_LOCAL != 0 {
		return name, fsLocal
	}
	return name, fsNetwork
}
