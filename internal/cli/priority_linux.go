package cli

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lowPriority gives this process the lowest priority for processor and disk. On Linux both belong to threads
// (sched(7), ioprio_set(2)); those that come later inherit them.
func lowPriority() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	const (
		lowest      = 19
		whoProcess  = 1       // IOPRIO_WHO_PROCESS
		idleIOClass = 3 << 13 // IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)
	)
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, lowest); err != nil && err != unix.ESRCH {
			return err
		}
		if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(id), idleIOClass); errno != 0 && errno != unix.ESRCH && errno != unix.ENOSYS {
			return errno
		}
	}
	return nil
}
