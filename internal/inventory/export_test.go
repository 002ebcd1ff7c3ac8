package inventory

import (
	"context"
	"io/fs"
	"time"

	"github.com/rapsheet/rapsheet"
)

// Top is a tree as a walk opens it.
type Top struct{ *top }

func OpenTop(name string) (Top, error) {
	t, err := openTop(name)
	return Top{t}, err
}

// Open opens an entry of the root.
func (t Top) Open(name string, directory bool) (fs.File, error) {
	return t.open(t.f, ".", name, directory)
}

// Changed asks about an entry of dir.
func (t Top) Changed(dir fs.File, rel, name string) (time.Time, bool) {
	return t.changed(dir, rel, name)
}

func (t Top) Close()                  { t.close() }
func (t Top) Files(limit int64) fs.FS { return t.fs(limit) }

// RunOne reads one file as a walk does.
func RunOne(ctx context.Context, opt Options, in *File, kind *Kind, yield func(rapsheet.Sighting, error) bool) {
	runOne(ctx, opt.withDefaults(), &job{in: in, kind: kind, timed: true}, yield)
}
