package cli_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// console is a command that runs on a pseudo terminal.
type console struct {
	t    *testing.T
	ptmx *os.File
	cmd  *exec.Cmd
	said chan string // what it printed, in pieces; closed at its end
	all  strings.Builder
}

// onConsole starts the command with a terminal for everything, or skips the test.
func onConsole(t *testing.T, home string, args ...string) *console {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { ptmx.Close() })
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	defer tty.Close()
	c := &console{t: t, ptmx: ptmx, cmd: exec.Command("rapsheet", args...), said: make(chan string, 64)}
	c.cmd.Env = append(os.Environ(), "RAPSHEET_HOME="+home, "NO_COLOR=1")
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = tty, tty, tty
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	go func() {
		defer close(c.said)
		buf := make([]byte, 4096)
		for {
			// Linux ends the reads of a terminal that nobody has open with EIO.
			n, err := ptmx.Read(buf)
			if n > 0 {
				c.said <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// waits reads until the command has printed text.
func (c *console) waits(text string) {
	c.t.Helper()
	for deadline := time.After(30 * time.Second); !strings.Contains(c.all.String(), text); {
		select {
		case s, more := <-c.said:
			if !more {
				c.t.Fatalf("it ended and did not say %q:\n%s", text, c.all.String())
			}
			c.all.WriteString(s)
		case <-deadline:
			c.t.Fatalf("it does not say %q:\n%s", text, c.all.String())
		}
	}
}

// answers waits for a question and types.
func (c *console) answers(question, keys string) {
	c.t.Helper()
	c.waits(question)
	c.all.Reset()
	if _, err := io.WriteString(c.ptmx, keys); err != nil {
		c.t.Fatal(err)
	}
}

// ends wants the exit status, and the text in what was printed since the last answer.
func (c *console) ends(status int, text string) {
	c.t.Helper()
	deadline := time.After(30 * time.Second)
	for open := true; open; {
		select {
		case s, more := <-c.said:
			c.all.WriteString(s)
			open = more
		case <-deadline:
			c.t.Fatalf("it does not end:\n%s", c.all.String())
		}
	}
	_ = c.cmd.Wait() // the status says all
	if got := c.cmd.ProcessState.ExitCode(); got != status || !strings.Contains(c.all.String(), text) {
		c.t.Errorf("status %d, want %d and %q in:\n%s", got, status, text, c.all.String())
	}
}

const (
	endOfFile = "\x04"
	interrupt = "\x03"
)

// The question of import: only yes is yes.
func TestImportAsks(t *testing.T) {
	path := writeFile(t, "list.txt", []byte("npm:evil-one@1.0.0\n"))
	for _, tt := range []struct {
		name, keys string
		status     int
		says       string
		records    int
	}{
		{"yes", "y\n", 0, "imported", 1},
		{"yes in full", "YES\n", 0, "imported", 1},
		{"no", "n\n", 0, "nothing was changed", 0},
		{"nothing", "\n", 0, "nothing was changed", 0},
		{"something else", "yess\n", 0, "nothing was changed", 0},
		{"end of file", endOfFile, 0, "nothing was changed", 0},
		{"Ctrl-C", interrupt, 3, "interrupted", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShell(t)
			c := onConsole(t, s.home, "catalog", "import", path)
			c.answers("Import this? [y/N] ", tt.keys)
			c.ends(tt.status, tt.says)
			if n := len(s.records()); n != tt.records {
				t.Errorf("%d records, want %d", n, tt.records)
			}
		})
	}
	t.Run("two sources, one answer each", func(t *testing.T) {
		other := writeFile(t, "other.txt", []byte("npm:evil-two@1.0.0\n"))
		s := newShell(t)
		c := onConsole(t, s.home, "catalog", "import", path, other)
		c.answers("Import this? [y/N] ", "n\n")
		c.answers("Import this? [y/N] ", "y\n")
		c.ends(0, "imported")
		if out := s.must("catalog", "export", "lines"); out != "npm:evil-two@1.0.0\n" {
			t.Errorf("the store has %q", out)
		}
	})
}

// The questions of review, each answer.
func TestReviewAsks(t *testing.T) {
	list := writeFile(t, "list.txt", []byte("npm:alpha@1.0.0\nnpm:beta@*\nnpm:gamma@1.0.0\nnpm:delta@1.0.0\n"))
	popular := writeFile(t, "popular.txt", []byte("alpha\nbeta\ngamma\ndelta\n"))
	held := func(t *testing.T) *shell {
		s := newShell(t)
		s.must("catalog", "import", list, "--popular", "npm="+popular, "--yes")
		return s
	}
	const question = "[q]uit? "
	// Held claims are asked about by name: alpha, beta, delta, gamma.
	t.Run("accept, narrow, reject, note", func(t *testing.T) {
		s := held(t)
		c := onConsole(t, s.home, "catalog", "review")
		c.answers(question, "a\n")
		c.answers("reason: ", "confirmed\n")
		c.waits("accept: npm alpha of list")
		c.answers(question, "N\n")
		c.answers("versions, separated by commas: ", "1.0.0, 1.0.1\n")
		c.answers("reason: ", "these two\n")
		c.answers(question, "r\n")
		c.answers("reason: ", "false alarm\n")
		c.answers(question, "t\n")
		c.answers("reason: ", "asked the maintainer\n")
		c.ends(0, "no record changed")
		if out := s.must("catalog", "export", "lines"); out != "npm:alpha@1.0.0\nnpm:beta@1.0.0\nnpm:beta@1.0.1\n" {
			t.Errorf("the store has %q", out)
		}
		if out := s.must("catalog", "review"); !strings.Contains(out, "npm gamma") || strings.Contains(out, "npm delta") {
			t.Errorf("held is %q", out)
		}
	})
	t.Run("skip, an answer that is none, quit", func(t *testing.T) {
		s := held(t)
		c := onConsole(t, s.home, "catalog", "review")
		c.answers("1 of 4", "s\n")
		c.answers("2 of 4", "x\n")
		c.answers("is not one of them", "q\n")
		c.ends(0, "")
		if len(s.records()) != 0 {
			t.Error("something was decided")
		}
	})
	t.Run("without reason or versions nothing is decided", func(t *testing.T) {
		s := held(t)
		c := onConsole(t, s.home, "catalog", "review")
		c.answers(question, "a\n")
		c.answers("reason: ", "\n")
		c.waits("without a reason nothing is decided")
		c.answers(question, "n\n")
		c.answers("versions, separated by commas: ", " , \n")
		c.waits("without versions nothing is decided")
		c.answers(question, endOfFile)
		c.ends(0, "")
		if len(s.records()) != 0 {
			t.Error("something was decided")
		}
	})
	for _, at := range []string{"[q]uit? ", "versions, separated by commas: ", "reason: "} {
		for name, key := range map[string]string{"end of file": endOfFile, "Ctrl-C": interrupt} {
			t.Run(name+" at "+strings.TrimRight(at, "? :"), func(t *testing.T) {
				s := held(t)
				c := onConsole(t, s.home, "catalog", "review")
				if at != question {
					c.answers(question, "n\n")
				}
				if at == "reason: " {
					c.answers("versions, separated by commas: ", "1.0.0\n")
				}
				c.answers(at, key)
				if key == interrupt {
					c.ends(3, "interrupted")
				} else {
					c.ends(0, "")
				}
				if len(s.records()) != 0 {
					t.Error("something was decided")
				}
			})
		}
	}
}
