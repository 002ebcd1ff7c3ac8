package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/archive"
)

// Whiteouts (layer.md of the image specification): .wh.name deletes name of the layers below, .wh..wh..opq all of them
// in its directory. Other names with .wh..wh. are aufs' own.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufs     = ".wh..wh."
)

// layer is a layer's content.
type layer struct {
	tree   *archive.Tree
	file   io.Closer // of which the tree is read in place, if it is
	diffID string
	err    error
}

// layer reads a layer, once for all images that have it. diffID is what the configuration says of it, "" if nothing.
func (s *scan) layer(d descriptor, diffID string) *layer {
	key := layerKey(d, diffID)
	l := s.layers[key]
	if l == nil {
		l = &layer{}
		s.layers[key] = l
		if l.err = s.read(l, d, diffID); l.err != nil {
			s.spent -= l.close()
		}
	}
	return l
}

// layerKey tells layers apart.
func layerKey(d descriptor, diffID string) string { return d.Digest + " " + d.path + " " + diffID }

// close gives up the layer's content. It gives the size of the temporary file in bytes.
func (l *layer) close() (spooled int64) {
	if l.tree != nil {
		spooled = l.tree.Spooled()
		_ = l.tree.Close() // it was only read
		l.tree = nil
	}
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	return spooled
}

func (s *scan) read(l *layer, d descriptor, diffID string) error {
	if strings.Contains(d.MediaType, "foreign") || strings.Contains(d.MediaType, "nondistributable") {
		return errors.New("is not distributed with the image")
	}
	blob, err := s.store.blob(s.ctx, d)
	if err != nil {
		return err
	}
	l.file = blob
	raw, plain := sha256.New(), sha256.New()
	if d.Digest != "" {
		if raw, err = newHash(d.Digest); err != nil {
			return err
		}
	}
	lim := archive.Limits{Bytes: s.opt.Bytes, File: s.opt.FileSize}
	if lim.Bytes == 0 {
		lim.Bytes = archive.DefaultBytes
	}
	lim.Bytes -= s.spent
	if lim.Bytes <= 0 {
		return errors.New("the layers are larger than the limit of what is decompressed")
	}
	defer func() {
		if l.tree != nil {
			s.spent += l.tree.Spooled()
		}
	}()
	if at, size, ok := inPlace(blob); ok {
		if _, err := io.Copy(io.MultiWriter(raw, plain), bounded.Context(s.ctx, io.NewSectionReader(at, 0, size))); err != nil {
			return err
		}
		if l.tree, err = archive.Open(s.ctx, at, size, lim); err != nil {
			return err
		}
	} else {
		in := io.TeeReader(bounded.Context(s.ctx, blob), raw)
		r, err := bounded.DecompressArchive(in, lim.Bytes)
		if err != nil {
			return err
		}
		defer r.Close()
		l.tree, err = archive.ReadTar(s.ctx, io.TeeReader(r, plain), lim)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, in); err != nil { // what the decoder did not need
			return err
		}
		_ = blob.Close()
		l.file = nil
	}
	if d.Digest != "" && digestOf(raw, d.Digest) != d.Digest {
		return errDigest
	}
	l.diffID = "sha256:" + hex.EncodeToString(plain.Sum(nil))
	if whole := len(l.tree.Notes("")) == 0; diffID != "" && l.diffID != diffID {
		if whole || d.Digest == "" {
			return errors.New("its content is not what the image's configuration says: not read")
		}
		l.diffID = diffID // the end of the layer could not be read, and its tree says so
	}
	return nil
}

// inPlace reports whether a blob is an uncompressed tar that can be read anywhere.
func inPlace(r io.Reader) (at io.ReaderAt, size int64, ok bool) {
	f, ok := r.(interface {
		io.ReaderAt
		Stat() (fs.FileInfo, error)
	})
	if !ok {
		return nil, 0, false
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, false
	}
	head := make([]byte, 512)
	if n, _ := f.ReadAt(head, 0); n < len(head) || string(head[257:262]) != "ustar" {
		return nil, 0, false
	}
	return f, st.Size(), true
}

// image walks an image's layers. Its paths are shown below shown.
func (s *scan) image(im *image, shown string) error {
	var stack []*applied
	for i, d := range im.layers {
		if d.MediaType != "" && !strings.Contains(d.MediaType, "tar") {
			if err := s.note(rapsheet.NoteInfo, shown, 0, "layer %d is no file system: not read", i+1); err != nil {
				return err
			}
			continue
		}
		l := s.layer(d, im.diffID(i))
		if l.err != nil {
			name := d.Digest
			if name == "" {
				name = d.path
			}
			if err := s.unread(shown, fmt.Sprintf("layer %d of %d, %s", i+1, len(im.layers), name), l.err); err != nil {
				return err
			}
			continue
		}
		for _, n := range l.tree.Notes(shown) {
			if !s.yield(rapsheet.Sighting{}, n) {
				return inventory.ErrStopped
			}
		}
		stack = append(stack, &applied{layer: l, root: l.tree.Root})
	}
	// What a layer only has again, with the same content, does not count as its own: a file whose mode or owner
	// is changed is copied into the layer that does so.
	union := archive.NewDir(".")
	for _, a := range stack {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if a.tree.Links > 0 {
			a.root = linked(a.root, a.root, union)
		}
		a.again = map[string]bool{}
		a.same(a.root, union, "")
		apply(union, a.root)
	}
	union = archive.NewDir(".")
	info := map[string]int{}
	for i, a := range stack {
		apply(union, a.root)
		walk := func(list archive.FS, goneBy func(name string) string) error {
			last, gone := "", "" // all of one file's sightings come together
			for v, err := range inventory.WalkIn(s.ctx, list, archive.FS{Root: union}, shown, s.opt.Options) {
				var note *rapsheet.Note
				switch {
				case errors.As(err, &note):
					if note.Kind == rapsheet.NoteInfo && note.Path == shown {
						info[note.Message] += max(note.Count, 1) // what every layer's walk sums up
						continue
					}
				case err != nil:
					return err
				default:
					v.Location.Layer = a.diffID
					if v.Location.Path != last {
						last, gone = v.Location.Path, goneBy(strings.TrimPrefix(v.Location.Path, shown+"/"))
					}
					v.Location.Gone = gone
				}
				if !s.yield(v, err) {
					return inventory.ErrStopped
				}
			}
			return nil
		}
		err := walk(archive.FS{Root: a.root, Hide: a.hide}, func(name string) string { return goneBy(stack[i+1:], name) })
		// Of two files of one name the layer itself replaces the first.
		for _, earlier := range a.tree.Earlier {
			if err == nil {
				err = walk(archive.FS{Root: earlier}, func(string) string { return a.diffID })
			}
		}
		if err != nil {
			return err
		}
	}
	for _, what := range slices.Sorted(maps.Keys(info)) {
		if err := s.note(rapsheet.NoteInfo, shown, info[what], "%s", what); err != nil {
			return err
		}
	}
	return nil
}

// applied is a layer in its place of an image.
type applied struct {
	*layer
	root *archive.Node
	// again are the paths of files that the layers below have with the same content.
	again map[string]bool
}

// hide leaves out of a layer what is no file of it.
func (a *applied) hide(dir string, n *archive.Node) bool {
	if strings.HasPrefix(n.Name(), whiteout) {
		return true
	}
	if len(a.again) == 0 {
		return false
	}
	name := n.Name()
	if dir != "." {
		name = dir + "/" + name
	}
	return a.again[name]
}

// same fills again with what is the same in dir, at path, and in the directory below.
func (a *applied) same(dir, below *archive.Node, path string) {
	for _, n := range dir.Children() {
		old := below.Child(n.Name())
		switch {
		case old == nil:
		case n.IsDir() && old.IsDir():
			a.same(n, old, path+n.Name()+"/")
		case n.IsRegular() && old.IsRegular() && n.Size() == old.Size() && equal(n, old):
			a.again[path+n.Name()] = true
		}
	}
}

func equal(a, b *archive.Node) bool {
	x, err := a.Open()
	if err != nil {
		return false
	}
	defer x.Close()
	y, err := b.Open()
	if err != nil {
		return false
	}
	defer y.Close()
	return equalContent(x, y)
}

// apply puts a layer over the union of those below it.
func apply(union, dir *archive.Node) {
	if dir.Child(opaque) != nil {
		union.Clear()
	}
	for _, n := range dir.Children() {
		if name, ok := strings.CutPrefix(n.Name(), whiteout); ok && !strings.HasPrefix(n.Name(), aufs) {
			union.Remove(name)
		}
	}
	for _, n := range dir.Children() {
		switch {
		case strings.HasPrefix(n.Name(), whiteout):
		case n.IsDir():
			old := union.Child(n.Name())
			if old == nil || !old.IsDir() {
				old = archive.NewDir(n.Name())
				union.Set(old)
			}
			apply(old, n)
		default:
			union.Set(n)
		}
	}
}

// linked gives a layer's directory with the hard links that lead to layers below followed.
func linked(dir, root, union *archive.Node) *archive.Node {
	out := archive.NewDir(dir.Name())
	for _, n := range dir.Children() {
		switch target := n.HardLink(); {
		case n.IsDir():
			n = linked(n, root, union)
		case target != "":
			to := root.Find(target)
			if to == nil || !to.IsRegular() {
				to = union.Find(target)
			}
			if to != nil && to.IsRegular() {
				n = to.Renamed(n.Name())
			}
		}
		out.Set(n)
	}
	return out
}

// goneBy gives the diff id of the first of later layers that deletes or replaces the file at name, "" if none does.
func goneBy(later []*applied, name string) string {
	for _, a := range later {
		if !a.again[name] && touches(a.root, name) {
			return a.diffID
		}
	}
	return ""
}

// touches reports whether a layer deletes or replaces the file at name.
func touches(n *archive.Node, name string) bool {
	for {
		part, rest, more := strings.Cut(name, "/")
		if n.Child(opaque) != nil || n.Child(whiteout+part) != nil {
			return true
		}
		n = n.Child(part)
		switch {
		case n == nil:
			return false
		case !more, !n.IsDir():
			return true
		}
		name = rest
	}
}
