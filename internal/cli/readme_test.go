package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/cli"
)

const repo = "../.."

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repo, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The README's first command, as a newcomer runs it: with no catalog, by `go run`.
func TestReadmeFirstCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	line := regexp.MustCompile(`(?m)^    (go run \./cmd/rapsheet scan \S+)$`).FindStringSubmatch(readme(t))
	if line == nil {
		t.Fatal("the README has no `go run ./cmd/rapsheet scan …`")
	}
	words := strings.Fields(line[1])
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "RAPSHEET_HOME="+t.TempDir())
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%s: %v", line[1], err)
	}
	if !bytes.HasPrefix(out, []byte("MALICIOUS: ")) {
		t.Errorf("%s begins with %.80q", line[1], out)
	}
}

// volatile is what differs from day to day and run to run. Where the line of the summary
// breaks depends on how many digits the time took.
var volatile = regexp.MustCompile(`\(\d+ days? old\)|\s+in\s+[0-9.]+(ms|s|µs)?;[^\n]*\n?[^\n]*checked\n`)

// The transcript in the README is what the command prints.
func TestReadmeTranscript(t *testing.T) {
	_, block, ok := strings.Cut(readme(t), "```\n$ rapsheet ")
	if !ok {
		t.Fatal("the README has no transcript")
	}
	block, _, _ = strings.Cut(block, "\n```")
	command, want, _ := strings.Cut(block, "\n")
	t.Chdir(repo)
	var out, errs bytes.Buffer
	home := t.TempDir()
	env := cli.Env{Version: "test", Now: time.Now, Getenv: func(k string) string {
		return map[string]string{"RAPSHEET_HOME": home}[k]
	}}
	if status := cli.Run(context.Background(), env, nil, &out, &errs, strings.Fields(command)); status != 1 {
		t.Errorf("exit status %d\n%s", status, errs.String())
	}
	mask := func(s string) string { return volatile.ReplaceAllString(strings.TrimSpace(s), "…") }
	if got := mask(out.String()); got != mask(want) {
		t.Errorf("the transcript in the README differs from:\n%s", got)
	}
}

// Every command line in the README is one that the program takes.
func TestReadmeCommands(t *testing.T) {
	n := 0
	for _, line := range regexp.MustCompile(`(?m)^(?:    |\$ )(rapsheet .*)$`).FindAllStringSubmatch(readme(t), -1) {
		for _, one := range strings.Split(line[1], " && ") {
			n++
			args := append(strings.Fields(one)[1:], "--help")
			var out, errs bytes.Buffer
			env := cli.Env{Version: "test", Now: time.Now, Getenv: func(string) string { return "" }}
			if status := cli.Run(context.Background(), env, nil, &out, &errs, args); status != 0 {
				t.Errorf("%s: exit status %d\n%s", one, status, errs.String())
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d commands found", n)
	}
}

// `make test` is what CI runs.
func TestReadmeTestCommand(t *testing.T) {
	if !strings.Contains(readme(t), "\n    make test\n") {
		t.Error("the README does not say `make test`")
	}
	for file, want := range map[string]string{"Makefile": "\ntest:", ".ci/run": "\nmake test\n"} {
		b, err := os.ReadFile(filepath.Join(repo, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%s has no %q", file, want)
		}
	}
}
