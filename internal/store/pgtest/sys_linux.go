package pgtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// asServer makes cmd run as a user that PostgreSQL accepts and end when the test
// process does, however that ends: SIGQUIT is the server's immediate shutdown.
func asServer(cmd *exec.Cmd) error {
	if err := unprivileged(cmd); err != nil {
		return err
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	return nil
}

// children gives the processes that pid started. The kernel's list of them
// (/proc/PID/task/TID/children, proc(5)) is not in every kernel, so it reads the
// parents of all processes.
func children(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var kids []int
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name is in parentheses and may contain any others; state and parent follow it.
		_, rest := cutLast(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if kid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			kids = append(kids, kid)
		}
	}
	return kids
}

func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+len(sep):]
}
