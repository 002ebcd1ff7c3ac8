//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows

package filelock

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// heldVar names, for a child process, the file that it holds until it is killed.
const heldVar = "RAPSHEET_FILELOCK_HELD"

func TestMain(m *testing.M) {
	if path := os.Getenv(heldVar); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

// hold locks the file, says so and waits for its standard input to end, which it never does
// before the parent has ended.
func hold(path string) int {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ok, err := Try(f)
	fmt.Println(ok, err)
	io.Copy(io.Discard, os.Stdin)
	f.Close()
	return 0
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func try(t *testing.T, f *os.File, want bool) {
	t.Helper()
	if ok, err := Try(f); ok != want || err != nil {
		t.Fatalf("locked %v, %v; want %v", ok, err, want)
	}
}

func TestOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	try(t, first, true)
	try(t, second, false)
	try(t, open(t, filepath.Join(t.TempDir(), "lock")), true) // another file of that name
	first.Close()
	try(t, second, true)
}

func TestClosedFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "lock"))
	f.Close()
	if ok, err := Try(f); ok || err == nil {
		t.Errorf("locked %v, %v; want an error", ok, err)
	}
}

// A killed process cannot give anything back; the system does.
func TestKilledHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), heldVar+"="+path)
	stdin, err := child.StdinPipe() // open for as long as the child is to live
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "true <nil>" || err != nil {
		t.Errorf("the child says %q, %v", line, err)
	}
	f := open(t, path)
	try(t, f, false)
	child.Process.Kill()
	child.Wait()
	try(t, f, true)
}
