// Package archive reads archives: the packages that lie as files in a tree, and tars and zips as trees of their own.
//
// Flow: [Kinds] is the table for a walk of package inventory: each wheel, tarball, crate or jar is asked which package it
// is, through package pkgarchive. [Scan] reads one archive that the user named: the package that it is, if it is one,
// and then, like a directory, everything inside it. [Open] makes the tree that both this and container images walk.
//
// Promise: nothing is extracted to where its name says. A zip and a plain tar are read in place; a compressed tar is
// decompressed once, into an unnamed temporary file. Names are data: what leads out of the archive is read as if it
// stood at its root, links are not followed, devices are not made. Sizes, counts, ratios and depths are bounded, and
// what was left out is counted in a note.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// maxSDist is the size up to which a name-version.tar.gz that lies about is looked into, in bytes: PyPI takes no more
// by default.
const maxSDist = 100 << 20

// Kinds gives the archives of packages that lie in a tree as files: a vendored jar, an offline mirror, a download.
// Caches know more about theirs; their kinds come before these.
func Kinds() []inventory.Kind {
	kind := func(name string, extensions ...string) inventory.Kind {
		return inventory.Kind{Name: name, Read: readPackage, Match: func(base, _ string) bool {
			for _, ext := range extensions {
				if hasExtension(base, ext) {
					return true
				}
			}
			return false
		}}
	}
	kinds := []inventory.Kind{
		kind(pkgarchive.Wheel, ".whl"), kind(pkgarchive.Egg, ".egg"), kind(pkgarchive.NPM, ".tgz"), kind(pkgarchive.NuGet, ".nupkg"),
		kind(pkgarchive.Crate, ".crate"), kind(pkgarchive.Gem, ".gem"), kind(pkgarchive.Jar, ".jar", ".war", ".ear"), kind(pkgarchive.VSIX, ".vsix"),
		{Name: pkgarchive.SDist, Match: isSDist, Read: readSDist},
	}
	for i, k := range kinds {
		if k.Name == pkgarchive.Wheel || k.Name == pkgarchive.Jar {
			kinds[i].Dir = runsFrom
		}
	}
	return kinds
}

// runsFrom reports whether wheels and jars in a directory are there to be run from. Packages of Python bring them along
// for that (the wheels of virtualenv, the jars of pyspark); in what was unpacked from npm, Go and Cargo they are material
// of tests, and often broken on purpose.
func runsFrom(dir string) bool {
	return !strings.Contains(dir, "/node_modules") && !strings.Contains(dir, "/pkg/mod") && !strings.Contains(dir, "/registry/src")
}

// hasExtension compares without regard to case, and without allocating.
func hasExtension(base, ext string) bool {
	return len(base) > len(ext) && strings.EqualFold(base[len(base)-len(ext):], ext)
}

// isSDist matches name-1.0.tar.gz.
func isSDist(base, _ string) bool {
	stem, ok := strings.CutSuffix(base, ".tar.gz")
	if !ok {
		return false
	}
	i := strings.LastIndexByte(stem, '-')
	return i > 0 && i+1 < len(stem) && stem[i+1] >= '0' && stem[i+1] <= '9'
}

// sdistForm matches the names that PyPI takes for sdists (packaging.python.org/en/latest/specifications/source-distribution-format):
// a name, which had dashes in it before PEP 625, and a version of PEP 440 in its normal form.
var sdistForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._]*(?:-[A-Za-z][A-Za-z0-9._]*)*-(?:\d+!)?\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?\.tar\.gz$`)

// readSDist looks into a name-1.0.tar.gz, which may be anything: a backup, the source of a program. So one that is whole
// and no package is no matter, and one that is larger than packages are is a note, but nothing that makes a scan
// incomplete: else every home with a release of Linux in it would be. One that is damaged, and so small and so named that
// it may be a package, is unread. Those with a date or something else of their own in the name are backups.
func readSDist(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	if in.Size > maxSDist {
		out.Note(rapsheet.NoteInfo, 0, "named like a source package, and larger than those are (%d bytes): not read", int64(maxSDist))
		return nil
	}
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return err
	}
	defer done()
	base := path.Base(in.Path)
	found, err := pkgarchive.Read(ctx, at, size, base)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case found.Sure || found.Format == pkgarchive.SDist && found.UnreadCount > 0:
		return send(ctx, in, out, at, size, found, err)
	case err == nil || errors.Is(err, pkgarchive.ErrUnknown):
		return nil
	case sdistForm.MatchString(base):
		return fmt.Errorf("named like a source package: %w", err)
	}
	out.Note(rapsheet.NoteInfo, 0, "an archive that cannot be read, by its name no package: %v", err)
	return nil
}

func readPackage(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return err
	}
	defer done()
	found, err := pkgarchive.Read(ctx, at, size, path.Base(in.Path))
	if errors.Is(err, pkgarchive.ErrUnknown) {
		return nil // a chart of Helm, say, which is a .tgz as well
	}
	return send(ctx, in, out, at, size, found, err)
}

// jarForm is the name of a jar in Maven's layout, artifact-version.jar, without the extension.
var jarForm = regexp.MustCompile(`^(.+?)-(\d[0-9A-Za-z._+-]*)$`)

// jarName is what a jar that does not say which package it is, is called.
func jarName(base string) rapsheet.Package {
	p := rapsheet.Package{Ecosystem: pkgarchive.Jar, Name: strings.TrimSuffix(base, path.Ext(base))}
	if m := jarForm.FindStringSubmatch(p.Name); m != nil {
		p.Name, p.Version = m[1], m[2]
	}
	return p
}

// send sends what an archive was found to be; bad is the error of reading it. Nobody knows where a file that lies
// about came from: its origin stays unknown.
func send(ctx context.Context, in *inventory.File, out *inventory.Sink, at io.ReaderAt, size int64, found pkgarchive.Found, bad error) error {
	digests, err := in.Digests(at, size)
	if err != nil {
		return err
	}
	own := rapsheet.Evidence{Digests: digests}
	lists := map[string]*inventory.List{}
	add := func(p pkgarchive.Package, ev rapsheet.Evidence) error {
		l := lists[p.Ecosystem]
		if l == nil {
			l = inventory.NewList(ctx, out, p.Ecosystem)
			lists[p.Ecosystem] = l
		}
		return l.Add(p.Name, p.Version, 0, ev)
	}
	err = func() error {
		for _, p := range found.Packages {
			ev := own
			if strings.Contains(p.Member, "!/") {
				ev = rapsheet.Evidence{}
			}
			if err := add(p, ev); err != nil {
				return err
			}
		}
		if found.Named == nil {
			return nil
		}
		if len(found.Packages) > 0 {
			p := found.Packages[0]
			if !out.Note(rapsheet.NoteInfo, 0, "says %q inside and %q in its name: both were looked up", p.Name+"@"+p.Version, found.Named.Name+"@"+found.Named.Version) {
				return inventory.ErrStopped
			}
		}
		return add(*found.Named, own)
	}()
	for _, p := range append(found.Packages, pkgarchive.Package{}) {
		if l := lists[p.Ecosystem]; l != nil {
			delete(lists, p.Ecosystem)
			if e := l.End(err); err == nil {
				err = e
			}
		}
	}
	for _, l := range lists {
		if e := l.End(err); err == nil { // that of the file name alone
			err = e
		}
	}
	if errors.Is(err, inventory.ErrStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.UnreadCount > 0 {
		out.Send(rapsheet.Sighting{}, &rapsheet.Note{
			Kind: rapsheet.NoteUnread, Path: in.Path, Count: found.UnreadCount,
			Message: fmt.Sprintf("%d members could not be read: %s", found.UnreadCount, strings.Join(found.Unread, "; ")),
		})
	}
	if bad == nil && found.UnreadCount == 0 && len(found.Packages) == 0 && found.Named == nil {
		if found.Format == pkgarchive.Jar && len(digests) > 0 {
			// Without a group there is no name to look up, so this is in no ecosystem: package match looks its digests
			// up, and makes it the note that is made here if none is on record.
			out.Sighting(jarName(path.Base(in.Path)), 0, own)
			return nil
		}
		out.Note(rapsheet.NoteUnmatchable, 0, "%s archive that does not say which package it is", found.Format)
	}
	return bad
}
