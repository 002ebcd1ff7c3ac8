// Package osvfeed makes claims of OSV documents: those of an
// ossf/malicious-packages tree ([Tree], [Revision]), of any file, directory or
// archive ([Documents]), and of a dump in OSV.dev's layout ([Dump]).
//
// Flow: a place → package source's stream of raw documents, or git's objects by
// plumbing → [Parse], which is the same for all of them → claims.
//
// Promise: nothing a document says about versions is lost on the way to its
// claims, except what a source's own later statement replaced; and who said what
// stays apart: a record that upstream merged of several origins becomes one claim
// per origin again.
package osvfeed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"path/filepath"
	"strings"

	"github.com/rapsheet/rapsheet/internal/source"
)

// Feed is a source of OSV documents; make one with [Tree], [Revision], [Documents] or [Dump].
type Feed struct {
	// Limits bound what is read; fields that are zero have their defaults.
	Limits source.Limits
	// Options are those of the update that a dump begins with.
	Options source.Options

	name     string
	complete bool
	read     func(ctx context.Context, f *Feed) iter.Seq2[source.Document, error]
}

// Tree is an ossf/malicious-packages tree at path: a directory, a git checkout
// (its work tree is read), a bare git repository (its HEAD is), or an archive that
// [source.Documents] reads. Of it the documents below osv/malicious and
// osv/withdrawn are taken; path may also be one of these directories, or osv.
// Name is a slug.
func Tree(path, name string) *Feed {
	return &Feed{name: name, complete: true, read: func(ctx context.Context, f *Feed) iter.Seq2[source.Document, error] {
		if isBare(path) {
			return inLayout(path, "", revision(ctx, path, "HEAD", f.Limits))
		}
		return inLayout(path, layoutPrefix(path), source.Documents(ctx, path, f.Limits))
	}}
}

// Revision is an ossf/malicious-packages tree at a revision (a commit, branch, tag or tree
// in git's notation) of the git repository at path, bare or with a work tree. It
// needs git on the PATH, and reads objects only: nothing is checked out, and
// filters, hooks, submodules and remotes are not used.
func Revision(path, rev, name string) *Feed {
	return &Feed{name: name, complete: true, read: func(ctx context.Context, f *Feed) iter.Seq2[source.Document, error] {
		return inLayout(path, "", revision(ctx, path, rev, f.Limits))
	}}
}

// Documents is whatever OSV documents [source.Documents] finds at path. It is
// not complete: a document that is gone says nothing.
func Documents(path, name string) *Feed {
	return &Feed{name: name, read: func(ctx context.Context, f *Feed) iter.Seq2[source.Document, error] {
		return source.Documents(ctx, path, f.Limits)
	}}
}

// Dump is a dump in OSV.dev's layout, of which stateDir keeps a copy that each
// Fetch brings up to date ([source.Dump.Update]). An ecosystem that could not be
// updated ends the Fetch: what is held of it may not be the source's state.
func Dump(d *source.Dump, stateDir, name string) *Feed {
	return &Feed{name: name, complete: true, read: func(ctx context.Context, f *Feed) iter.Seq2[source.Document, error] {
		return func(yield func(source.Document, error) bool) {
			if _, err := d.Update(ctx, stateDir, f.Options); err != nil {
				yield(source.Document{}, err)
				return
			}
			for doc, err := range source.Stored(stateDir) {
				if cause := context.Cause(ctx); cause != nil {
					yield(source.Document{}, fmt.Errorf("%s: %w", stateDir, cause))
					return
				}
				if !yield(doc, err) {
					return
				}
			}
		}
	}}
}

// Info describes the feed; its Kind is "osv".
func (f *Feed) Info() source.Info {
	return source.Info{Name: f.name, Kind: "osv", Complete: f.complete}
}

// Fetch streams all documents; since is not used.
func (f *Feed) Fetch(ctx context.Context, _ string) iter.Seq2[source.Document, error] {
	return f.read(ctx, f)
}

// Cursor is "": a fetch always gives everything.
func (f *Feed) Cursor() string { return "" }

// Parse is [Parse] in the feed's name.
func (f *Feed) Parse(doc source.Document) (source.Parsed, error) { return Parse(doc, f.name) }

var _ source.Source = (*Feed)(nil)

// Directories of upstream's layout (https://github.com/ossf/malicious-packages,
// "osv/malicious/<ecosystem>/<name>/<ID>.json").
const (
	maliciousDir = "osv/malicious/"
	withdrawnDir = "osv/withdrawn/"
)

// layoutPrefix is what the names of documents below dir lack when dir is a part
// of upstream's layout itself.
func layoutPrefix(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	abs = filepath.ToSlash(abs) + "/"
	for _, prefix := range []string{maliciousDir, withdrawnDir, "osv/"} {
		if strings.HasSuffix(abs, "/"+prefix) {
			return prefix
		}
	}
	return ""
}

// inLayout keeps what is in upstream's layout. A checkout has other JSON files,
// some of them records made for tests.
func inLayout(name, prefix string, documents iter.Seq2[source.Document, error]) iter.Seq2[source.Document, error] {
	return func(yield func(source.Document, error) bool) {
		found := false
		for doc, err := range documents {
			doc.Name = prefix + doc.Name
			var reject *source.Reject
			switch {
			case errors.As(err, &reject):
				reject = &source.Reject{Name: prefix + reject.Name, Reason: reject.Reason}
				_, in := placeOf(reject.Name)
				// What is no document may be a directory of them that was not entered.
				if !in && strings.EqualFold(path.Ext(reject.Name), ".json") {
					continue
				}
				err = reject
			case err == nil:
				if _, in := placeOf(doc.Name); !in {
					continue
				}
				found = true
			default:
				doc, found = source.Document{}, true
			}
			if !yield(doc, err) {
				return
			}
		}
		if !found {
			yield(source.Document{}, fmt.Errorf("%s: no document below osv/malicious or osv/withdrawn: %w", name, source.ErrNoRecords))
		}
	}
}

// place is where upstream's layout puts a document.
type place struct {
	withdrawn bool
	// name is the package's, lower case; "" when the path is too short to have one.
	name string
}

// placeOf reads a document's name; in is false when it is not in upstream's layout.
func placeOf(name string) (p place, in bool) {
	slashed := "/" + name
	for _, dir := range []string{maliciousDir, withdrawnDir} {
		_, rest, ok := strings.Cut(slashed, "/"+dir)
		if !ok {
			continue
		}
		_, rest, _ = strings.Cut(rest, "/") // the ecosystem
		return place{withdrawn: dir == withdrawnDir, name: rest[:max(strings.LastIndexByte(rest, '/'), 0)]}, true
	}
	return place{}, false
}
