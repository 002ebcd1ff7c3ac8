package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rapsheet/rapsheet"
)

// Defaults of [Options], from shared/bad-inputs.md ("Limits").
const (
	DefaultFileSize = 256 << 20
	DefaultSBOMSize = 1 << 30
	DefaultEntries  = 5_000_000
	DefaultDepth    = 128
	DefaultPerFile  = 10 * time.Second
)

// Options are the limits and wishes of a walk. The zero value recognises nothing.
type Options struct {
	// Kinds are the files to recognise, by name in this order.
	Kinds []Kind
	// FileSize is the number of bytes up to which one file is read; 0 means [DefaultFileSize].
	FileSize int64
	// SBOMSize is the same for an SBOM as it lies on disk, which is read as a stream; 0 means
	// [DefaultSBOMSize]. What it decompresses to is bounded by whoever reads it.
	SBOMSize int64
	// Entries is the number of directory entries after which a walk stops; 0 means [DefaultEntries].
	Entries int
	// Depth is how many directories below the root are entered; 0 means [DefaultDepth].
	Depth int
	// PerFile is how long reading one file may take, not counting the time in which the
	// consumer of the stream is busy; 0 means [DefaultPerFile]. It does not apply to [Read]
	// nor to pipes, where the time is the writer's.
	PerFile time.Duration
	// Workers is how many files are read at a time; 0 means GOMAXPROCS.
	Workers int
	// RespectIgnore leaves out what .gitignore files inside the tree exclude. Global and
	// per-repository exclude files are not read.
	RespectIgnore bool
	// Filesystems says which file systems are entered besides the root's own.
	Filesystems Filesystems
	// Exclude are directories that are not entered, as absolute slash-separated paths.
	Exclude []string
	// As, if not empty, is the absolute slash-separated path at which kinds see the root of a walk, for a
	// directory that was moved away from where its tool has it by default.
	As string
	// Since, if not zero, leaves out files that were there before it and have not changed since, by the times of
	// last modification and, where the system keeps one, of the last change of status. One note counts them.
	// A file in a directory that was moved to its place since then counts as changed.
	Since time.Time
	// Home, if not nil, is the home of the user whose settings of package managers are in effect, for
	// [File.UserFile].
	Home fs.FS
	// Getenv, if not nil, gives the environment of that user, and says that it and the settings of this machine are in
	// effect for what is walked; see [File.Getenv]. It does not count in [WalkFS] and [WalkIn].
	Getenv func(name string) string
	// Hash says that archives without a recorded digest are to be hashed, which reads them whole.
	Hash bool
	// Progress, if set, is called from the goroutine that ranges over the stream, about ten
	// times a second and once at the end.
	Progress func(Progress)
	// SniffSBOM reports whether head, the uncompressed first bytes of a file, begins an SBOM,
	// and SBOM reads one, compressed or not. Without them no SBOMs are recognised.
	SniffSBOM func(head []byte) bool
	SBOM      func(ctx context.Context, r io.Reader, path string) rapsheet.Sightings
	// Logger gets one debug line per file and the stack of a reader's panic; nil means none.
	Logger *slog.Logger
}

// Filesystems are those that a walk enters when it meets them below its root. What the kernel shows as
// files (proc, sysfs, …) is never entered.
type Filesystems uint8

// The file systems that are entered.
const (
	OneFilesystem    Filesystems = iota // the root's own
	LocalFilesystems                    // and those on the machine's own disks and in its memory
	AllFilesystems                      // and those of the network
)

// Progress says how far a walk is.
type Progress struct {
	Entries   int // directory entries seen
	Files     int // files read
	Sightings int // sightings sent
}

func (o Options) withDefaults() Options {
	o.FileSize = cmp.Or(o.FileSize, DefaultFileSize)
	o.SBOMSize = cmp.Or(o.SBOMSize, DefaultSBOMSize)
	o.Entries = cmp.Or(o.Entries, DefaultEntries)
	o.Depth = cmp.Or(o.Depth, DefaultDepth)
	o.PerFile = cmp.Or(o.PerFile, DefaultPerFile)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Walk streams what the files below the directory root list, in lexical walk
// order. Only root itself may be a symbolic link. A root that is a file is read
// as by [ReadFile]. The stream may be ranged over more than once; each time walks anew.
func Walk(ctx context.Context, root string, opt Options) rapsheet.Sightings {
	opt = opt.withDefaults()
	return func(yield func(rapsheet.Sighting, error) bool) {
		info, err := os.Stat(root)
		if err == nil && !info.IsDir() {
			ReadFile(ctx, root, opt)(yield)
			return
		}
		shown := filepath.ToSlash(filepath.Clean(root))
		if err != nil {
			yield(rapsheet.Sighting{}, unread(shown, err))
			return
		}
		top, err := openTop(root)
		if err != nil {
			yield(rapsheet.Sighting{}, unread(shown, err))
			return
		}
		defer top.close()
		top.enter = opt.Filesystems
		at, opt := place(root), opt
		var exclude []string // from the root
		for _, dir := range opt.Exclude {
			exclude = append(exclude, strings.TrimPrefix(dir, strings.TrimSuffix(at, "/")+"/"))
		}
		opt.Exclude = exclude
		walk(ctx, top, top.f, shown, cmp.Or(opt.As, at), opt, yield)
	}
}

// WalkFS is [Walk] for a tree that is no directory of this machine: the content of an archive, a layer of an
// image. Its paths are shown below shown; kinds see them below "/". What fsys lists as symbolic links is not
// followed. Files that implement [io.ReaderAt] are read in place by [File.Random].
func WalkFS(ctx context.Context, fsys fs.FS, shown string, opt Options) rapsheet.Sightings {
	return WalkIn(ctx, fsys, fsys, shown, opt)
}

// WalkIn is [WalkFS] for a part of a tree: the files of fsys are read, and what stands beside them is looked up in
// around. A layer of an image is walked so, with the layers below it around.
func WalkIn(ctx context.Context, fsys, around fs.FS, shown string, opt Options) rapsheet.Sightings {
	opt = opt.withDefaults()
	opt.Getenv = nil
	return func(yield func(rapsheet.Sighting, error) bool) {
		root, err := openDir(fsys, ".")
		if err != nil {
			yield(rapsheet.Sighting{}, unread(shown, err))
			return
		}
		defer root.Close()
		walk(ctx, within{fsys, around}, root, shown, "/", opt, yield)
	}
}

func walk(ctx context.Context, t tree, root fs.ReadDirFile, shown, place string, opt Options, yield func(rapsheet.Sighting, error) bool) {
	w := &walker{opt: opt, shown: shown, tree: t, root: root, place: place}
	st := &stream{opt: opt, entries: &w.entries, wait: true}
	st.run(ctx, w.walk, yield)
}

// tree is what a walk goes through: a directory of this machine ([top]), or any [fs.FS] ([within]).
type tree interface {
	// open opens name, one entry of parent, which is dir from the root; no symbolic link is followed.
	open(parent fs.File, dir, name string, directory bool) (fs.File, error)
	// changed says when name, one entry of parent, was changed last, without opening it; false where that cannot be told
	// so of a regular file that the walk would read.
	changed(parent fs.File, dir, name string) (time.Time, bool)
	// inside reports whether the symbolic link at rel leads nowhere, or to what the walk meets by itself.
	inside(rel string) bool
	// foreign names the file system that f is on if it is one that is not to be entered; "" says go on.
	foreign(f fs.File, info fs.FileInfo) string
	// fs is the tree for readers, see [File].
	fs(limit int64) fs.FS
}

// place is where root stands, slash-separated, for kinds that look at the directories above a file.
func place(root string) string {
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	return filepath.ToSlash(root)
}

// skipped reports whether a directory of d is not entered, see the package comment.
func (w *walker) skipped(d *directory, name string) bool {
	switch name {
	case npmContent:
		return path.Base(d.place) == npmCache
	case ".git", ".hg", ".svn":
		return true
	case nodeModules:
		return !slices.ContainsFunc(w.opt.Kinds, func(k Kind) bool { return k.Installed })
	}
	return false
}

const nodeModules = "node_modules"

// npmContent is where npm's cache keeps archives, each in a directory of its own and named by its digest: what they
// are is in the index beside it, whose reader looks for them.
const (
	npmCache   = "_cacache"
	npmContent = "content-v2"
)

// walker lists one tree and submits its files, in order, from one goroutine.
type walker struct {
	opt     Options
	shown   string // the root as shown
	place   string // the root, absolute
	tree    tree
	root    fs.ReadDirFile
	memo    memo
	entries atomic.Int64

	links, specials, ignored, devices, excluded, unchanged int

	submit func(*job) bool
}

// directory is one open directory on the way from the root to where the walk is.
type directory struct {
	f     fs.ReadDirFile
	rel   string // "." is the root
	place string // absolute
	depth int
	// installed says that it is where packages are unpacked, or below.
	installed bool
	// arrived says that it was moved here after [Options.Since], or is below such a directory.
	arrived bool
	kinds   []*Kind // that may be in it
	subs    []string
	ignore  *ignoreRules
}

// candidate is a file worth opening.
type candidate struct {
	name string
	kind *Kind // nil for a possible SBOM
	link bool
	// sure says that the name promises an SBOM, so that another content is worth a note.
	sure bool
}

var errStop = errors.New("stop")

func (w *walker) walk(ctx context.Context, submit func(*job) bool) {
	w.submit = submit
	stack := []*directory{w.directory(directory{f: w.root, rel: ".", place: w.place, installed: unpacked(w.place)})}
	defer func() {
		for _, d := range stack[1:] {
			d.f.Close()
		}
	}()
	if w.list(ctx, stack[0]) != nil {
		return
	}
	for {
		d := stack[len(stack)-1]
		if len(d.subs) == 0 {
			if len(stack) == 1 {
				break
			}
			d.f.Close()
			stack = stack[:len(stack)-1]
			continue
		}
		name := d.subs[0]
		d.subs = d.subs[1:]
		sub, err := w.enter(d, name)
		if err != nil {
			if !w.note(rapsheet.NoteUnread, join(d.rel, name), Reason(err)) {
				return
			}
			continue
		}
		if sub == nil {
			continue
		}
		stack = append(stack, sub)
		if w.list(ctx, sub) != nil {
			return
		}
	}
	w.sumUp()
}

// sumUp says, in one note each, what was met on the way and left alone.
func (w *walker) sumUp() {
	for _, c := range []struct {
		n    int
		what string
	}{
		{w.links, "symbolic links not followed"},
		{w.specials, "special files (pipes, sockets, devices) not opened"},
		{w.devices, "directories on another file system not entered"},
		{w.excluded, "directories left out that show another directory's content or are no part of the machine's files"},
		{w.unchanged, "files not read again, unchanged since " + w.opt.Since.UTC().Format(time.RFC3339)},
		{w.ignored, "entries left out by .gitignore"},
	} {
		if c.n > 0 && !w.submit(&job{note: &rapsheet.Note{
			Kind: rapsheet.NoteInfo, Path: w.shown, Message: c.what, Count: c.n,
		}}) {
			return
		}
	}
}

func (w *walker) note(kind rapsheet.NoteKind, rel, message string) bool {
	return w.submit(&job{note: &rapsheet.Note{Kind: kind, Path: w.path(rel), Message: message}})
}

// path is the file as shown: reachable from the working directory.
func (w *walker) path(rel string) string {
	if w.shown == "." {
		return rel
	}
	return join(w.shown, rel)
}

// join is path.Join for names that are already clean.
func join(dir, name string) string {
	switch {
	case dir == ".":
		return name
	case name == ".":
		return dir
	case strings.HasSuffix(dir, "/"):
		return dir + name
	}
	return dir + "/" + name
}

// enter opens a subdirectory. It gives nil for one that is left alone.
func (w *walker) enter(parent *directory, name string) (*directory, error) {
	rel := join(parent.rel, name)
	if slices.Contains(w.opt.Exclude, rel) {
		w.excluded++
		return nil, nil
	}
	if parent.depth+1 > w.opt.Depth {
		return nil, fmt.Errorf("deeper than %d directories: not entered", w.opt.Depth)
	}
	opened, err := w.tree.open(parent.f, parent.rel, name, true)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err != nil {
		opened.Close()
		return nil, err
	}
	f, ok := opened.(fs.ReadDirFile)
	if !ok || !info.IsDir() {
		opened.Close()
		return nil, errors.New("changed while it was read: no directory any more")
	}
	if foreign := w.tree.foreign(opened, info); foreign != "" {
		w.devices++
		f.Close()
		if !w.note(rapsheet.NoteInfo, rel, "another file system is mounted here ("+foreign+"): not entered") {
			return nil, errStop
		}
		return nil, nil
	}
	return w.directory(directory{
		f: f, rel: rel, place: join(parent.place, name), depth: parent.depth + 1, ignore: parent.ignore, installed: parent.installed || unpacked(join(parent.place, name)),
		arrived: parent.arrived || w.arrived(info),
	}), nil
}

// directory completes d with the kinds that may be in it.
func (w *walker) directory(d directory) *directory {
	for i := range w.opt.Kinds {
		if k := &w.opt.Kinds[i]; k.in(d.place, d.installed) {
			d.kinds = append(d.kinds, k)
		}
	}
	return &d
}

// arrived reports whether a directory came to its place after [Options.Since] with what is in it. Moving
// changes its status and not its content, so one that was changed since for another reason is not told.
func (w *walker) arrived(info fs.FileInfo) bool {
	return !w.opt.Since.IsZero() && info.ModTime().Before(w.opt.Since) && !statusTime(info).Before(w.opt.Since)
}

// lastChange is the later of a file's times of modification and of status change.
func lastChange(info fs.FileInfo) time.Time {
	if at := statusTime(info); at.After(info.ModTime()) {
		return at
	}
	return info.ModTime()
}

// list reads d's entries, submits its files and keeps the names of its
// subdirectories. Entries of no interest are dropped at once, so a directory of
// millions of files costs no memory. An error ends the walk.
func (w *walker) list(ctx context.Context, d *directory) error {
	var files []candidate
	var names []fs.DirEntry // kept only where .gitignore may still exclude them
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		batch, err := d.f.ReadDir(1024)
		if n := w.entries.Add(int64(len(batch))); n > int64(w.opt.Entries) {
			w.note(rapsheet.NoteUnread, d.rel, fmt.Sprintf("more than %d entries: the walk stopped here", w.opt.Entries))
			return errStop
		}
		if w.opt.RespectIgnore {
			names = append(names, batch...)
		} else {
			for _, e := range batch {
				files = w.sort(d, e, files)
			}
		}
		if err != nil {
			if err != io.EOF && !w.note(rapsheet.NoteUnread, d.rel, Reason(err)) {
				return errStop
			}
			break
		}
	}
	if w.opt.RespectIgnore {
		for _, e := range names {
			if e.Name() == ".gitignore" && e.Type().IsRegular() {
				d.ignore = w.loadIgnore(d)
			}
		}
		for _, e := range names {
			if d.ignore.match(join(d.rel, e.Name()), e.IsDir()) {
				w.ignored++
				continue
			}
			files = w.sort(d, e, files)
		}
	}
	slices.Sort(d.subs)
	slices.SortFunc(files, func(a, b candidate) int { return strings.Compare(a.name, b.name) })
	for _, c := range files {
		if !w.file(d, c) {
			return errStop
		}
	}
	return nil
}

// sort decides about one entry: a subdirectory, a candidate, or nothing.
func (w *walker) sort(d *directory, e fs.DirEntry, files []candidate) []candidate {
	name := e.Name()
	switch t := e.Type(); {
	case t.IsDir():
		if !w.skipped(d, name) {
			d.subs = append(d.subs, name)
		}
	case t.IsRegular():
		if c, ok := w.candidate(d, name); ok {
			files = append(files, c)
		}
	case t&fs.ModeSymlink != 0:
		w.links++
		if c, ok := w.candidate(d, name); ok {
			c.link = true
			files = append(files, c)
		}
	default:
		w.specials++
	}
	return files
}

func (w *walker) candidate(d *directory, name string) (candidate, bool) {
	var place string
	for _, k := range d.kinds {
		if place == "" {
			place = join(d.place, name)
		}
		if k.Match(name, place) {
			return candidate{name: name, kind: k}, true
		}
	}
	if !d.installed && w.opt.SBOM != nil && w.opt.SniffSBOM != nil {
		if sure, ok := sbomName(name); ok {
			return candidate{name: name, sure: sure}, true
		}
	}
	return candidate{}, false
}

// file opens one candidate and submits it.
func (w *walker) file(d *directory, c candidate) bool {
	rel := join(d.rel, c.name)
	if c.link {
		// What a link inside the tree leads to is met by the walk itself. One that
		// leads out of it is not, and a lockfile would go unread without a word.
		if c.kind != nil && c.kind.Unsure || w.tree.inside(rel) {
			return true
		}
		return w.note(rapsheet.NoteUnread, rel, "symbolic link out of the tree: not followed")
	}
	since := w.opt.Since
	if d.arrived {
		since = time.Time{} // before which nothing is
	}
	if !since.IsZero() {
		if at, ok := w.tree.changed(d.f, d.rel, c.name); ok && at.Before(since) {
			w.unchanged++
			return true
		}
	}
	f, err := w.tree.open(d.f, d.rel, c.name, false)
	if err != nil {
		return w.note(rapsheet.NoteUnread, rel, Reason(err))
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("changed while it was read: no regular file any more")
	default:
		if foreign := w.tree.foreign(f, info); foreign != "" {
			err = errors.New("on another file system (" + foreign + "): not read")
		}
	}
	if err != nil {
		f.Close()
		return w.note(rapsheet.NoteUnread, rel, Reason(err))
	}
	if lastChange(info).Before(since) {
		w.unchanged++
		f.Close()
		return true
	}
	in := &File{Path: w.path(rel), Rel: rel, Size: info.Size(), R: f, FS: w.tree.fs(w.opt.FileSize), Hash: w.opt.Hash, home: w.opt.Home, getenv: w.opt.Getenv, place: join(d.place, c.name), memo: &w.memo}
	in.at, _ = f.(io.ReaderAt)
	return w.submit(&job{in: in, kind: c.kind, sbom: c.kind == nil, sure: c.sure, timed: true, close: f.Close})
}

// loadIgnore reads d's .gitignore. One that cannot be read excludes nothing.
func (w *walker) loadIgnore(d *directory) *ignoreRules {
	f, err := w.tree.open(d.f, d.rel, ".gitignore", false)
	if err != nil {
		return d.ignore
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return d.ignore
	}
	rules, err := parseIgnore(f, d.rel, d.ignore)
	if err != nil {
		w.opt.Logger.Debug("ignore file not used", "path", w.path(join(d.rel, ".gitignore")), "error", err)
		return d.ignore
	}
	return rules
}

// sbomName reports whether a file of that name may be an SBOM, and whether the
// name promises one. Only such names are opened in a walk: sniffing every JSON
// file of a large tree would cost more than everything else.
// The names are those that CycloneDX's and SPDX's users and tools (cdxgen, syft) give by default.
func sbomName(name string) (sure, ok bool) {
	n := strings.ToLower(name)
	n = strings.TrimSuffix(strings.TrimSuffix(n, ".gz"), ".zst")
	for _, s := range []string{".cdx.json", ".cdx.xml", ".cdx", ".spdx.json", ".spdx3.json", ".spdx.jsonld", ".spdx3.jsonld", ".syft.json"} {
		if strings.HasSuffix(n, s) {
			return true, true
		}
	}
	ext := path.Ext(n)
	stem := strings.TrimSuffix(n, ext)
	switch ext {
	case ".spdx":
		return false, true
	case ".json", ".xml":
		for _, word := range []string{"bom", "sbom"} {
			if stem == word {
				return false, true
			}
			for _, sep := range []string{".", "-", "_"} {
				if strings.HasSuffix(stem, sep+word) {
					return false, true
				}
			}
		}
		return false, strings.HasPrefix(stem, "sbom")
	}
	return false, false
}

// unread is a note about a file that could not be read.
func unread(path string, err error) *rapsheet.Note {
	n := &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: path}
	var at *LineError
	if errors.As(err, &at) {
		n.Line = at.Line
		if err == error(at) {
			err = at.Err // the note has the line
		}
	}
	n.Message = Reason(err)
	return n
}

// Reason is err as one line, without the path that the note already has.
func Reason(err error) string {
	s := err.Error()
	var pe *fs.PathError
	if errors.As(err, &pe) && err == error(pe) {
		op := pe.Op
		switch op {
		case "openat":
			op = "open"
		case "readdirent", "getdents":
			op = "read directory"
		}
		s = op + ": " + pe.Err.Error()
	}
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…" // parsers repeat what they read
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// maxReason bounds an error's text; the list of supported files is the longest of our own.
const maxReason = 2000

// LineError is an error at a line of the file being read.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// AtLine is an error at a line of the file that is read.
func AtLine(line int, format string, args ...any) error {
	return &LineError{line, fmt.Errorf(format, args...)}
}
