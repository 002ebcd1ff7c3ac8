// Package pkgarchive says which package an archive is: a wheel or sdist, an npm tarball, a nupkg, a crate, a gem,
// a jar, a vsix, a Go module, a Composer package.
//
// Flow: a reader of caches, registries or trees has an archive and its file name, and asks [Read]. What the archive
// says of itself and what its file name says are both answered: either may have been changed by somebody.
//
// Promise: archives are hostile. Only the directory of a zip and the few members that name the package are read, within
// limits of size, count, ratio and depth; nothing is extracted to disk, and member names are data. Where an archive
// names itself twice, both names are given, since readers of archives differ in which one they take.
package pkgarchive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Limits of one archive, from bad-inputs.md ("Limits"). They are far above what registries accept: the largest
// wheels have some 50,000 members and 1 GiB.
const (
	maxMembers   = 500_000
	maxDirectory = 16 << 20 // bytes of a zip's directory
	maxTar       = 4 << 30  // bytes of a tar, decompressed
	maxMember    = 8 << 20  // bytes of a member that names a package
	maxNested    = 64 << 20 // bytes of a compressed archive inside an archive; one that is stored is read in place
	maxTotal     = 512 << 20
	maxDepth     = 3      // archives inside archives
	maxPackages  = 10_000 // a shaded jar has some hundreds
	maxUnread    = 20     // members of which it is said why they could not be read
)

// Formats of archives. The format says who wrote it, not how it is compressed.
const (
	Wheel    = "wheel"
	Egg      = "egg"
	SDist    = "sdist"
	NPM      = "npm-tarball"
	NuGet    = "nupkg"
	Crate    = "crate"
	Gem      = "gem-file"
	Jar      = "jar"
	VSIX     = "vsix"
	GoModule = "go-module-zip"
	Composer = "composer-zip"
)

// ErrUnknown says that neither the name nor the content of an archive is that of a package.
var ErrUnknown = errors.New("not a package archive")

// Package is one package that an archive is or holds.
type Package struct {
	// Ecosystem is the OSV ecosystem, Name and Version are as spelled in the archive. Version may be "".
	Ecosystem, Name, Version string
	// Member is the member that says so, "" for the archive's own file name; "!/" leads into an archive inside it.
	Member string
}

// Found is what an archive turned out to be.
type Found struct {
	// Format is one of the formats above.
	Format string
	// Packages are what the content says: one, but for jars with others inside and for archives that name
	// themselves twice. Names are not yet held to any limit but that of the member.
	Packages []Package
	// Named is what the file name says, if that is another package than those inside; nil if it says
	// the same, or nothing.
	Named *Package
	// Sure says that the name or the layout is one that a registry serves, and not that of a source tree that
	// has a manifest at its top.
	Sure bool
	// Unread are members that could not be read, "member: reason", of which the first 20 are kept; UnreadCount
	// counts all.
	Unread      []string
	UnreadCount int
}

// Read says which package the archive at is, whose size is in bytes and whose file is called base. With an error,
// what was found before it stands; [ErrUnknown] is an archive, or a file, of another kind. It is safe to use
// concurrently, and stops when ctx is done.
func Read(ctx context.Context, at io.ReaderAt, size int64, base string) (Found, error) {
	r := &reader{ctx: ctx, left: maxTotal}
	format, named, _ := ByName(base)
	r.byName = format
	err := r.archive(bounded.ContextAt(ctx, at), size)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	r.settle(base, named, err != nil)
	if err == nil && r.found.Format == "" {
		err = ErrUnknown
	}
	return r.found, err
}

// claim is a package that the content speaks for, in a format.
type claim struct {
	format string
	sure   bool
	pkg    Package
}

// reader reads one archive and those inside it.
type reader struct {
	ctx    context.Context
	byName string // the format that the file name says
	left   int64  // bytes that members may still have
	claims []claim
	// seen are the formats that the layout shows, also where no member could be read.
	seen  map[string]bool
	found Found
}

// archive reads an archive by its first bytes, or, if it begins with something else, as the zip that its name says:
// executable jars begin with a shell script.
func (r *reader) archive(at io.ReaderAt, size int64) error {
	head := make([]byte, min(size, 512))
	if _, err := at.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")), zipFormat(r.byName):
		return r.zip(at, size, "", 0)
	case isTar(head), bytes.HasPrefix(head, []byte{0x1f, 0x8b}), bytes.HasPrefix(head, []byte("BZh")), bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return r.tar(io.NewSectionReader(at, 0, size))
	case r.byName != "":
		return errors.New("is neither a zip nor a tar")
	}
	return ErrUnknown
}

func zipFormat(format string) bool {
	switch format {
	case Wheel, Egg, NuGet, Jar, VSIX:
		return true
	}
	return false
}

func isTar(head []byte) bool { return len(head) == 512 && string(head[257:262]) == "ustar" }

// add keeps a package that a member speaks for.
func (r *reader) add(format string, sure bool, p Package) {
	r.see(format)
	if p.Name == "" || len(r.claims) >= maxPackages {
		return
	}
	for _, c := range r.claims {
		if c.format == format && c.pkg.Ecosystem == p.Ecosystem && c.pkg.Name == p.Name && c.pkg.Version == p.Version {
			return
		}
	}
	r.claims = append(r.claims, claim{format, sure, p})
}

func (r *reader) see(format string) {
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[format] = true
}

// unread counts a member that could not be read.
func (r *reader) unread(member string, err error) {
	if r.found.UnreadCount++; len(r.found.Unread) < maxUnread {
		r.found.Unread = append(r.found.Unread, clip(member)+": "+err.Error())
	}
}

// clip shortens a name for a message.
func clip(s string) string {
	const limit = 200
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// strength orders formats by how surely their layout is nobody else's.
var strength = []string{Gem, Wheel, Egg, VSIX, NuGet, GoModule, Jar, SDist, Crate, NPM, Composer}

// settle decides which of the claims count: those of the format that the file name says, those of layouts that only a
// registry serves, and else those of the one format whose layout is the most telling. An sdist may well have a
// package.json and a Cargo.toml at its top. broken says that the archive was not read to its end.
func (r *reader) settle(base string, named Package, broken bool) {
	f := &r.found
	if r.seen[r.byName] {
		f.Format = r.byName
	} else {
		for _, s := range strength {
			if r.seen[s] {
				f.Format = s
				break
			}
		}
		if r.byName == NPM && !broken {
			// Charts of Helm and much else are called .tgz, too.
			r.byName, named = "", Package{}
		}
	}
	if f.Format == "" {
		f.Format = r.byName
	}
	for _, c := range r.claims {
		if c.format == f.Format || c.sure {
			f.Packages = append(f.Packages, c.pkg)
			f.Sure = f.Sure || c.sure
		}
	}
	f.Sure = f.Sure || r.byName != ""
	if f.Format == SDist && named.Name == "" {
		named = sdistName(base)
	}
	if named.Name != "" && !slices.ContainsFunc(f.Packages, func(p Package) bool { return agree(named, p) }) {
		f.Named = &named
	}
}

// agree reports whether the content's package is the one that the file name says. In the file names of npm the scope
// is missing (the registry's) or joined with a dash (what npm pack writes), in those of others letters may differ.
func agree(named, p Package) bool {
	eco, ok := ecosystem.Find(p.Ecosystem)
	if !ok || named.Ecosystem != p.Ecosystem || named.Version != p.Version && !eco.EqualVersion(named.Version, p.Version) {
		return false
	}
	if eco.Canonical(named.Name) == eco.Canonical(p.Name) {
		return true
	}
	scope, name, scoped := strings.Cut(strings.TrimPrefix(p.Name, "@"), "/")
	return p.Ecosystem == "npm" && scoped && (named.Name == name || named.Name == scope+"-"+name)
}

// text is a member's text; one that is not UTF-8 names nothing.
func text(b []byte) (string, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if !utf8.Valid(b) {
		return "", errors.New("not UTF-8")
	}
	return string(b), nil
}

// spend takes n bytes from what members may have in all.
func (r *reader) spend(n int64) error {
	if r.left -= n; r.left < 0 {
		return fmt.Errorf("members with more than %d bytes in all", int64(maxTotal))
	}
	return nil
}
