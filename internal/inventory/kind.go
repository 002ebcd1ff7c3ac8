package inventory

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"

	"github.com/rapsheet/rapsheet"
)

// Kind is one kind of file that lists packages. A walk offers every regular file's name to
// its kinds ([Options.Kinds]), in their order, and the first that matches reads it. Kinds keep
// nothing between calls and are used concurrently.
type Kind struct {
	// Name is what a location's Kind says: "package-lock.json", "Cargo.lock", ….
	Name string
	// Dir, if not nil, reports whether files of this kind may stand in a directory, given as its absolute
	// slash-separated path. A walk asks once per directory, and the kind's Match only where it said yes.
	Dir func(dir string) bool
	// Match reports whether a file is of this kind, from its base name and its slash-separated path.
	Match func(base, path string) bool
	// Installed kinds, and those with a Dir, are also asked where packages are unpacked (node_modules, site-packages, a
	// module cache): what other kinds would find there is what packages were published with. A walk enters
	// node_modules only if one of its kinds is Installed.
	Installed bool
	// Unsure says that a file's name promises nothing: a symbolic link of such a name that leads out of the
	// tree is counted with the others, and is no [rapsheet.NoteUnread] of its own.
	Unsure bool
	// Content, if not nil, tells by its first bytes a file that people save under another name. It
	// counts for files that the user names, where no name matched.
	Content *regexp.Regexp
	// Read sends what the file lists to out. An error means that the file, or the rest of it, could not be
	// read; what was sent before stands. A panic is turned into such an error by the caller.
	Read func(ctx context.Context, in *File, out *Sink) error
}

// in reports whether files of this kind may stand in a directory; installed says that it is where packages are
// unpacked, or below.
func (k *Kind) in(dir string, installed bool) bool {
	if k.Dir != nil {
		return k.Dir(dir)
	}
	return k.Installed || !installed
}

// unpacked reports whether a directory is one in which package managers unpack what was published.
func unpacked(dir string) bool {
	above, name := path.Split(dir)
	switch name {
	case nodeModules, "site-packages", "dist-packages":
		return true
	case "mod":
		return path.Base(above) == "pkg" // GOMODCACHE
	case "src":
		return path.Base(above) == "registry" // of CARGO_HOME
	case "npm":
		of := path.Base(above)
		return of == "deno" || of == ".deno" || of == "deno-dir" // DENO_DIR
	case "registry.npmjs.org":
		return path.Base(above) == "npm" // of any other DENO_DIR
	}
	return false
}

// File is what a kind is given to read.
type File struct {
	// Path is the file as shown to people; Rel the same file inside FS.
	Path, Rel string
	// Size is what the file system says, in bytes; -1 for standard input.
	Size int64
	// R is the content, bounded by the walk.
	R io.Reader
	// FS is the tree around the file; nil for standard input. It opens regular files, bounded, and
	// directories, and nothing outside the tree.
	FS fs.FS
	// Hash says that digests of archives are of use: some record has one. See [File.Digests].
	Hash bool

	at     io.ReaderAt // R, where it can be read anywhere
	place  string
	home   fs.FS
	getenv func(string) string
	memo   *memo
}

// Place is the absolute slash-separated path at which kinds see the file ([Options.As]): the directories above the
// root of the walk may tell what it is in. Where nobody knows it is Path.
func (in *File) Place() string { return cmp.Or(in.place, in.Path) }

// All gives the whole content.
func (in *File) All() ([]byte, error) { return io.ReadAll(in.R) }

// Sink takes what is found in one file.
type Sink struct {
	File *File
	// Kind is that of the locations that are sent.
	Kind string
	// Yield takes them; once it has given false it is not called again.
	Yield func(rapsheet.Sighting, error) bool
	done  bool
}

// Sighting sends one package seen at line (0 when not known). It reports whether the reader should go on.
func (s *Sink) Sighting(p rapsheet.Package, line int, ev rapsheet.Evidence) bool {
	return s.Send(rapsheet.Sighting{
		Package:  p,
		Location: rapsheet.Location{Path: s.File.Path, Line: line, Kind: s.Kind},
		Evidence: ev,
	}, nil)
}

// Note sends a note about the file, or one line of it.
func (s *Sink) Note(kind rapsheet.NoteKind, line int, format string, args ...any) bool {
	return s.Send(rapsheet.Sighting{}, &rapsheet.Note{
		Kind: kind, Path: s.File.Path, Line: line, Message: fmt.Sprintf(format, args...),
	})
}

// Send sends a sighting or an error as it is.
func (s *Sink) Send(v rapsheet.Sighting, err error) bool {
	if s.done {
		return false
	}
	if !s.Yield(v, err) {
		s.done = true
	}
	return !s.done
}
