package cli

import "golang.org/x/sys/windows"

// lowPriority lowers this process's priority for processor and disk (SetPriorityClass,
// PROCESS_MODE_BACKGROUND_BEGIN).
func lowPriority() error {
	return windows.SetPriorityClass(windows.CurrentProcess(), windows.PROCESS_MODE_BACKGROUND_BEGIN)
}
