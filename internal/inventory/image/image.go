// Package image reads container images, layer by layer: what `docker save` and others write (docker-archive), OCI archives
// and layouts, and images in a registry.
//
// Flow: [Scan] finds the images of a target, checks every blob against its digest, reads the layers from the lowest to
// the highest and walks each with the kinds of package inventory. A sighting says which layer brought its file, and, if
// the image does not have the file any more, which later layer deleted or replaced it: what was deleted is still
// shipped. What readers look for beside a file is looked up in the layers below, too.
//
// Promise: nothing is run, mounted or extracted to where its name says; the network is used for references only.
// Credentials go to the registry they are for and its token server, and are in no sighting, note or error. Manifests,
// layers, entries and bytes are bounded. What was not read is a note.
//
// Layers are named by their diff ids, the digests of the uncompressed layers: `docker inspect` and the image's own
// configuration show them, and they are the same however the layer was compressed on the way.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/archive"
)

// Options are those of a scan.
type Options struct {
	inventory.Options
	// Platform, as os/architecture[/variant], is the only one to read of an image for several; "" reads all.
	Platform string
	// Bytes is how much of decompressed layers is kept in temporary files at a time; 0 means [archive.DefaultBytes].
	Bytes int64
	// Credentials gives those for a registry, by its lower-case host and port; nil means none.
	Credentials Credentials
	// UserAgent is what requests to registries say they come from.
	UserAgent string
}

// Is reports whether target is a container image: a reference that begins with docker://, a directory with an OCI
// layout, or a tar, compressed or not, that holds images.
func Is(target string) bool {
	if strings.HasPrefix(target, Scheme) {
		return true
	}
	st, err := os.Stat(target)
	switch {
	case err != nil:
		return false
	case st.IsDir():
		return isLayout(os.DirFS(target))
	case !st.Mode().IsRegular():
		return false
	}
	f, err := os.Open(target)
	if err != nil {
		return false
	}
	defer f.Close()
	first, plain := archive.FirstName(f)
	if first == "" || !plain && !imageEntry.MatchString(first) {
		return false // an ordinary compressed tar is not decompressed to find that out
	}
	t, err := archive.Open(context.Background(), f, st.Size(), archive.Limits{})
	if err != nil {
		return false
	}
	defer t.Close()
	fsys := archive.FS{Root: t.Root}
	return isLayout(fsys) || len(dockerManifest(fsys)) > 0
}

// imageEntry matches the names with which tars of images begin: those of docker, podman and skopeo.
var imageEntry = regexp.MustCompile(`^(?:\./)?(?:blobs(?:/|$)|oci-layout$|index\.json$|manifest\.json$|repositories$|[0-9a-f]{64})`)

// isLayout reports whether a directory is an OCI layout (image-layout.md of the image specification).
func isLayout(fsys fs.FS) bool {
	b, err := readFile(fsys, "oci-layout")
	return err == nil && strings.Contains(string(b), "imageLayoutVersion")
}

// Scan streams what the images of target hold. Paths are shown as target!/path, with the image's platform or tag before
// the "!" if there are several.
func Scan(ctx context.Context, target string, opt Options) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		s := &scan{ctx: ctx, opt: opt, target: target, yield: yield, layers: map[string]*layer{}}
		defer s.close()
		err := s.run()
		switch {
		case errors.Is(err, inventory.ErrStopped):
		case ctx.Err() != nil:
			yield(rapsheet.Sighting{}, ctx.Err())
		case err != nil:
			yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: s.target, Message: inventory.Reason(err)})
		}
	}
}

// scan is one scan, for one goroutine.
type scan struct {
	ctx    context.Context
	opt    Options
	target string // as shown
	yield  func(rapsheet.Sighting, error) bool

	store  store
	images []*image
	seen   map[string]bool // digests of manifests and configurations
	counts map[string]int  // what was left out, by what it is
	layers map[string]*layer
	spent  int64
	closer []io.Closer
}

func (s *scan) close() {
	s.release(nil)
	for _, c := range s.closer {
		_ = c.Close()
	}
}

// run finds the images, and reads them.
func (s *scan) run() error {
	s.seen, s.counts = map[string]bool{}, map[string]int{}
	if err := s.find(); err != nil {
		return err
	}
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		n := s.counts[what]
		if err := s.note(rapsheet.NoteInfo, s.target, n, "%s", what); err != nil {
			return err
		}
	}
	if len(s.images) == 0 {
		if s.opt.Platform != "" {
			return fmt.Errorf("no image for the platform %s", s.opt.Platform)
		}
		return errors.New("no image in it")
	}
	for i, im := range s.images {
		shown := s.target
		if label := im.label(s.images); label != "" {
			shown += " (" + label + ")"
		}
		if err := s.image(im, shown+"!"); err != nil {
			return err
		}
		s.release(s.images[i+1:])
	}
	return nil
}

// release closes the layers that none of the images to come has.
func (s *scan) release(later []*image) {
	keep := map[string]bool{}
	for _, im := range later {
		for i, d := range im.layers {
			keep[layerKey(d, im.diffID(i))] = true
		}
	}
	for key, l := range s.layers {
		if !keep[key] {
			s.spent -= l.close()
			delete(s.layers, key)
		}
	}
}

// find opens the target and collects its images.
func (s *scan) find() error {
	if strings.HasPrefix(s.target, Scheme) {
		ref, err := parseReference(s.target)
		if err != nil {
			s.target = Scheme + "…" // there may be a password in it
			return err
		}
		s.target = ref.String()
		reg := newRegistry(ref, s.opt.Credentials, s.opt.UserAgent)
		s.store = reg
		b, d, err := reg.manifest(s.ctx, ref.reference())
		if err != nil {
			return err
		}
		return s.manifest(b, d, 0)
	}
	target := s.target
	s.target = filepath.ToSlash(filepath.Clean(target))
	st, err := os.Stat(target)
	if err != nil {
		return err
	}
	var fsys fs.FS
	if st.IsDir() {
		root, err := os.OpenRoot(target)
		if err != nil {
			return err
		}
		s.closer = append(s.closer, root)
		fsys = root.FS()
	} else {
		f, err := os.Open(target)
		if err != nil {
			return err
		}
		s.closer = append(s.closer, f)
		t, err := archive.Open(s.ctx, f, st.Size(), archive.Limits{Bytes: s.opt.Bytes})
		if err != nil {
			return err
		}
		s.closer = append(s.closer, t)
		for _, n := range t.Notes(s.target) {
			if !s.yield(rapsheet.Sighting{}, n) {
				return inventory.ErrStopped
			}
		}
		fsys = archive.FS{Root: t.Root}
	}
	s.store = directory{fsys}
	return s.local(fsys)
}

func (s *scan) note(kind rapsheet.NoteKind, path string, count int, format string, args ...any) error {
	if !s.yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: kind, Path: path, Count: count, Message: fmt.Sprintf(format, args...)}) {
		return inventory.ErrStopped
	}
	return nil
}

// unread notes that something of the image is not read, unless the scan is over.
func (s *scan) unread(path, what string, err error) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return s.note(rapsheet.NoteUnread, path, 0, "%s: %s", what, inventory.Reason(err))
}
