//go:build unix && !linux

package cli

import "golang.org/x/sys/unix"

// lowPriority gives this process the lowest priority.
func lowPriority() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 19) }
