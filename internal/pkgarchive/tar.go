package pkgarchive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// tar reads a tar, compressed or not, to its end: where it has a member twice, an unpacker takes the last.
func (r *reader) tar(in io.Reader) error {
	plain, err := bounded.DecompressArchive(in, maxTar)
	if err != nil {
		return err
	}
	defer plain.Close()
	t := tar.NewReader(plain)
	for n := 0; ; n++ {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return err
		case n >= maxMembers:
			return fmt.Errorf("more than %d members", maxMembers)
		case h.Typeflag != tar.TypeReg:
			continue
		}
		m, ok := r.tarMember(h.Name)
		if !ok {
			continue
		}
		r.see(m.format)
		if err := r.tarRead(t, h, m); err != nil {
			r.unread(h.Name, err)
		}
	}
}

func (r *reader) tarRead(t io.Reader, h *tar.Header, m member) error {
	if h.Size > maxMember {
		return &bounded.LimitError{What: "member", Limit: maxMember}
	}
	if err := r.spend(h.Size); err != nil {
		return err
	}
	b, err := bounded.ReadAll(t, maxMember, "member")
	if err != nil {
		return err
	}
	return m.read(r, b, h.Name)
}

// tarMember says how to read a member of a tar, by its name.
func (r *reader) tarMember(name string) (m member, ok bool) {
	name = strings.TrimPrefix(name, "./")
	switch name {
	case "metadata.gz": // https://guides.rubygems.org/specification-reference/, Gem::Package
		return member{Gem, func(r *reader, b []byte, name string) error {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				return err
			}
			if b, err = bounded.ReadAll(z, maxMember, "member"); err != nil {
				return err
			}
			return r.gemspec(b, name)
		}}, true
	case "metadata": // before rubygems 1.0
		return member{Gem, (*reader).gemspec}, r.byName == Gem
	}
	dir, base := path.Split(name)
	if strings.Count(dir, "/") != 1 {
		return member{}, false
	}
	switch base {
	case "PKG-INFO":
		return member{SDist, func(r *reader, b []byte, name string) error { return r.coreMetadata(SDist, b, name) }}, true
	case "package.json": // npm takes the first part of every path off, whatever it is
		return member{NPM, (*reader).packageJSON}, true
	case "Cargo.toml":
		return member{Crate, (*reader).cargoTOML}, true
	case "composer.json":
		return member{Composer, (*reader).composerJSON}, true
	}
	return member{}, false
}
