//go:build !unix

package pgtest

import (
	"os"
	"os/exec"
)

// quit ends the server at once; there is no signal that asks it to.
var quit = os.Kill

func asServer(*exec.Cmd) error { return nil }

func giveAway(...string) error { return nil }

// children is empty: the server's processes see that their parent is gone and end.
func children(int) []int { return nil }
