//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// quit is the server's immediate shutdown.
const quit = syscall.SIGQUIT

// nobody gives the ids of the user that the server runs as when the tests run as
// root, which PostgreSQL refuses; ok is false for other users, who run it themselves.
func nobody() (uid, gid uint32, ok bool, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, false, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return 0, 0, false, fmt.Errorf("user of the server: %w", err)
	}
	un, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, false, fmt.Errorf("user id of nobody: %w", err)
	}
	gn, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return 0, 0, false, fmt.Errorf("group id of nobody: %w", err)
	}
	return uint32(un), uint32(gn), true, nil
}

// unprivileged makes cmd run as another user when the tests run as root.
func unprivileged(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	uid, gid, ok, err := nobody()
	if err != nil || !ok {
		return err
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	return nil
}

// giveAway makes files the server's.
func giveAway(paths ...string) error {
	uid, gid, ok, err := nobody()
	if err != nil || !ok {
		return err
	}
	for _, p := range paths {
		if err := os.Chown(p, int(uid), int(gid)); err != nil {
			return fmt.Errorf("directory of the server: %w", err)
		}
	}
	return nil
}
