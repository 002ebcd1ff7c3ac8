// Package claimfile reads and writes claim files: the project's own text format
// for what is known about malicious packages, made so that a list can live in a
// git repository and be changed by pull request. docs/claim-files.md specifies it.
//
// Flow: a directory ([Open]) → its *.claim.yaml files in the order of their paths
// → [Parse], which takes a file wholly or rejects it with the line that is wrong.
// [Write] makes such a file of a claim.
//
// Promise: a file means what a reviewer reads in it. There are no aliases, tags
// or merge keys, an unknown or repeated key is an error, and a version is the text
// that stands there: 1.10 is not the number 1.1.
package claimfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/source"
)

// Extension is how the name of a claim file ends.
const Extension = ".claim.yaml"

// MaxFile is the size in bytes above which a file is rejected.
const MaxFile = 1 << 20

// Limits of a directory.
const (
	maxEntries = 1_000_000
	maxTotal   = 2 << 30
	maxDepth   = 64
)

// Dir is a source: a directory of claim files.
type Dir struct{ path, name string }

// Open gives the claim files below the directory at path as a source called
// name, a slug. Nothing is read before [Dir.Fetch].
func Open(path, name string) *Dir { return &Dir{path, name} }

// Info describes the source; its Kind is "claims". It is complete: a claim of
// which the file is gone was taken back.
func (d *Dir) Info() source.Info { return source.Info{Name: d.name, Kind: "claims", Complete: true} }

// Cursor is "": a fetch always gives everything.
func (d *Dir) Cursor() string { return "" }

// Parse is [Parse].
func (d *Dir) Parse(doc source.Document) (source.Parsed, error) { return Parse(doc) }

var _ source.Source = (*Dir)(nil)

var errStop = errors.New("stop")

// Fetch streams the claim files at any depth, in the order of their paths, which
// are the documents' names. Symbolic links are not followed, .git is not entered.
// A directory without a claim file is [source.ErrNoRecords].
func (d *Dir) Fetch(ctx context.Context, _ string) iter.Seq2[source.Document, error] {
	return func(yield func(source.Document, error) bool) {
		err := (&walk{ctx: ctx, yield: yield}).dir(d.path)
		if err != nil && !errors.Is(err, errStop) {
			yield(source.Document{}, fmt.Errorf("%s: %w", d.path, err))
		}
	}
}

// walk is one run over a directory.
type walk struct {
	ctx       context.Context
	yield     func(source.Document, error) bool
	entries   int
	documents int
	total     int64
}

func (w *walk) reject(name string, reason error) error {
	if !w.yield(source.Document{}, &source.Reject{Name: name, Reason: reason}) {
		return errStop
	}
	return nil
}

func (w *walk) dir(path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return source.Unnamed(err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if cause := context.Cause(w.ctx); cause != nil {
			return cause
		}
		if err != nil {
			if name == "." {
				return source.Unnamed(err)
			}
			return w.reject(name, source.Unnamed(err))
		}
		if w.entries++; w.entries > maxEntries {
			return fmt.Errorf("%w: more than %d", source.ErrTooManyEntries, maxEntries)
		}
		return w.entry(root, name, entry)
	})
	if err == nil && w.documents == 0 {
		err = fmt.Errorf("no file *%s: %w", Extension, source.ErrNoRecords)
	}
	return err
}

func (w *walk) entry(root *os.Root, name string, entry fs.DirEntry) error {
	claims := strings.HasSuffix(name, Extension)
	switch {
	case entry.IsDir():
		if entry.Name() == ".git" {
			return fs.SkipDir
		}
		if strings.Count(name, "/") >= maxDepth {
			if err := w.reject(name, errors.New("directory is nested too deep")); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return nil
	case entry.Type()&fs.ModeSymlink != 0:
		// A link to a directory may hide claims; one to another file is nothing unread.
		if info, err := root.Stat(name); !claims && err == nil && !info.IsDir() {
			return nil
		}
		return w.reject(name, errors.New("symbolic link, not followed"))
	case !claims:
		return nil
	case !entry.Type().IsRegular():
		return w.reject(name, errors.New("not a regular file"))
	}
	data, err := readFile(root, name)
	if err != nil {
		return w.reject(name, source.Unnamed(err))
	}
	if w.total += int64(len(data)); w.total > maxTotal {
		return &bounded.LimitError{What: "the sum of all files", Limit: maxTotal}
	}
	w.documents++
	if !w.yield(source.Document{Name: name, Data: data}, nil) {
		return errStop
	}
	return nil
}

func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := source.OpenRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, MaxFile, "claim file")
}
