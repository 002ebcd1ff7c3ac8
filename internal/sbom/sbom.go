// Package sbom reads software bills of materials of any tool as a stream of
// sightings, and writes sightings as CycloneDX 1.6 and SPDX 2.3.
//
// Flow: [Read] takes off one layer of gzip or zstd, recognises the format by
// content ([Sniff]), and walks the document token by token: CycloneDX 1.x in
// JSON and XML, SPDX 2.x in JSON and tag-value, SPDX 3 JSON-LD, GitHub's
// dependency-graph export, Syft JSON, in-toto statements and DSSE envelopes
// around any of these, and plain lists of purls. One component at a time is
// held, in buffers that are reused, so memory does not grow with the file.
//
// What counts as what:
//
//   - The purl is the identity. A name beside it is only compared with it; where
//     they disagree, a note says so and the purl is used. A version beside a purl
//     without one is used unless it is a range.
//   - metadata.component and the components of a formulation are sightings too.
//     Services, tools, pedigrees and vulnerabilities are not: they are not
//     what the document is an inventory of.
//   - A component without a purl is counted in one note per file, unless its type
//     says that it is no package (file, operating-system, container, …): those
//     are counted in a note that changes nothing.
//   - A place of distribution becomes evidence only where it looks like an archive
//     or a registry: tools also write a project's repository there, and taking
//     that for the place a package was fetched from would hide real findings.
//
// Promise: input is hostile. Bytes, components, nesting, the size of a token and
// of the names in an object are bounded, a document type definition is refused,
// nothing is ever fetched, and whatever could not be read becomes a note.
package sbom

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Kinds of a sighting's location, and the formats that [Sniff] tells apart.
const (
	KindCycloneDX = "cyclonedx"
	KindSPDX      = "spdx"
	KindSyft      = "syft"
	KindPURLList  = "purl-list"
)

// Options are the limits of a [Read]. Zero values mean the defaults.
type Options struct {
	// Components is how many components (packages, artifacts, purls) are read: 1,000,000.
	Components int
	// Nesting is how deep JSON values and XML elements nest, skipped ones included: 64.
	Nesting int
	// Identifier is the length in bytes of a purl or version: 1 KiB. Longer ones are counted as invalid.
	Identifier int
	// Decompressed is the size in bytes of the document: 1 GiB.
	Decompressed int64
	// Token is the size in bytes of one JSON string, XML tag or XML text, white space around it included: 4 MiB.
	Token int64
}

func (o Options) withDefaults() Options {
	if o.Components <= 0 {
		o.Components = 1_000_000
	}
	if o.Nesting <= 0 {
		o.Nesting = 64
	}
	if o.Identifier <= 0 {
		o.Identifier = 1 << 10
	}
	if o.Decompressed <= 0 {
		o.Decompressed = 1 << 30
	}
	if o.Token <= 0 {
		o.Token = 4 << 20
	}
	return o
}

const supported = "supported: CycloneDX JSON and XML, SPDX 2 JSON and tag-value, SPDX 3 JSON-LD, Syft JSON, in-toto statements of these, lists of purls"

// Errors that end a file.
var (
	errStop         = errors.New("the consumer has had enough")
	errUnrecognised = errors.New("unrecognised format, " + supported)
	errEmpty        = errors.New("empty file")
	errUTF16        = errors.New("the text is UTF-16 or UTF-32, not UTF-8")
	errLayers       = errors.New("compressed twice: only one layer is taken off")
)

// Read streams the packages of the SBOM in r. Its format is recognised by
// content; path only names it in locations and notes. r is read once, by the
// first iteration, and not closed. It never uses more memory for a longer file.
//
// What is wrong with a component becomes one note per kind of problem, with a
// count, when the file ends. What ends the file early (syntax, limits) is a note
// of kind [rapsheet.NoteUnread]; the packages before it stand.
func Read(ctx context.Context, r io.Reader, path string, opt Options) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		s := &sink{ctx: ctx, path: path, opt: opt.withDefaults(), yield: yield}
		s.end(read(ctx, r, s))
	}
}

func read(ctx context.Context, r io.Reader, s *sink) error {
	rc, compression, err := bounded.Decompress(bounded.Context(ctx, r), s.opt.Decompressed)
	if err != nil {
		return err
	}
	defer rc.Close()

	br := bufio.NewReaderSize(rc, sniffLen)
	head, err := br.Peek(sniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(bytes.TrimSpace(head)) == 0 && len(head) < sniffLen {
		return errEmpty
	}
	if compression != bounded.None && isCompressed(head) {
		return errLayers
	}
	if isWide(head) {
		return errUTF16
	}
	f, ok := detect(head)
	if !ok {
		return errUnrecognised
	}
	s.kind = f.kind
	if bytes.HasPrefix(head, bom) {
		if _, err := br.Discard(len(bom)); err != nil {
			return err
		}
	}
	switch f.encoding {
	case encodingJSON:
		return readJSON(ctx, br, s)
	case encodingXML:
		return readXML(ctx, br, s)
	case encodingTagValue:
		return readTagValue(ctx, br, s)
	default:
		return readPURLs(ctx, br, s)
	}
}

// source is the reader below a tokenizer. It refuses tokens larger than a
// limit, which a tokenizer would buffer whole, and counts lines.
type source struct {
	r     io.Reader
	limit int64
	// consumed is the offset up to which the tokenizer needs nothing any more.
	consumed func() int64
	// read and lines count bytes and line ends handed out.
	read  int64
	lines int
}

func (s *source) Read(p []byte) (int, error) {
	if s.read-s.consumed() > s.limit {
		return 0, &limitError{what: "string, tag or run of white space", limit: s.limit, unit: "bytes"}
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	s.lines += bytes.Count(p[:n], newline)
	return n, err
}

var newline = []byte{'\n'}

// limitError says which limit ended a file.
type limitError struct {
	what  string
	limit int64
	unit  string
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%s beyond the limit of %d %s", e.what, e.limit, e.unit)
}

// placed is an error with the line, and for JSON the pointer, where it happened.
type placed struct {
	line    int
	pointer string
	err     error
}

func (e *placed) Error() string {
	switch {
	case e.pointer != "":
		return fmt.Sprintf("line %d, %s: %v", e.line, printable(e.pointer, 200), e.err)
	case e.line > 0:
		return fmt.Sprintf("line %d: %v", e.line, e.err)
	}
	return e.err.Error()
}

func (e *placed) Unwrap() error { return e.err }
