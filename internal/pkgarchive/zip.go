package pkgarchive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// zip reads a zip at depth, which is inside what prefix says.
func (r *reader) zip(at io.ReaderAt, size int64, prefix string, depth int) error {
	z, err := bounded.Zip(at, size, maxDirectory)
	if err != nil {
		return err
	}
	if len(z.File) > maxMembers {
		return fmt.Errorf("more than %d members", maxMembers)
	}
	var wanted []*zip.File
	var readers []member
	goModule := ""
	for i, f := range z.File {
		if m, ok := zipMember(f.Name); ok {
			wanted, readers = append(wanted, f), append(readers, m)
		}
		// https://go.dev/ref/mod#zip-path-size-constraints: every file is below module@version/.
		if prefix := modulePrefix(f.Name); i == 0 {
			goModule = prefix
		} else if prefix != goModule {
			goModule = ""
		}
	}
	if goModule != "" && depth == 0 {
		name, version, _ := strings.Cut(strings.TrimSuffix(goModule, "/"), "@")
		r.add(GoModule, true, Package{Ecosystem: "Go", Name: name, Version: version, Member: goModule})
	}
	_, odd, err := Entries(r.ctx, at, z.File)
	if err != nil {
		return err
	}
	if len(odd) > 0 {
		defer func() { r.unread(hiddenName(prefix, z.File, odd), ErrHidden) }()
	}
	for i, f := range wanted {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		m := readers[i]
		name := prefix + f.Name
		if m.format == nested {
			if err := r.nested(at, f, name, depth+1); err != nil {
				r.see(Jar)
				r.unread(name, err)
			}
			continue
		}
		if depth > 0 && m.format != Jar {
			continue // only Java has archives inside archives
		}
		r.see(m.format)
		b, err := r.open(f, maxMember)
		if err == nil {
			err = m.read(r, b, name)
		}
		if err != nil {
			r.unread(name, err)
		}
	}
	return nil
}

// hiddenName names the first entry that is not what the directory says.
func hiddenName(prefix string, files []*zip.File, odd []int) string {
	if odd[0] < len(files) {
		return prefix + files[odd[0]].Name
	}
	return prefix + "behind the last entry"
}

// open reads a member, within the limits.
func (r *reader) open(f *zip.File, limit int64) ([]byte, error) {
	switch {
	case f.Mode()&^0o7777 != 0 && !f.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	case f.UncompressedSize64 > uint64(limit):
		return nil, &bounded.LimitError{What: "member", Limit: limit}
	case f.UncompressedSize64 > 1<<20 && f.UncompressedSize64/200 > f.CompressedSize64:
		return nil, bounded.ErrRatio
	}
	if err := r.spend(int64(f.UncompressedSize64)); err != nil {
		return nil, err
	}
	rc, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return bounded.ReadAll(rc, limit, "member")
}

// nested reads an archive inside an archive. One that is stored is read where it is.
func (r *reader) nested(at io.ReaderAt, f *zip.File, name string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("more than %d archives inside one another: not opened", maxDepth)
	}
	if f.Method == zip.Store && f.CompressedSize64 == f.UncompressedSize64 && f.Flags&1 == 0 {
		start, err := f.DataOffset()
		if err != nil {
			return err
		}
		size := int64(f.UncompressedSize64)
		return r.zip(io.NewSectionReader(at, start, size), size, name+"!/", depth)
	}
	b, err := r.open(f, maxNested)
	if err != nil {
		return err
	}
	return r.zip(bytes.NewReader(b), int64(len(b)), name+"!/", depth)
}

// member is how one member that names a package is read.
type member struct {
	format string
	read   func(r *reader, b []byte, name string) error
}

// nested marks archives inside archives.
const nested = "nested"

// zipMember says how to read a member of a zip, by its name; ok is false for the many of no interest.
func zipMember(name string) (m member, ok bool) {
	if strings.Contains(name, `\`) {
		name = strings.ReplaceAll(name, `\`, "/") // some writers on Windows
	}
	name = strings.TrimPrefix(name, "./")
	dir, base := path.Split(name)
	switch base {
	case "METADATA":
		if strings.HasSuffix(dir, ".dist-info/") && strings.Count(dir, "/") == 1 {
			return member{Wheel, func(r *reader, b []byte, name string) error { return r.coreMetadata(Wheel, b, name) }}, true
		}
	case "PKG-INFO":
		switch {
		case dir == "EGG-INFO/":
			return member{Egg, func(r *reader, b []byte, name string) error { return r.coreMetadata(Egg, b, name) }}, true
		case strings.Count(dir, "/") == 1:
			return member{SDist, func(r *reader, b []byte, name string) error { return r.coreMetadata(SDist, b, name) }}, true
		}
	case "package.json":
		if dir == "extension/" {
			return member{VSIX, (*reader).extensionJSON}, true
		}
	case "extension.vsixmanifest":
		if dir == "" {
			return member{VSIX, (*reader).extensionXML}, true
		}
	case "pom.properties":
		if strings.HasPrefix(dir, "META-INF/maven/") {
			return member{Jar, (*reader).pomProperties}, true
		}
	case "MANIFEST.MF":
		if dir == "META-INF/" {
			return member{Jar, func(*reader, []byte, string) error { return nil }}, true
		}
	case "composer.json":
		if strings.Count(dir, "/") <= 1 {
			return member{Composer, (*reader).composerJSON}, true
		}
	}
	switch path.Ext(base) {
	case ".nuspec", ".NUSPEC":
		if dir == "" {
			return member{NuGet, (*reader).nuspec}, true
		}
	case ".jar", ".war":
		return member{format: nested}, true
	}
	return member{}, false
}

var module = regexp.MustCompile(`^[^@]+@v\d[^/@]*/`)

// modulePrefix gives the module@version/ that a member is below, "" if it is not.
func modulePrefix(name string) string {
	if !strings.Contains(name, "@v") {
		return ""
	}
	return module.FindString(name)
}
