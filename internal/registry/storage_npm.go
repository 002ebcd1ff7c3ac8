package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxStoredPackument bounds what is read of a package's metadata; those of npm's largest packages have some 40 MiB.
// maxStoredVersions bounds what is remembered of it: archives that lie beside it.
const (
	maxStoredPackument = 64 << 20
	maxStoredVersions  = 100_000
)

func isStoredNPM(base, _ string) bool { return strings.HasSuffix(base, ".tgz") }

// readStoredNPM reads an archive of Verdaccio: [@scope/]name/name-version.tgz beside the package.json in which
// Verdaccio keeps what it knows of all versions (github.com/verdaccio/verdaccio, local-storage.ts). Archives without
// it are read by name and place: the tree of a registry's URLs ([@scope/]name/-/name-version.tgz), or what `npm
// pack` left side by side.
func readStoredNPM(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "npm")
	dir, base := path.Split(in.Place())
	dir = strings.TrimSuffix(dir, "/")
	stem := strings.TrimSuffix(base, ".tgz")
	p := in.Once("verdaccio:"+path.Dir(in.Rel), func() any { return loadStoredPackument(in) }).(*storedPackument)
	if p.err != nil {
		// The archive is what it is. Without the metadata nobody knows where it came from.
		out.Send(rapsheet.Sighting{}, &rapsheet.Note{
			Kind: rapsheet.NoteInfo, Path: path.Join(path.Dir(in.Path), "package.json"),
			Message: "where the archives beside it came from is not known: " + inventory.Reason(p.err),
		})
	}
	var s stored
	if !p.verdaccio {
		s.layout = layoutNPM
		if path.Base(dir) == "-" {
			s.name = npmDirectory(path.Dir(dir))
			s.version, _ = strings.CutPrefix(stem, path.Base(s.name)+"-")
			if s.version == stem {
				s.version = ""
			}
		} else if s.name, s.version, _ = splitVersion(l.Ecosystem, stem, "-", false); s.name != "" && strings.HasPrefix(path.Base(dir), "@") {
			s.name = path.Base(dir) + "/" + s.name
		} else if strings.Contains(s.name, "-") && path.Base(dir) != s.name {
			// What `npm pack` calls scope-name-1.0.0.tgz may be @scope/name.
			return sendOpened(ctx, in, out, l, s)
		}
		return sendStored(ctx, in, out, l, s)
	}
	s.layout, s.name = layoutVerdaccio, npmDirectory(dir)
	a := p.archives[base]
	s.version = a.version
	if s.version == "" {
		if v, ok := strings.CutPrefix(stem, path.Base(s.name)+"-"); ok {
			s.version = v
		} else {
			_, s.version, _ = splitVersion(l.Ecosystem, stem, "-", false)
		}
	}
	if p.name != "" && p.name != s.name {
		s.also = p.name
		if !out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q is stored: both were looked up", p.name, s.name) {
			return l.End(inventory.ErrStopped)
		}
	}
	switch {
	case a.upstream != "":
		s.ev = l.Origin(a.upstream)
	case a.tarball != "":
		// Nobody but its own users gave it to this registry.
		s.ev = l.Registry(a.tarball)
	}
	s.ev.Digests = a.digests
	return sendStored(ctx, in, out, l, s)
}

// npmDirectory is the package that a directory is called after: its name, and that above if it is a scope.
func npmDirectory(dir string) string {
	above, name := path.Split(dir)
	if scope := path.Base(above); strings.HasPrefix(scope, "@") {
		return scope + "/" + name
	}
	return name
}

// storedPackument is what Verdaccio knows of the archives beside its package.json.
type storedPackument struct {
	// verdaccio says that it is Verdaccio's metadata and not the package.json of a project.
	verdaccio bool
	name      string
	archives  map[string]storedArchive
	err       error
}

type storedArchive struct {
	version string
	digests []rapsheet.Digest
	// upstream is where Verdaccio has found it, "" for one that was published here. tarball is the URL in the
	// version's own metadata.
	upstream, tarball string
}

func loadStoredPackument(in *inventory.File) *storedPackument {
	p := &storedPackument{archives: map[string]storedArchive{}}
	if in.FS == nil {
		return p
	}
	f, err := in.FS.Open(path.Join(path.Dir(in.Rel), "package.json"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.err = err
		}
		return p
	}
	defer f.Close()
	err = p.read(f, siblingNames(in, ".tgz", maxStoredVersions))
	var limit *bounded.LimitError
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &limit):
		err = limit
	case errors.As(err, &syntax):
		err = syntax.Err
	}
	p.err = err
	return p
}

// read reads metadata of any size as a stream and keeps what it says of the archives in here.
func (p *storedPackument) read(r io.Reader, here map[string]bool) error {
	d := packumentReader{jsontext.NewDecoder(bounded.Reader(r, maxStoredPackument, "file"),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	keep := func(file string, change func(*storedArchive)) {
		if here[file] {
			a := p.archives[file]
			change(&a)
			p.archives[file] = a
		}
	}
	return d.object(func(member string) (err error) {
		switch member {
		case "name":
			p.name, err = d.text()
			return err
		case "versions":
			return d.object(func(version string) error {
				var tarball, integrity, shasum string
				err := d.object(func(member string) error {
					if member != "dist" {
						return d.skip()
					}
					return d.texts(map[string]*string{"tarball": &tarball, "integrity": &integrity, "shasum": &shasum})
				})
				keep(tarballFile(tarball), func(a *storedArchive) {
					a.version, a.tarball = version, tarball
					a.add(integrity)
					a.sha1(shasum)
				})
				return err
			})
		case "_attachments":
			p.verdaccio = true
			return d.object(func(file string) error {
				var shasum, version string
				err := d.texts(map[string]*string{"shasum": &shasum, "version": &version})
				keep(file, func(a *storedArchive) {
					if a.version == "" {
						a.version = version
					}
					a.sha1(shasum)
				})
				return err
			})
		case "_distfiles":
			p.verdaccio = true
			return d.object(func(file string) error {
				var url string
				err := d.texts(map[string]*string{"url": &url})
				keep(file, func(a *storedArchive) { a.upstream = url })
				return err
			})
		}
		return d.skip()
	})
}

// tarballFile is the name under which Verdaccio keeps what a version's metadata gives as its archive: the last part
// of the URL's path.
func tarballFile(url string) string {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	return url[strings.LastIndexByte(url, '/')+1:]
}

func (a *storedArchive) add(integrity string) {
	for _, d := range ecosystem.Integrity(integrity) {
		if len(a.digests) < 16 && !containsDigest(a.digests, d) {
			a.digests = append(a.digests, d)
		}
	}
}

func (a *storedArchive) sha1(sum string) {
	if sum != "" {
		a.add("sha1:" + sum)
	}
}

func containsDigest(all []rapsheet.Digest, d rapsheet.Digest) bool {
	for _, have := range all {
		if have == d {
			return true
		}
	}
	return false
}

// packumentReader reads JSON of which little is wanted.
type packumentReader struct{ d *jsontext.Decoder }

func (r packumentReader) skip() error { return r.d.SkipValue() }

// object calls member for each member of an object, which must read the value. Any other value is skipped: other
// programs wrote it, and what follows may be fine.
func (r packumentReader) object(member func(name string) error) error {
	if r.d.PeekKind() != '{' {
		return r.skip()
	}
	if _, err := r.d.ReadToken(); err != nil {
		return err
	}
	for r.d.PeekKind() == '"' {
		name, err := r.d.ReadToken()
		if err != nil {
			return err
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	end, err := r.d.ReadToken()
	if err == nil && end.Kind() != '}' {
		err = fmt.Errorf("%s where a member should be", end.Kind())
	}
	return err
}

// text reads a string; "" for another value.
func (r packumentReader) text() (string, error) {
	if r.d.PeekKind() != '"' {
		return "", r.skip()
	}
	t, err := r.d.ReadToken()
	if err != nil {
		return "", err
	}
	return t.String(), nil
}

// texts reads the members of an object that are in into.
func (r packumentReader) texts(into map[string]*string) error {
	return r.object(func(name string) (err error) {
		if at := into[name]; at != nil {
			*at, err = r.text()
			return err
		}
		return r.skip()
	})
}
