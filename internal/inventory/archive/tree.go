package archive

import (
	"archive/zip"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// Limits of one archive's tree. Zero values mean the defaults.
type Limits struct {
	// Entries is the number of entries, with the directories that only their names imply.
	Entries int
	// Bytes is how much is decompressed into a temporary file.
	Bytes int64
	// File is the size up to which a sparse file is read, in bytes.
	File int64
}

// Defaults of [Limits]. An image of a whole distribution has some 500,000 files.
const (
	DefaultEntries = 2_000_000
	DefaultBytes   = 32 << 30
	defaultFile    = 256 << 20

	maxComponent = 255       // bytes of one part of a name, as file systems have it
	maxNames     = 256 << 20 // bytes of all names
	maxDepth     = 1024      // parts of a name
	maxEarlier   = 8         // copies of one name before the last
)

func (l Limits) withDefaults() Limits {
	l.Entries = cmp.Or(l.Entries, DefaultEntries)
	l.Bytes = cmp.Or(l.Bytes, DefaultBytes)
	l.File = cmp.Or(l.File, defaultFile)
	return l
}

// Node is one entry of a [Tree]. A tree that has been built is not written any more, and its nodes may be part of
// another one.
type Node struct {
	name string
	mode fs.FileMode // the type
	size int64
	off  int64
	at   io.ReaderAt // the content from off, where it can be read in place
	zip  *zip.File   // or the content
	err  error       // or why there is none
	// target is the name of the hard link's target, where that is not in the archive.
	target string
	kids   map[string]*Node
}

// NewDir makes an empty directory.
func NewDir(name string) *Node {
	return &Node{name: name, mode: fs.ModeDir, kids: map[string]*Node{}}
}

// Name is the last part of the node's name.
func (n *Node) Name() string { return n.name }

// IsDir reports whether the node is a directory, IsRegular whether it is a file.
func (n *Node) IsDir() bool     { return n.mode.IsDir() }
func (n *Node) IsRegular() bool { return n.mode.IsRegular() }

// Size is the length of a file in bytes.
func (n *Node) Size() int64 { return n.size }

// HardLink is the target of a hard link that leads to no earlier entry of the same archive, "" for everything else.
func (n *Node) HardLink() string { return n.target }

// Child gives a directory's entry, nil if there is none.
func (n *Node) Child(name string) *Node { return n.kids[name] }

// Children gives a directory's entries, in no order.
func (n *Node) Children() []*Node { return slices.Collect(maps.Values(n.kids)) }

// Set puts an entry into a directory, and Remove and Clear take entries out of it. They are for trees under construction.
func (n *Node) Set(child *Node)    { n.kids[child.name] = child }
func (n *Node) Remove(name string) { delete(n.kids, name) }
func (n *Node) Clear()             { clear(n.kids) }

// Renamed is the same content under another name.
func (n *Node) Renamed(name string) *Node {
	c := *n
	c.name = name
	return &c
}

// Find gives the node at a slash-separated path, nil if there is none.
func (n *Node) Find(name string) *Node {
	if name == "." || name == "" {
		return n
	}
	for part := range strings.SplitSeq(name, "/") {
		if n = n.kids[part]; n == nil {
			return nil
		}
	}
	return n
}

// Open gives a file's content. Where it can be read in place, it is an [io.ReaderAt] too.
func (n *Node) Open() (io.ReadCloser, error) {
	switch {
	case n.err != nil:
		return nil, n.err
	case !n.mode.IsRegular():
		return nil, errors.New("is no regular file")
	case n.zip != nil:
		return n.zip.Open()
	case n.at == nil:
		return inPlace{io.NewSectionReader(strings.NewReader(""), 0, 0)}, nil
	}
	return inPlace{io.NewSectionReader(n.at, n.off, n.size)}, nil
}

type inPlace struct{ *io.SectionReader }

func (inPlace) Close() error { return nil }

// Tree is the content of an archive. Its nodes are valid until it is closed.
type Tree struct {
	Root *Node
	// Earlier are what stands in the archive more than once: the first tree has the copies before the last one of each
	// name, the next those before that. Unpackers differ in which one they take.
	Earlier []*Node
	// Links counts the nodes with a [Node.HardLink].
	Links int
	notes []*rapsheet.Note
	spool *spool // nil where everything is read in place
}

// Close removes the temporary file, if there is one.
func (t *Tree) Close() error {
	if t.spool == nil {
		return nil
	}
	return t.spool.close()
}

// Spooled is the size of the temporary file in bytes.
func (t *Tree) Spooled() int64 {
	if t.spool == nil {
		return 0
	}
	return t.spool.size
}

// Notes gives what was left out of the tree, as notes about path.
func (t *Tree) Notes(path string) []*rapsheet.Note {
	var all []*rapsheet.Note
	for _, n := range t.notes {
		c := *n
		c.Path = path
		all = append(all, &c)
	}
	return all
}

// spool is a temporary file that has no name any more, where the system allows that. Runs of zeros are holes in it, which
// take no space where the file system has them: a bomb of zeros fills no disk.
type spool struct {
	f    *os.File
	size int64
	left int64
	buf  []byte
}

// spoolBlock is how much is written at a time.
const spoolBlock = 64 << 10

func newSpool(limit int64) (*spool, error) {
	f, err := os.CreateTemp("", "rapsheet-*")
	if err != nil {
		return nil, fmt.Errorf("no temporary file: %w", err)
	}
	_ = os.Remove(f.Name()) // not possible everywhere; close does it again
	return &spool{f: f, left: limit}, nil
}

// copy appends n bytes of r and gives where they begin.
func (s *spool) copy(r io.Reader, n int64) (off int64, err error) {
	off = s.size
	if n > s.left {
		return 0, &bounded.LimitError{What: "the sum of all files", Limit: s.size + s.left}
	}
	if s.buf == nil {
		s.buf = make([]byte, spoolBlock)
	}
	hole := false
	for n > 0 && err == nil {
		var got int
		got, err = io.ReadFull(r, s.buf[:min(n, spoolBlock)])
		if hole = zeros(s.buf[:got]); !hole {
			if _, e := s.f.WriteAt(s.buf[:got], s.size); e != nil {
				return off, e
			}
		}
		s.size += int64(got)
		s.left -= int64(got)
		n -= int64(got)
	}
	if hole {
		if e := s.f.Truncate(s.size); e != nil {
			return off, e
		}
	}
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return off, err
}

// zeros reports whether b is nothing but zeros.
func zeros(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func (s *spool) close() error {
	err := s.f.Close()
	_ = os.Remove(s.f.Name())
	return err
}

// builder builds a tree, entry by entry.
type builder struct {
	root                                    *Node
	earlier                                 []*Node
	lim                                     Limits
	entries                                 int
	names                                   int // bytes
	outside, twice, refused, links, unknown int
	// hidden counts the entries of a zip that are not what its directory says, and manyTimes the copies that are not kept.
	hidden, manyTimes int
}

func newBuilder(lim Limits) *builder { return &builder{root: NewDir("."), lim: lim} }

var errFull = errors.New("the rest was not read")

// add puts n at name. It gives nil for a name that no file system takes.
func (b *builder) add(name string, n *Node) error {
	clean := path.Clean("/" + name)[1:]
	if strings.HasPrefix(name, "/") || escapes(name) {
		b.outside++
	}
	if clean == "" {
		return nil // the root itself
	}
	parts := strings.Split(clean, "/")
	if len(parts) > maxDepth || strings.IndexByte(clean, 0) >= 0 {
		b.refused++
		return nil
	}
	for _, p := range parts {
		if len(p) > maxComponent {
			b.refused++
			return nil
		}
	}
	dir := b.root
	for i, p := range parts[:len(parts)-1] {
		next := dir.kids[p]
		if next == nil || !next.IsDir() {
			if next != nil {
				b.again(parts[:i+1], next)
			}
			next = NewDir(strings.Clone(p))
			if err := b.count(p); err != nil {
				return err
			}
			dir.Set(next)
		}
		dir = next
	}
	last := parts[len(parts)-1]
	if old := dir.kids[last]; old != nil {
		if old.IsDir() && n.IsDir() {
			return nil
		}
		b.again(parts, old)
	}
	if err := b.count(last); err != nil {
		return err
	}
	n.name = strings.Clone(last)
	dir.Set(n)
	return nil
}

// again keeps old, in whose place something else of the same name comes.
func (b *builder) again(parts []string, old *Node) {
	b.twice++
	if !old.mode.IsRegular() && !old.IsDir() {
		return // there is nothing to read
	}
	for i := 0; ; i++ {
		if i == len(b.earlier) {
			if i == maxEarlier {
				b.manyTimes++
				return
			}
			b.earlier = append(b.earlier, NewDir("."))
		}
		if b.earlier[i].place(parts, old) {
			return
		}
	}
}

// place puts what below n at the path of parts, if that is free.
func (n *Node) place(parts []string, what *Node) bool {
	for _, p := range parts[:len(parts)-1] {
		next := n.kids[p]
		if next == nil {
			next = NewDir(strings.Clone(p))
			n.Set(next)
		}
		if !next.IsDir() {
			return false
		}
		n = next
	}
	if n.kids[parts[len(parts)-1]] != nil {
		return false
	}
	n.Set(what)
	return true
}

// escapes reports whether a name leads above where it begins.
func escapes(name string) bool {
	return strings.Contains(name, "..") && strings.HasPrefix(path.Clean(name), "..")
}

func (b *builder) count(name string) error {
	b.entries++
	b.names += len(name)
	switch {
	case b.entries > b.lim.Entries:
		return fmt.Errorf("more than %d entries: %w", b.lim.Entries, errFull)
	case b.names > maxNames:
		return fmt.Errorf("names of more than %d bytes in all: %w", maxNames, errFull)
	}
	return nil
}

// tree gives what was built; err is why it is not all, if so.
func (b *builder) tree(s *spool, err error) *Tree {
	t := &Tree{Root: b.root, Earlier: b.earlier, Links: b.links, spool: s}
	note := func(kind rapsheet.NoteKind, n int, message string) {
		if n > 0 {
			t.notes = append(t.notes, &rapsheet.Note{Kind: kind, Message: message, Count: n})
		}
	}
	note(rapsheet.NoteUnread, b.refused, "entries with names that no file system takes: not read")
	note(rapsheet.NoteInfo, b.outside, "entries with absolute names, or names that lead out of the archive: read as if they stood in it")
	note(rapsheet.NoteInfo, b.twice, "entries that stand in the archive more than once: each was read")
	note(rapsheet.NoteUnread, b.manyTimes, fmt.Sprintf("entries that stand in the archive more than %d times: not read", maxEarlier+1))
	note(rapsheet.NoteUnread, b.hidden, pkgarchive.ErrHidden.Error())
	note(rapsheet.NoteInfo, b.unknown, "entries of unknown types: not read")
	if err != nil {
		t.notes = append(t.notes, &rapsheet.Note{Kind: rapsheet.NoteUnread, Message: err.Error()})
	}
	return t
}

// FS is a directory of a tree as a file system. Links in it are listed and lead nowhere.
type FS struct {
	Root *Node
	// Hide, if not nil, leaves an entry of the directory dir out of its listing. It can still be opened.
	Hide func(dir string, n *Node) bool
}

// Open implements [fs.FS]. Names are those of the archive, which may be no valid UTF-8.
func (f FS) Open(name string) (fs.File, error) {
	n := f.Root.Find(name)
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if n.IsDir() {
		return &dir{fs: f, node: n, at: name}, nil
	}
	r, err := n.Open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if p, ok := r.(inPlace); ok {
		return &randomFile{file{n, p}, p}, nil
	}
	return &file{n, r}, nil
}

// info is a node's [fs.FileInfo] and [fs.DirEntry].
type info struct{ *Node }

func (i info) Mode() fs.FileMode          { return i.mode | 0o444 }
func (i info) Type() fs.FileMode          { return i.mode.Type() }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

type file struct {
	node *Node
	io.ReadCloser
}

func (f *file) Stat() (fs.FileInfo, error) { return info{f.node}, nil }

// randomFile is a file that can be read anywhere.
type randomFile struct {
	file
	io.ReaderAt
}

type dir struct {
	fs   FS
	node *Node
	at   string
	list []*Node // what is left to be listed, once listing has begun
	open bool
}

func (d *dir) Stat() (fs.FileInfo, error) { return info{d.node}, nil }
func (d *dir) Close() error               { return nil }
func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.at, Err: errors.New("is a directory")}
}

// ReadDir implements [fs.ReadDirFile].
func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.open {
		d.open = true
		for _, c := range d.node.kids {
			if d.fs.Hide == nil || !d.fs.Hide(d.at, c) {
				d.list = append(d.list, c)
			}
		}
		slices.SortFunc(d.list, func(a, b *Node) int { return strings.Compare(a.name, b.name) })
	}
	take := len(d.list)
	if n > 0 {
		if take == 0 {
			return nil, io.EOF
		}
		take = min(take, n)
	}
	out := make([]fs.DirEntry, take)
	for i, c := range d.list[:take] {
		out[i] = info{c}
	}
	d.list = d.list[take:]
	return out, nil
}
