package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Limits of images. The distribution specification allows manifests of 4 MiB; Docker has at most 127 layers.
const (
	maxManifest  = 4 << 20
	maxConfig    = 8 << 20
	maxLayers    = 512
	maxManifests = 256
	maxIndexes   = 3 // inside one another
)

// descriptor points to a blob (descriptor.md of the image specification).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    platform          `json:"platform"`
	Annotations map[string]string `json:"annotations"`
	// path is where a docker-archive has the blob, which may be without a digest there.
	path string
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

func (p platform) String() string {
	if p.OS == "" && p.Architecture == "" {
		return ""
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// is reports whether p is what the user asked for: os/architecture[/variant].
func (p platform) is(wanted string) bool {
	s := p.String()
	return wanted == "" || s == wanted || strings.HasPrefix(s, wanted+"/")
}

// image is one image for one platform.
type image struct {
	tag      string
	platform platform
	layers   []descriptor
	// diffIDs are those of the layers, as the configuration has them; nil if it does not say.
	diffIDs []string
}

// diffID is that of the layer at i, "" where the configuration does not say.
func (im *image) diffID(i int) string {
	if im.diffIDs == nil {
		return ""
	}
	return im.diffIDs[i]
}

// label tells im from the other images of the target, "" where it is the only one.
func (im *image) label(all []*image) string {
	if len(all) == 1 {
		return ""
	}
	label := im.platform.String()
	for _, other := range all {
		if other != im && other.platform == im.platform {
			return strings.TrimSpace(im.tag + " " + label)
		}
	}
	return label
}

// store has blobs.
type store interface {
	// blob opens a blob, whose content is not checked yet. The reader may be an [io.ReaderAt] too.
	blob(ctx context.Context, d descriptor) (io.ReadCloser, error)
}

// directory is a store in an OCI layout or a docker-archive.
type directory struct{ fsys fs.FS }

func (d directory) blob(_ context.Context, at descriptor) (io.ReadCloser, error) {
	name := at.path
	if name == "" {
		algorithm, hex, _ := strings.Cut(at.Digest, ":")
		name = "blobs/" + algorithm + "/" + hex
	}
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, errors.New("is no regular file")
	}
	return f, nil
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, maxManifest, name)
}

var digestForm = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

// newHash gives the hash of a digest's algorithm.
func newHash(digest string) (hash.Hash, error) {
	if !digestForm.MatchString(digest) {
		return nil, errors.New("its digest is neither a SHA-256 nor a SHA-512")
	}
	if strings.HasPrefix(digest, "sha512:") {
		return sha512.New(), nil
	}
	return sha256.New(), nil
}

// digestOf spells the sum of a hash like digest.
func digestOf(h hash.Hash, digest string) string {
	algorithm, _, _ := strings.Cut(digest, ":")
	return algorithm + ":" + hex.EncodeToString(h.Sum(nil))
}

var errDigest = errors.New("its content does not have its digest: not read")

// small reads a whole blob and checks it.
func (s *scan) small(d descriptor, limit int64) ([]byte, error) {
	r, err := s.store.blob(s.ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := bounded.ReadAll(r, limit, "blob")
	if err != nil || d.Digest == "" {
		return b, err
	}
	h, err := newHash(d.Digest)
	if err != nil {
		return nil, err
	}
	h.Write(b)
	if digestOf(h, d.Digest) != d.Digest {
		return nil, errDigest
	}
	return b, nil
}

// local finds the images of a directory: those of the index of an OCI layout, and those of a docker-archive's manifest,
// which Docker goes by, that are others.
func (s *scan) local(fsys fs.FS) error {
	var bad error
	if isLayout(fsys) {
		b, err := readFile(fsys, "index.json")
		if err == nil {
			err = s.manifest(b, descriptor{}, 0)
		}
		bad = err
	}
	for _, m := range dockerManifest(fsys) {
		config := blobAt(m.Config)
		if s.seen[config.Digest] && config.Digest != "" {
			continue
		}
		im := &image{}
		if len(m.RepoTags) > 0 {
			im.tag = m.RepoTags[0]
		}
		for _, l := range m.Layers {
			im.layers = append(im.layers, blobAt(l))
		}
		if err := s.add(im, config, descriptor{}); err != nil {
			return err
		}
	}
	if len(s.images) > 0 && bad != nil {
		return s.unread(s.target, "index.json", bad)
	}
	return bad
}

// dockerEntry is one image in the manifest.json of a docker-archive
// (github.com/moby/docker-image-spec, "Combined Image JSON + Filesystem Changeset Format").
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func dockerManifest(fsys fs.FS) []dockerEntry {
	b, err := readFile(fsys, "manifest.json")
	var all []dockerEntry
	if err != nil || json.Unmarshal(b, &all) != nil {
		return nil
	}
	var some []dockerEntry
	for _, m := range all {
		if m.Config != "" && m.Layers != nil {
			some = append(some, m)
		}
	}
	return some
}

// blobAt is the blob at a path of a docker-archive. Its digest is known where the path has it: blobs/sha256/…, or
// digest.json, which is the configuration.
func blobAt(name string) descriptor {
	d := descriptor{path: path.Clean("/" + name)[1:]}
	base := path.Base(d.path)
	digest := "sha256:" + strings.TrimSuffix(base, ".json")
	if (path.Dir(d.path) == "blobs/sha256" || strings.HasSuffix(base, ".json")) && digestForm.MatchString(digest) {
		d.Digest = digest
	}
	return d
}

// manifest reads a manifest or an index, which may be of Docker's or of OCI's media types: they have the same members.
func (s *scan) manifest(b []byte, at descriptor, depth int) error {
	var m struct {
		SchemaVersion int           `json:"schemaVersion"`
		Config        descriptor    `json:"config"`
		Layers        *[]descriptor `json:"layers"`
		Manifests     *[]descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return errors.New("the manifest is not what it should be")
	}
	switch {
	case m.SchemaVersion == 1:
		return errors.New("the manifest is of schema 1, which is not read")
	case m.Layers != nil:
		im := &image{tag: at.Annotations["org.opencontainers.image.ref.name"], layers: *m.Layers}
		return s.add(im, m.Config, at)
	case m.Manifests == nil:
		return errors.New("the manifest has neither layers nor manifests")
	case depth >= maxIndexes:
		return fmt.Errorf("more than %d indexes inside one another", maxIndexes)
	}
	for _, d := range *m.Manifests {
		switch {
		case d.Annotations["vnd.docker.reference.type"] != "":
			// github.com/moby/buildkit, docs/attestations/attestation-storage.md
			s.counts["attestations, which are no images"]++
			continue
		case d.Platform.String() != "" && !d.Platform.is(s.opt.Platform):
			s.counts["images for other platforms"]++
			continue
		case s.seen[d.Digest]:
			continue
		case len(s.seen) >= maxManifests:
			return fmt.Errorf("more than %d manifests", maxManifests)
		}
		s.seen[d.Digest] = true
		b, err := s.small(d, maxManifest)
		if _, local := s.store.(directory); local && errors.Is(err, fs.ErrNotExist) {
			s.counts["images whose manifest is not in it"]++ // docker save keeps the index of all platforms
			continue
		}
		if err == nil {
			err = s.manifest(b, d, depth+1)
		}
		if err != nil {
			if err := s.unread(s.target, "manifest "+d.Digest, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// add keeps an image, if it is for the platform that is asked for.
func (s *scan) add(im *image, config, at descriptor) error {
	if len(im.layers) > maxLayers {
		return fmt.Errorf("more than %d layers", maxLayers)
	}
	var c struct {
		platform
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	s.seen[config.Digest] = true
	b, err := s.small(config, maxConfig)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		if !errors.Is(err, errDigest) && !errors.Is(err, fs.ErrNotExist) {
			err = errors.New("cannot be read")
		}
		// The layers are there all the same.
		if err := s.unread(s.target, "configuration", err); err != nil {
			return err
		}
	}
	im.platform = c.platform
	if im.platform.String() == "" {
		im.platform = at.Platform
	}
	if !im.platform.is(s.opt.Platform) {
		s.counts["images for other platforms"]++
		return nil
	}
	if len(c.RootFS.DiffIDs) == len(im.layers) {
		im.diffIDs = c.RootFS.DiffIDs
	}
	s.images = append(s.images, im)
	return nil
}

// equalContent reports whether two readers give the same bytes.
func equalContent(a, b io.Reader) bool {
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false
		}
		if errA != nil || errB != nil {
			end := func(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
			return end(errA) && end(errB)
		}
	}
}
