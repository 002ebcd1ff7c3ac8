package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

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
		} else if s.name, s.version = splitVersion(l.Ecosystem, stem, "-", false); s.name != "" && strings.HasPrefix(path.Base(dir), "@") {
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
			_, s.version = splitVersion(l.Ecosystem, stem, "-", false)
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
	keep := func(file []byte, change func(*storedArchive)) {
		if here[string(file)] {
			a := p.archives[string(file)]
			change(&a)
			p.archives[string(file)] = a
		}
	}
	// Of most versions there is no archive: nothing is allocated for them.
	var key, tarball, integrity, shasum, version []byte
	return d.object(func(member []byte) (err error) {
		switch string(member) {
		case "name":
			name, err := d.text(nil)
			p.name = string(name)
			return err
		case "versions":
			return d.object(func(member []byte) error {
				key, tarball, integrity, shasum = append(key[:0], member...), tarball[:0], integrity[:0], shasum[:0]
				err := d.object(func(member []byte) error {
					if string(member) != "dist" {
						return d.skip()
					}
					return d.object(func(member []byte) (err error) {
						switch string(member) {
						case "tarball":
							tarball, err = d.text(tarball)
						case "integrity":
							integrity, err = d.text(integrity)
						case "shasum":
							shasum, err = d.text(shasum)
						default:
							err = d.skip()
						}
						return err
					})
				})
				keep(tarballFile(tarball), func(a *storedArchive) {
					a.version, a.tarball = string(key), string(tarball)
					a.add(string(integrity))
					a.sha1(string(shasum))
				})
				return err
			})
		case "_attachments":
			p.verdaccio = true
			return d.object(func(member []byte) error {
				key, shasum, version = append(key[:0], member...), shasum[:0], version[:0]
				err := d.object(func(member []byte) (err error) {
					switch string(member) {
					case "shasum":
						shasum, err = d.text(shasum)
					case "version":
						version, err = d.text(version)
					default:
						err = d.skip()
					}
					return err
				})
				keep(key, func(a *storedArchive) {
					if a.version == "" {
						a.version = string(version)
					}
					a.sha1(string(shasum))
				})
				return err
			})
		case "_distfiles":
			p.verdaccio = true
			return d.object(func(member []byte) error {
				key, tarball = append(key[:0], member...), tarball[:0]
				err := d.object(func(member []byte) (err error) {
					if string(member) != "url" {
						return d.skip()
					}
					tarball, err = d.text(tarball)
					return err
				})
				keep(key, func(a *storedArchive) { a.upstream = string(tarball) })
				return err
			})
		}
		return d.skip()
	})
}

// tarballFile is the name under which Verdaccio keeps what a version's metadata gives as its archive: the last part
// of the URL's path.
func tarballFile(url []byte) []byte {
	if i := bytes.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	return url[bytes.LastIndexByte(url, '/')+1:]
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

// object calls member for each member of an object, which must read the value; name is valid until it reads. Any
// other value is skipped: other programs wrote it, and what follows may be fine.
func (r packumentReader) object(member func(name []byte) error) error {
	if r.d.PeekKind() != '{' {
		return r.skip()
	}
	if _, err := r.d.ReadToken(); err != nil {
		return err
	}
	for r.d.PeekKind() == '"' {
		raw, err := r.d.ReadValue()
		if err != nil {
			return err
		}
		name := raw[1 : len(raw)-1]
		if bytes.IndexByte(name, '\\') >= 0 || !utf8.Valid(name) {
			name = unquote(nil, raw)
		}
		if err := member(name); err != nil {
			return err
		}
	}
	end, err := r.d.ReadToken()
	if err == nil && end.Kind() != '}' {
		err = fmt.Errorf("%s where a member should be", end.Kind())
	}
	return err
}

// text appends a string to to, and nothing of another value.
func (r packumentReader) text(to []byte) ([]byte, error) {
	if r.d.PeekKind() != '"' {
		return to, r.skip()
	}
	raw, err := r.d.ReadValue()
	if err != nil {
		return to, err
	}
	return unquote(to, raw), nil
}

// unquote appends a string that the decoder has read. All that can be wrong with it is its UTF-8, for which
// the replacement character then stands.
func unquote(to []byte, raw jsontext.Value) []byte {
	to, _ = jsontext.AppendUnquote(to, raw)
	return to
}
