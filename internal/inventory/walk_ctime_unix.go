//go:build unix && !linux && !darwin && !freebsd && !netbsd

package inventory

import (
	"io/fs"
	"syscall"
	"time"
)

// statusTime is when the file's status changed last: its content, name, owner or mode.
func statusTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
