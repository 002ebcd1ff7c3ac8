package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// Limits of archives inside the one that is scanned.
const (
	maxNesting    = 2       // one inside another inside the target
	maxInnerBytes = 4 << 30 // decompressed, each
)

// IsFile reports whether the file at name is an archive that [Scan] reads, by its first bytes, or one that is named
// like a package. A name that cannot be opened is none.
func IsFile(name string) bool {
	st, err := os.Stat(name)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	if _, _, ok := pkgarchive.ByName(filepath.Base(name)); ok {
		return true
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, _ := io.ReadFull(f, head)
	if n > 0 && len(bytes.Trim(head[:n], "\x00")) == 0 {
		// An empty tar is named like one and small; anything else is a file that lost its content, in a crash say.
		return isGeneric(filepath.Base(name), "") && st.Size() <= headSize
	}
	return Is(head[:n])
}

// Scan streams what the archive at name is and what is inside it, as [inventory.Walk] streams a directory: the paths
// of what is inside are shown as name!/path. Archives inside it, and inside those, are read too; opt.Kinds should have
// those of [Kinds] for that. It is safe to call concurrently.
func Scan(ctx context.Context, name string, opt inventory.Options) rapsheet.Sightings {
	shown := filepath.ToSlash(filepath.Clean(name))
	return func(yield func(rapsheet.Sighting, error) bool) {
		err := func() error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				return err
			}
			in := &inventory.File{Path: shown, Rel: path.Base(shown), Size: st.Size(), Hash: opt.Hash}
			return scan(ctx, in, f, st.Size(), opt, 0, yield)
		}()
		switch {
		case errors.Is(err, inventory.ErrStopped):
		case ctx.Err() != nil:
			yield(rapsheet.Sighting{}, ctx.Err())
		case err != nil:
			yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: shown, Message: inventory.Reason(err)})
		}
	}
}

// scan reads one archive, which is depth archives deep.
func scan(ctx context.Context, in *inventory.File, at io.ReaderAt, size int64, opt inventory.Options, depth int,
	yield func(rapsheet.Sighting, error) bool) error {
	stopped := false
	self := map[rapsheet.Package]bool{}
	send := func(s rapsheet.Sighting, err error) bool {
		stopped = stopped || !yield(s, err)
		return !stopped
	}
	found, bad := asPackage(ctx, in, at, size, func(s rapsheet.Sighting, err error) bool {
		if err == nil {
			self[s.Package] = true
		}
		return send(s, err)
	})
	if stopped {
		return inventory.ErrStopped
	}
	lim := Limits{File: opt.FileSize}
	if depth > 0 {
		lim.Bytes = maxInnerBytes
	}
	t, err := Open(ctx, at, size, lim)
	if err != nil {
		if bad == nil {
			bad = err
		}
		return bad
	}
	defer t.Close()
	notes := t.Notes(in.Path)
	if t.Links > 0 {
		notes = append(notes, &rapsheet.Note{
			Kind: rapsheet.NoteInfo, Path: in.Path, Message: "hard links to what is not in the archive: not followed", Count: t.Links,
		})
	}
	for _, n := range notes {
		if !send(rapsheet.Sighting{}, n) {
			return inventory.ErrStopped
		}
	}
	if bad != nil && len(t.notes) == 0 && found {
		// It is a package and damaged, and what is left of it is walked.
		if !send(rapsheet.Sighting{}, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: in.Path, Message: inventory.Reason(bad)}) {
			return inventory.ErrStopped
		}
	}
	if depth > 0 {
		opt.Progress = nil
		opt.Workers = 1
	}
	opt.Kinds = slices.DeleteFunc(slices.Clone(opt.Kinds), func(k inventory.Kind) bool { return k.Name == pkgarchive.SDist })
	opt.Kinds = append(opt.Kinds, inner(opt, depth+1)) // which knows sdists too
	for i := -1; i < len(t.Earlier); i++ {
		tree := t.Root
		if i >= 0 {
			tree = t.Earlier[i]
		}
		for s, err := range inventory.WalkIn(ctx, FS{Root: tree}, FS{Root: t.Root}, in.Path+"!", opt) {
			var note *rapsheet.Note
			switch {
			case err != nil && !errors.As(err, &note):
				return err
			case err == nil && self[s.Package]:
				continue // the archive itself, by a manifest inside it
			}
			if !send(s, err) {
				return inventory.ErrStopped
			}
		}
	}
	return nil
}

// asPackage sends the package that an archive is, without those in archives inside it, which the walk meets.
func asPackage(ctx context.Context, in *inventory.File, at io.ReaderAt, size int64, yield func(rapsheet.Sighting, error) bool) (bool, error) {
	base := path.Base(in.Path)
	if _, _, named := pkgarchive.ByName(base); !named && size > maxSDist {
		return false, nil // any tar; it would be decompressed twice
	}
	found, err := pkgarchive.Read(ctx, at, size, base)
	if !found.Sure || errors.Is(err, pkgarchive.ErrUnknown) {
		return false, ctx.Err()
	}
	found.Packages = slices.DeleteFunc(found.Packages, func(p pkgarchive.Package) bool { return strings.Contains(p.Member, "!/") })
	out := &inventory.Sink{File: in, Kind: found.Format, Yield: yield}
	return true, send(ctx, in, out, at, size, found, err)
}

// inner is the kind of archives inside an archive that are no packages.
func inner(opt inventory.Options, depth int) inventory.Kind {
	return inventory.Kind{Name: "archive", Match: isGeneric, Read: func(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
		if depth > maxNesting {
			return fmt.Errorf("more than %d archives inside one another: not opened", maxNesting)
		}
		at, size, done, err := in.Random(ctx)
		if err != nil {
			return err
		}
		defer done()
		err = scan(ctx, in, at, size, opt, depth, out.Send)
		if errors.Is(err, inventory.ErrStopped) {
			return nil
		}
		return err
	}}
}

// isGeneric matches archives by the usual names.
func isGeneric(base, _ string) bool {
	i := strings.LastIndexByte(base, '.')
	if i <= 0 {
		return false
	}
	switch base[i:] {
	case ".zip", ".tar", ".tbz2", ".txz", ".tzst":
		return true
	case ".gz", ".bz2", ".xz", ".zst":
		return strings.HasSuffix(base[:i], ".tar")
	}
	return false
}
