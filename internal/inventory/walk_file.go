package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// sniffSize is how much of a file is looked at to recognise it by content.
const sniffSize = 64 << 10

// ReadFile streams what one file lists. It is recognised by its name, or else
// by content. The user named it, so symbolic links to it are followed and a pipe
// is read; sockets and devices are not opened.
func ReadFile(ctx context.Context, name string, opt Options) rapsheet.Sightings {
	opt = opt.withDefaults()
	shown := filepath.ToSlash(filepath.Clean(name))
	return func(yield func(rapsheet.Sighting, error) bool) {
		j, done, err := openFile(name, shown, opt)
		if err != nil {
			yield(rapsheet.Sighting{}, unread(shown, err))
			return
		}
		defer done()
		j.kind = opt.byName(path.Base(shown), place(name), false)
		runOne(ctx, opt, j, yield)
	}
}

func openFile(name, shown string, opt Options) (j *job, done func(), err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	mode := info.Mode()
	if !mode.IsRegular() && mode.Type() != fs.ModeNamedPipe {
		if mode.IsDir() {
			return nil, nil, errors.New("is a directory")
		}
		return nil, nil, errors.New("is a special file: not opened")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	j = &job{
		in:    &File{Path: shown, Rel: filepath.Base(name), Size: info.Size(), R: f, Hash: opt.Hash, home: opt.Home, getenv: opt.Getenv, place: place(name)},
		timed: mode.IsRegular(),
		close: f.Close,
	}
	if mode.IsRegular() {
		j.in.at = f
	}
	// Without its directory a file is still read, only not what stands beside it.
	top, err := openTop(filepath.Dir(name))
	if err != nil {
		return j, func() {}, nil
	}
	j.in.FS = top.fs(opt.FileSize)
	return j, top.close, nil
}

// Read streams what r lists, shown under name ("-" for standard input). It is
// recognised by name's base, or else by content. Nothing beside it is looked at.
// When ctx ends while r blocks, the stream ends and r is left to its reader.
func Read(ctx context.Context, r io.Reader, name string, opt Options) rapsheet.Sightings {
	opt = opt.withDefaults()
	return func(yield func(rapsheet.Sighting, error) bool) {
		runOne(ctx, opt, &job{
			in:   &File{Path: name, Rel: path.Base(name), Size: -1, R: r, Hash: opt.Hash},
			kind: opt.byName(path.Base(name), name, false),
		}, yield)
	}
}

// runOne streams a single file, on a worker of its own so that a panic in its
// reader is told from one in the consumer.
func runOne(ctx context.Context, opt Options, j *job, yield func(rapsheet.Sighting, error) bool) {
	opt.Workers = 1
	st := &stream{opt: opt, entries: new(atomic.Int64), wait: j.timed}
	st.run(ctx, func(_ context.Context, submit func(*job) bool) { submit(j) }, yield)
}

// byName finds the kind of a file, nil if there is none; see [Kind.in] about installed.
func (o *Options) byName(base, name string, installed bool) *Kind {
	for i := range o.Kinds {
		if k := &o.Kinds[i]; k.in(path.Dir(name), installed) && k.Match(base, name) {
			return k
		}
	}
	return nil
}

// byContent finds the kind of a file that begins with head, nil if there is none.
func (o *Options) byContent(head []byte) *Kind {
	head = bytes.TrimPrefix(head, BOM)
	for i := range o.Kinds {
		if re := o.Kinds[i].Content; re != nil && re.Match(head) {
			return &o.Kinds[i]
		}
	}
	return nil
}

func (o *Options) unrecognised() error {
	var kinds []string
	for _, k := range o.Kinds {
		kinds = append(kinds, k.Name)
	}
	also := ""
	if o.SBOM != nil {
		also = "; SBOMs in CycloneDX, SPDX and Syft JSON"
	}
	return fmt.Errorf("not recognised: is this a lockfile or an SBOM? supported: %s%s", strings.Join(kinds, ", "), also)
}

// isSBOM asks about the first bytes of a file, uncompressed.
func (st *stream) isSBOM(head []byte, limit int64) bool {
	if st.opt.SBOM == nil || st.opt.SniffSBOM == nil {
		return false
	}
	r, compression, err := bounded.Decompress(bytes.NewReader(head), limit)
	if err != nil {
		return false
	}
	defer r.Close()
	if compression != bounded.None {
		// The head is cut off, so what it decompresses to ends in an error.
		plain := make([]byte, sniffSize)
		n, _ := io.ReadFull(r, plain)
		head = plain[:n]
	}
	return st.opt.SniffSBOM(head)
}

// siblings is the tree around a file, for readers: regular files, bounded, and
// directories. It opens nothing outside the root and nothing that blocks.
type siblings struct {
	top   *top
	limit int64
}

func (t *top) fs(limit int64) fs.FS { return siblings{t, limit} }

// Open implements [fs.FS].
func (s siblings) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := s.top.openBeneath(name, os.O_RDONLY|nonblock)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("is a special file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if info.IsDir() {
		return f, nil
	}
	return &boundedFile{File: f, r: bounded.Reader(f, s.limit, "file")}, nil
}

// Stat implements [fs.StatFS], without opening the file.
func (s siblings) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	info, err := s.top.statBeneath(name)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "stat", Path: name, Err: errors.New("is a special file")}
	}
	if err != nil {
		return nil, err
	}
	return info, nil
}

type boundedFile struct {
	fs.File
	r io.Reader
}

func (f *boundedFile) Read(p []byte) (int, error) { return f.r.Read(p) }

// ReadFile gives a file of the tree, by its path from the root, up to limit bytes; false if it cannot be read.
func (in *File) ReadFile(name string, limit int64) ([]byte, bool) { return readFS(in.FS, name, limit) }

// UserFile gives a file of the user's home up to limit bytes: a setting that is in effect wherever the user
// works. It is false if there is none or it cannot be read.
func (in *File) UserFile(name string, limit int64) ([]byte, bool) {
	return readFS(in.home, name, limit)
}

func readFS(fsys fs.FS, name string, limit int64) ([]byte, bool) {
	if fsys == nil {
		return nil, false
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	b, err := bounded.ReadAll(f, limit, "file")
	return b, err == nil
}

// Sibling gives a file in the same directory, up to limit bytes; false if it
// cannot be read or there is no directory.
func (in *File) Sibling(name string, limit int64) ([]byte, bool) {
	return in.ReadFile(path.Join(path.Dir(in.Rel), name), limit)
}

// maxDirectory bounds the entries of a directory that readers look at.
const maxDirectory = 200_000

// ReadDir gives the entries of a directory of the tree, sorted by name; nil if it cannot be read. A
// directory of more than 200,000 entries gives as many.
func (in *File) ReadDir(name string) []fs.DirEntry {
	if in.FS == nil {
		return nil
	}
	f, err := in.FS.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil
	}
	list, err := d.ReadDir(maxDirectory)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// Subdirectories gives the names of the directories in a directory of the tree, as [File.ReadDir].
func (in *File) Subdirectories(name string) []string {
	var names []string
	for _, e := range in.ReadDir(name) {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// HasFile reports whether the tree has a file of that name, by its path from the root.
func (in *File) HasFile(name string) bool {
	if in.FS == nil {
		return false
	}
	_, err := fs.Stat(in.FS, name)
	return err == nil
}

// HasSibling reports whether the directory has one of those files.
func (in *File) HasSibling(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return in.HasFile(path.Join(path.Dir(in.Rel), n)) })
}
