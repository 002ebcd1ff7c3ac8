package inventory

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/rapsheet/rapsheet"
)

// reader reads one kind of file that lists packages. The table of them is
// [readers]; a walk offers every regular file's name to it, and a matching
// reader gets the content. Readers are pure functions of the file: they keep
// nothing between calls and run concurrently.
type reader struct {
	// kind is what a location's Kind says: "package-lock.json", "Cargo.lock", ….
	kind string
	// match reports whether a file is this reader's, from its base name and slash-separated path.
	match func(base, path string) bool
	// read sends what the file lists to out. An error means that the file, or the rest of it, could not be
	// read; what was sent before stands. A panic is turned into such an error by the caller.
	read func(ctx context.Context, in *input, out *sink) error
}

// input is the file that a reader is given.
type input struct {
	// path is the file as shown to people; rel the same file inside fsys.
	path, rel string
	size      int64
	r         io.Reader // bounded by the walk
	fsys      fs.FS     // the tree around the file, for readers that need a sibling; nil for standard input
}

// all gives the whole content.
func (in *input) all() ([]byte, error) { return io.ReadAll(in.r) }

// sink takes what a reader finds in one file.
type sink struct {
	in    *input
	kind  string
	yield func(rapsheet.Sighting, error) bool
	done  bool
}

// sighting sends one package seen at line (0 when not known). It reports whether the reader should go on.
func (s *sink) sighting(p rapsheet.Package, line int, ev rapsheet.Evidence) bool {
	return s.send(rapsheet.Sighting{
		Package:  p,
		Location: rapsheet.Location{Path: s.in.path, Line: line, Kind: s.kind},
		Evidence: ev,
	}, nil)
}

// note sends a note about the file, or one line of it.
func (s *sink) note(kind rapsheet.NoteKind, line int, format string, args ...any) bool {
	return s.send(rapsheet.Sighting{}, &rapsheet.Note{
		Kind: kind, Path: s.in.path, Line: line, Message: fmt.Sprintf(format, args...),
	})
}

func (s *sink) send(v rapsheet.Sighting, err error) bool {
	if s.done {
		return false
	}
	if !s.yield(v, err) {
		s.done = true
	}
	return !s.done
}

// readers is the table of what a walk recognises, in the order in which it is asked.
func readers() []reader {
	var all []reader
	for _, group := range [][]reader{
		javascriptReaders(),
		pythonReaders(),
		otherReaders(),
	} {
		all = append(all, group...)
	}
	return all
}
