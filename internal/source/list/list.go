// Package list reads the lists of malicious packages that people write: a CSV file
// from an incident blog, a table in a GitHub issue, lines of name@version, an
// exposure catalog.
//
// Flow: [Open] or [New] names the list; Fetch gives the file, unpacked, as one
// document; Parse tells the format by content, reads it into entries, guesses what
// its columns mean and which ecosystem is meant, and joins the entries into one
// claim per package. [List.Read] does the same and also gives the [Mapping]: what
// was guessed, to be shown before anything is written.
//
// Promise: every line of the list (every entry of a JSON document) is counted as
// exactly one of header, blank, comment, used or skipped, and one that is skipped
// has a note that says why. No version statement is never read as "every version".
package list

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
)

// Limits of what is read.
const (
	maxSize     = 64 << 20  // bytes of a list, packed and unpacked
	maxEntries  = 1_000_000 // lines of a list, entries of a JSON document
	maxColumns  = 256       // columns of a table
	maxCells    = 8_000_000 // cells of all tables
	maxDepth    = 64        // arrays and objects of JSON open at once
	maxDetails  = 4 << 10   // bytes of the free text of one claim
	maxGroups   = 256       // claims about one package
	maxCampaign = 256       // bytes of a campaign's name, as in package claim
	maxURL      = 2048      // bytes of a reference
	maxNote     = 200       // bytes of a note's text, by the contract of [source.Note]
)

// Options say what a list does not say of itself. The zero value guesses everything.
type Options struct {
	// Name is the source's name, made a slug ([claim.Slug]); "" is the file name without
	// its extensions.
	Name string
	// Ecosystem is where lines belong that name no ecosystem, in any spelling that people
	// use ("npm", "PyPI", "python", ".net"). "" guesses it where the list proves it.
	Ecosystem string
	// Columns overrides what columns mean: "name=package_name,versions=2", a meaning and
	// the column's header or number, from 1. Meanings are those that [Column] lists.
	Columns string
	// Delimiter separates the columns of a CSV file, one ASCII character; 0 finds it out.
	Delimiter rune
	// Campaign is the campaign of entries that name none.
	Campaign string
	// Complete says that the list is the source's whole state: what is missing was taken back.
	Complete bool
	// Origin is who found the packages where no column says so; "" is the list's name.
	Origin string
	// Reference is a URL that every claim refers to.
	Reference string
}

// List is a list as a source. It implements [source.Source]: one goroutine at a
// time, except Parse, Read and Mapping, which are pure.
type List struct {
	name  string
	path  string // "" when data is given
	label string // the document's name
	data  []byte
	opt   settings
}

// Open names the list in a file, which is not opened before Fetch. An error is
// about the options.
func Open(path string, opt Options) (*List, error) {
	label := filepath.Base(path)
	if opt.Name == "" {
		opt.Name, _, _ = strings.Cut(strings.TrimLeft(label, "."), ".")
		if kept := withoutExtensions(label); kept != "" {
			opt.Name = kept
		}
	}
	l, err := open(label, opt)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", path, err)
	}
	l.path = path
	return l, nil
}

// New names a list that is already read, such as standard input, possibly
// compressed. The list keeps data. opt.Name must not be "".
func New(data []byte, opt Options) (*List, error) {
	l, err := open(opt.Name, opt)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", opt.Name, err)
	}
	l.data = data
	return l, nil
}

func open(label string, opt Options) (*List, error) {
	l := &List{name: claim.Slug(opt.Name), label: label}
	if l.name == "" {
		return nil, fmt.Errorf("%q gives no name for the source: name one of letters and digits", opt.Name)
	}
	var err error
	if l.opt, err = opt.settings(l.name); err != nil {
		return nil, err
	}
	return l, nil
}

// withoutExtensions takes off the endings that lists have, several at once
// ("list.csv.gz"), and leaves dots of the name ("shai-hulud-2.0.csv").
func withoutExtensions(file string) string {
	for {
		ext := filepath.Ext(file)
		switch strings.ToLower(ext) {
		case ".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".md", ".markdown", ".gz", ".zst", ".list", ".lst":
			file = strings.TrimSuffix(file, ext)
		default:
			return file
		}
	}
}

// Info describes the source; its kind is "list".
func (l *List) Info() source.Info {
	return source.Info{Name: l.name, Kind: "list", Complete: l.opt.complete}
}

// Cursor is always "": a list is read as a whole.
func (l *List) Cursor() string { return "" }

// Fetch gives the list as one document, unpacked when it is compressed with gzip or
// zstd. Every error ends the stream: a list is one document, and when that cannot
// be read nothing can. The limit is 64 MiB, unpacked.
func (l *List) Fetch(ctx context.Context, _ string) iter.Seq2[source.Document, error] {
	return func(yield func(source.Document, error) bool) {
		data, err := l.read(ctx)
		if err != nil {
			yield(source.Document{}, fmt.Errorf("list %q: %w", l.label, err))
			return
		}
		yield(source.Document{Name: l.label, Data: data}, nil)
	}
}

func (l *List) read(ctx context.Context) (data []byte, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var r io.Reader = bytes.NewReader(l.data)
	if l.path != "" {
		// A FIFO or a device would block the open itself.
		info, err := os.Stat(l.path)
		if err != nil {
			return nil, source.Unnamed(err)
		}
		if !info.Mode().IsRegular() {
			return nil, errors.New("not a regular file")
		}
		f, err := os.Open(l.path)
		if err != nil {
			return nil, source.Unnamed(err)
		}
		defer f.Close()
		r = f
	}
	rc, _, err := bounded.Decompress(bounded.Reader(r, maxSize, "list"), maxSize)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if data, err = io.ReadAll(rc); err != nil {
		return nil, err
	}
	return data, context.Cause(ctx)
}

// Parse reads the claims of a list. The document is unpacked already (Fetch).
// When no entry gives a claim the error says why, and the notes come with it.
func (l *List) Parse(doc source.Document) (source.Parsed, error) {
	parsed, _, err := l.Read(doc)
	return parsed, err
}

// Mapping says how Parse understands a document. What is known is given even with an error.
func (l *List) Mapping(doc source.Document) (Mapping, error) {
	_, m, err := l.Read(doc)
	return m, err
}

// Read is Parse and Mapping at once.
func (l *List) Read(doc source.Document) (source.Parsed, Mapping, error) {
	text, err := decode(doc.Data)
	if err != nil {
		return source.Parsed{}, Mapping{}, err
	}
	return l.opt.parse(text, sniff(text, l.opt.delimiter))
}
