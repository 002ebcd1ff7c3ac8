//go:build unix && !linux

package pgtest

import "os/exec"

// asServer makes cmd run as a user that PostgreSQL accepts. These systems have no
// parent-death signal: a test process that is killed leaves its server.
func asServer(cmd *exec.Cmd) error { return unprivileged(cmd) }

// children is empty: the server's processes see that their parent is gone and end.
func children(int) []int { return nil }
