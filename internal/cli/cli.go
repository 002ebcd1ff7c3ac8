// Package cli is the command line: [Run] does everything that the program does,
// so that tests call the real commands in-process.
//
// Flow of every command: flags → catalogs and targets opened → packages below do
// the work → a report on standard output, messages on standard error → an exit
// status, the same for every command and format (docs/exit-status.md).
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/registry"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/match"
)

// Env is what a command takes from the world besides its arguments and streams.
type Env struct {
	Getenv func(string) string
	Now    func() time.Time
	// Version is the program's version, "dev" when not built from a release.
	Version string
}

// Run runs one command line (without the program's name) and gives the exit status.
func Run(ctx context.Context, env Env, stdin io.Reader, stdout, stderr io.Writer, args []string) int {
	a := &app{env: env, stdin: stdin, stdout: stdout, stderr: &lines{w: stderr}}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return a.status
	}
	return a.fail(err)
}

// Commands gives the tree of commands for what documents it; it is not for running.
func Commands() *cobra.Command { return new(app).root() }

// app is one run of the program.
type app struct {
	env            Env
	stdin          io.Reader
	stdout, stderr io.Writer
	verbose        bool
	platform       string // of images
	// opener connects to registries in place of package registry, for tests.
	opener func(ctx context.Context, url string, opt registry.Options) (registry.Registry, error)
	// answers is stdin for those who are asked, once somebody was.
	answers *bufio.Reader
	// status is the exit status of a command that ended without an error.
	status int
}

// usageError is a command line that cannot be carried out; hint says what to do instead.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

// catalogError is a catalog that is missing, stale or not to be trusted.
type catalogError struct {
	err  error
	hint string
}

func (e *catalogError) Error() string { return e.err.Error() }
func (e *catalogError) Unwrap() error { return e.err }

// fail prints err with its hint and gives the exit status it means.
func (a *app) fail(err error) int {
	status, hint := classify(err)
	if status == rapsheet.ExitIncomplete && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted before the end: what was not read may hold anything")
	}
	fmt.Fprintln(a.stderr, "rapsheet: "+printable.Line(err.Error()))
	if hint != "" {
		fmt.Fprintln(a.stderr, "hint: "+printable.Line(hint))
	}
	return status
}

func classify(err error) (status int, hint string) {
	var usage *usageError
	var cat *catalogError
	var broken *match.CatalogError
	var out *outputError
	switch {
	case errors.As(err, &usage):
		return rapsheet.ExitUsage, usage.hint
	case errors.As(err, &cat):
		return rapsheet.ExitCatalog, cat.hint
	case errors.As(err, &out):
		return rapsheet.ExitInternal, "is the disk full, and may you write there?"
	case errors.As(err, &broken):
		return rapsheet.ExitCatalog, "the catalog is damaged: fetch it again with `rapsheet update`, or build it again"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return rapsheet.ExitIncomplete, ""
	case errors.Is(err, fs.ErrNotExist):
		return rapsheet.ExitIncomplete, "is the path spelled right?"
	case unreadableSource(err):
		return rapsheet.ExitIncomplete, "is this the right file, and was it downloaded to its end?"
	case errors.Is(err, fs.ErrPermission):
		return rapsheet.ExitIncomplete, "run it as a user who may read the file"
	}
	return rapsheet.ExitInternal, storeHint(err)
}

// unreadableSource reports whether a source as a whole cannot be read.
func unreadableSource(err error) bool {
	for _, is := range []error{source.ErrFormat, source.ErrDamaged, source.ErrDuplicate, source.ErrOverlap, source.ErrTooManyEntries, bounded.ErrRatio, io.ErrUnexpectedEOF} {
		if errors.Is(err, is) {
			return true
		}
	}
	var limit *bounded.LimitError
	return errors.As(err, &limit)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rapsheet",
		Short: "find known malicious packages in what you build, have installed, or have cached",
		Long: `rapsheet keeps the record of known malicious open-source packages and answers one
question fast, offline and honestly: is one of them anywhere in what I have?

Exit status of every command:
  0  nothing found
  1  a malicious package found
  2  the command line is wrong
  3  something could not be read, so "nothing found" would be a lie
  4  the catalog is missing, stale beyond --max-age, or not to be trusted
  5  internal error`,
		Example: `  rapsheet scan                          # this directory
  rapsheet scan app.cdx.json package-lock.json
  rapsheet check pkg:npm/event-stream@3.3.6
  rapsheet update                        # fetch the public list`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       a.env.Version,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Sprintf("unknown command %q", args[0]), suggest(cmd, args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err.Error(), fmt.Sprintf("see `%s --help`", cmd.CommandPath())}
	})
	root.SetVersionTemplate("rapsheet {{.Version}}\n")
	root.PersistentFlags().BoolVar(&a.verbose, "debug", false, "log what is done to standard error")
	root.AddCommand(a.scanCommand(), a.registryCommand(), a.checkCommand(), a.sbomCommand(), a.catalogCommand(), a.updateCommand(), a.serveCommand(), a.mcpCommand())
	return root
}

func suggest(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(word); len(s) > 0 {
		return "did you mean `rapsheet " + s[0] + "`?"
	}
	if _, err := os.Lstat(word); err == nil || strings.HasPrefix(word, "pkg:") {
		return "to scan it: `rapsheet scan " + word + "`"
	}
	return "see `rapsheet --help`"
}

// args wraps cobra's argument checks so that their errors are usage errors.
func args(check cobra.PositionalArgs, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err.Error(), hint}
		}
		return nil
	}
}

// logger logs to standard error with --debug, and nowhere otherwise.
func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines is standard error, on which a walk's log, its notes and the line of progress
// are written by goroutines of their own: one write at a time, so one line at a time.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// terminal reports whether w is a terminal.
func terminal(w any) bool {
	if l, ok := w.(*lines); ok {
		w = l.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour reports whether standard output wants colours: a terminal, and neither
// NO_COLOR (https://no-color.org) nor a dumb terminal.
func (a *app) colour() bool {
	return terminal(a.stdout) && a.env.Getenv("NO_COLOR") == "" && a.env.Getenv("TERM") != "dumb"
}

// width is the terminal's width in columns, or 0 when output is no terminal.
func (a *app) width() int {
	if f, ok := a.stdout.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			return w
		}
	}
	return 0
}

// unusable wraps the errors of opening a snapshot.
func unusable(err error) error {
	if errors.Is(err, index.ErrDamaged) || errors.Is(err, index.ErrVersion) || errors.Is(err, index.ErrFormat) {
		hint := "fetch it again with `rapsheet update`, or build it again with `rapsheet catalog build`"
		if errors.Is(err, index.ErrVersion) {
			hint = "install a newer rapsheet"
		}
		return &catalogError{err, hint}
	}
	return err
}
