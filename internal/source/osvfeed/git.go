package osvfeed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
)

// Limits in bytes of what is read from git besides [source.Limits].
const (
	maxGitName    = 1024
	maxGitMessage = 4 << 10
)

// isBare reports whether dir is a git repository without a work tree
// (https://git-scm.com/docs/gitrepository-layout).
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() == (name == "HEAD") {
			return false
		}
	}
	return true
}

// revision streams the *.json files of a revision as they are in git's objects:
// git ls-tree says what there is, git cat-file --batch gives it. Neither looks at
// attributes, so no filter of the repository runs; nothing is written.
func revision(ctx context.Context, dir, rev string, lim source.Limits) iter.Seq2[source.Document, error] {
	return func(yield func(source.Document, error) bool) {
		err := readRevision(ctx, dir, rev, lim, yield)
		if err != nil && !errors.Is(err, errStop) {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			yield(source.Document{}, fmt.Errorf("git %s: %w", dir, err))
		}
	}
}

// errStop unwinds a reader whose consumer has enough.
var errStop = errors.New("stop")

func readRevision(ctx context.Context, dir, rev string, lim source.Limits, yield func(source.Document, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	repo, err := openRepo(dir)
	if err != nil {
		return err
	}
	tree, err := repo.resolve(ctx, rev)
	if err != nil {
		return err
	}
	w := &walk{lim: lim.WithDefaults(), yield: yield}
	if w.objects, err = repo.catFile(ctx); err != nil {
		return err
	}
	// -l gives sizes, so that what is too large is never asked for.
	list, err := repo.start(ctx, nil, "ls-tree", "-r", "-z", "-l", "--full-tree", tree)
	if err != nil {
		return err
	}
	err = w.entries(list.out)
	// The processes end here in any case; a consumer that stopped does not wait for them.
	if err != nil {
		cancel()
		_, _ = list.wait(), w.objects.close()
		return err
	}
	if err := list.wait(); err != nil {
		return err
	}
	if err := w.objects.close(); err != nil {
		return err
	}
	if w.documents == 0 {
		return source.ErrNoRecords
	}
	return nil
}

// repo is a git repository's directory.
type repo struct {
	gitDir string
	env    []string
}

func openRepo(dir string) (*repo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &repo{gitDir: abs}
	if !isBare(abs) {
		r.gitDir = filepath.Join(abs, ".git")
		if !isBare(r.gitDir) {
			return nil, errors.New("not a git repository, bare or with a .git directory")
		}
	}
	for _, v := range os.Environ() {
		// GIT_DIR, GIT_TRACE and the like would change what is read, or where to.
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "LC_ALL=") {
			r.env = append(r.env, v)
		}
	}
	// A partial clone fetches objects that it lacks with a command that its own
	// configuration names: no transport is allowed, and newer versions are told not to try.
	r.env = append(r.env, "LC_ALL=C", "GIT_ALLOW_PROTOCOL=none", "GIT_NO_LAZY_FETCH=1",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0")
	return r, nil
}

// process is a running git.
type process struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	stderr *head
	name   string
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), max(maxGitMessage-h.Len(), 0))])
	return len(p), nil
}

func (r *repo) start(ctx context.Context, stdin io.Reader, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + r.gitDir, "--no-pager"}, args...)...)
	cmd.Env = r.env
	cmd.Stdin = stdin
	p := &process{cmd: cmd, stderr: new(head), name: args[0]}
	cmd.Stderr = p.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, 64<<10)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return p, nil
}

func (p *process) wait() error {
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", p.name, err, printable.Cut(strings.TrimSpace(p.stderr.String()), 300))
	}
	return nil
}

// resolve gives the tree of a revision.
func (r *repo) resolve(ctx context.Context, rev string) (string, error) {
	p, err := r.start(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{tree}")
	if err != nil {
		return "", err
	}
	out, readErr := bounded.ReadAll(p.out, maxGitMessage, "git's answer")
	if err := p.wait(); err != nil || readErr != nil {
		return "", fmt.Errorf("no tree under revision %.80q: %w", rev, errors.Join(readErr, err))
	}
	tree := strings.TrimSpace(string(out))
	if !isObjectID(tree) {
		return "", fmt.Errorf("revision %.80q is not one tree", rev)
	}
	return tree, nil
}

func isObjectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// objects is a running git cat-file --batch (https://git-scm.com/docs/git-cat-file).
type objects struct {
	*process
	in io.WriteCloser
}

func (r *repo) catFile(ctx context.Context) (*objects, error) {
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pr.Close()
	p, err := r.start(ctx, pr, "cat-file", "--batch")
	if err != nil {
		pw.Close()
		return nil, err
	}
	return &objects{p, pw}, nil
}

// blob asks for one object and reads it.
func (o *objects) blob(id string, limit int64) ([]byte, error) {
	if _, err := io.WriteString(o.in, id+"\n"); err != nil {
		return nil, fmt.Errorf("cat-file: %w", err)
	}
	line, err := o.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("cat-file: ended early: %w", err)
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != id || fields[1] != "blob" {
		return nil, fmt.Errorf("cat-file: object %s: %s", id, printable.Cut(strings.TrimSpace(line), 100))
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 || size > limit {
		return nil, fmt.Errorf("cat-file: object %s has %s bytes, not what the tree says", id, printable.Cut(fields[2], 20))
	}
	data := make([]byte, size+1)
	if _, err := io.ReadFull(o.out, data); err != nil {
		return nil, fmt.Errorf("cat-file: object %s: %w", id, err)
	}
	return data[:size], nil
}

func (o *objects) close() error {
	return errors.Join(o.in.Close(), o.wait())
}

// walk is one run over a tree.
type walk struct {
	lim       source.Limits
	yield     func(source.Document, error) bool
	objects   *objects
	seen      int
	documents int
	total     int64
}

func (w *walk) reject(name string, reason error) error {
	if len(name) > maxGitName {
		name = name[:maxGitName] + "…"
	}
	if !w.yield(source.Document{}, &source.Reject{Name: name, Reason: reason}) {
		return errStop
	}
	return nil
}

// entries reads what git ls-tree -z -l lists: "mode type object size\tpath\0".
func (w *walk) entries(r *bufio.Reader) error {
	for {
		line, err := readEntry(r)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ls-tree: %w", err)
		}
		w.seen++
		if w.seen > w.lim.Entries {
			return fmt.Errorf("%w: more than %d", source.ErrTooManyEntries, w.lim.Entries)
		}
		about, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(about)
		if len(fields) != 4 || name == "" || !isObjectID(fields[2]) {
			return fmt.Errorf("ls-tree: %s is not an entry", printable.Cut(line, 100))
		}
		if err := w.entry(fields[0], fields[2], fields[3], name); err != nil {
			return err
		}
	}
}

// readEntry reads up to a NUL. A path may be far longer than a name that is accepted.
func readEntry(r *bufio.Reader) (string, error) {
	const maxEntry = 1 << 20
	var b []byte
	for {
		part, err := r.ReadSlice(0)
		b = append(b, part...)
		switch {
		case err == nil:
			return string(b[:len(b)-1]), nil
		case err == io.EOF && len(b) > 0:
			return "", io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return "", err
		case len(b) > maxEntry:
			return "", &bounded.LimitError{What: "path in a tree", Limit: maxEntry}
		}
	}
}

// entry takes one entry of a tree. The modes are git's: 120000 is a symbolic
// link, 160000 a submodule (https://git-scm.com/docs/git-fast-import#_filemodify).
func (w *walk) entry(mode, id, size, name string) error {
	switch mode {
	case "120000":
		return w.reject(name, errors.New("symbolic link, not followed"))
	case "160000":
		return w.reject(name, errors.New("submodule, not entered"))
	}
	if !strings.EqualFold(path.Ext(name), ".json") {
		return nil
	}
	if err := checkName(name, w.lim.Depth); err != nil {
		return w.reject(name, err)
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		// A repository with holes is like an archive with one: what else is wrong nobody knows.
		return fmt.Errorf("object %s of %s is missing or damaged", id, printable.Cut(name, 200))
	}
	if n > w.lim.Entry {
		return w.reject(name, &bounded.LimitError{What: "document", Limit: w.lim.Entry})
	}
	if w.total += n; w.total > w.lim.Total {
		return &bounded.LimitError{What: "the sum of all documents", Limit: w.lim.Total}
	}
	data, err := w.objects.blob(id, w.lim.Entry)
	if err != nil {
		return err
	}
	w.documents++
	if !w.yield(source.Document{Name: name, Data: data}, nil) {
		return errStop
	}
	return nil
}

// checkName says what is wrong with a path. It is only a label, but a tree that
// has one made to lead elsewhere was made by hand, and not by git add.
func checkName(name string, depth int) error {
	switch {
	case len(name) > maxGitName:
		return &bounded.LimitError{What: "path", Limit: maxGitName}
	case !utf8.ValidString(name):
		return errors.New("path is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("path has control characters")
	case strings.HasPrefix(name, "/"), strings.Contains(name, `\`):
		return errors.New("path is absolute or has a backslash")
	case strings.Count(name, "/") > depth:
		return errors.New("directory is nested too deep")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || part == "." || part == "" || strings.EqualFold(part, ".git") {
			return fmt.Errorf("path has a part %q", part)
		}
	}
	return nil
}
