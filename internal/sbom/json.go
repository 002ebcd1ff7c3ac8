package sbom

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader walks a JSON document of any of the formats. Values that nobody
// asks for are walked too, token by token, so that the limits hold for them.
type jsonReader struct {
	ctx  context.Context
	dec  *jsontext.Decoder
	src  *source
	sink *sink

	depth int
	// names is the size of the member names of all open objects, which the
	// decoder keeps to find duplicates.
	names  int
	before []int // names when each object and array of a skipped value began
	// components are the components being read, by level of nesting.
	components []*component
	key, value []byte // scratch
}

// maxNames bounds the names of the members of all open objects, in bytes.
const maxNames = 8 << 20

func newJSONReader(ctx context.Context, r io.Reader, s *sink) *jsonReader {
	j := &jsonReader{ctx: ctx, sink: s}
	j.src = &source{r: r, limit: s.opt.Token, consumed: func() int64 {
		if j.dec == nil {
			return 0
		}
		return j.dec.InputOffset()
	}}
	j.dec = jsontext.NewDecoder(j.src)
	return j
}

func readJSON(ctx context.Context, r io.Reader, s *sink) error {
	return newJSONReader(ctx, r, s).read(0)
}

// read reads one document to the end of the input.
func (j *jsonReader) read(level int) error {
	err := j.document(level)
	if err == nil {
		if _, err = j.dec.ReadToken(); err == nil {
			err = errors.New("a second value after the document")
		} else if err == io.EOF {
			return nil
		}
	}
	return j.place(err)
}

// place says where err happened, unless it is of a kind that has no place.
func (j *jsonReader) place(err error) error {
	if _, ok := errors.AsType[*placed](err); ok || errors.Is(err, errStop) || j.ctx.Err() != nil {
		return err
	}
	p := &placed{line: j.line(), pointer: string(j.dec.StackPointer()), err: explain(err)}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		p.pointer = string(e.JSONPointer)
		unread := j.dec.UnreadBuffer()
		if n := e.ByteOffset - j.dec.InputOffset(); 0 < n && n <= int64(len(unread)) {
			p.line += bytes.Count(unread[:n], newline)
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		p.err = errors.New("invalid JSON: the file ends in the middle")
	}
	return p
}

// line gives the line of the last token. The decoder's buffer is some kilobytes.
func (j *jsonReader) line() int {
	return 1 + j.src.lines - bytes.Count(j.dec.UnreadBuffer(), newline)
}

// document reads an object that is an SBOM or has one in it.
func (j *jsonReader) document(level int) error {
	if level > maxEnvelopes {
		return &limitError{what: "envelopes around a document", limit: maxEnvelopes, unit: "envelopes"}
	}
	return j.object(func(name []byte) error {
		switch string(name) {
		// CycloneDX
		case "specVersion":
			v, err := j.text()
			if err == nil && len(v) > 0 && !bytes.HasPrefix(v, []byte("1.")) {
				j.sink.unread(j.line(), fmt.Sprintf("CycloneDX %s is not known (1.0 to 1.7 are): components may be missing", printable(string(v), 20)))
			}
			return err
		case "metadata":
			return j.object(j.metadata)
		case "components":
			j.sink.kind = KindCycloneDX
			return j.array(func() error { return j.cycloneDX(0) })
		case "formulation":
			return j.array(func() error { return j.object(j.formula) })

		// SPDX 2 and 3
		case "spdxVersion":
			v, err := j.text()
			if err == nil && len(v) > 0 && !bytes.HasPrefix(v, []byte("SPDX-2.")) {
				j.sink.unread(j.line(), fmt.Sprintf("SPDX version %s is not known in this format (2.x is): packages may be missing", printable(string(v), 20)))
			}
			return err
		case "packages":
			j.sink.kind = KindSPDX
			return j.array(j.spdxPackage)
		case "@context":
			return j.context()
		case "@graph":
			j.sink.kind = KindSPDX
			return j.array(j.spdxElement)

		// Syft
		case "artifacts":
			j.sink.kind = KindSyft
			return j.array(j.syftArtifact)
		case "schema":
			return j.object(j.syftSchema)

		// envelopes
		case "sbom", "predicate":
			if j.dec.PeekKind() == '{' {
				return j.document(level + 1)
			}
		case "payload":
			return j.payload(level + 1)
		}
		return j.skip()
	})
}

// payload reads the document in a DSSE envelope
// (https://github.com/secure-systems-lab/dsse/blob/master/envelope.md). Its
// signature is not what this package is about.
func (j *jsonReader) payload(level int) error {
	v, err := j.text()
	if err != nil || len(v) == 0 {
		return err
	}
	line := j.line()
	inner := newJSONReader(j.ctx, base64.NewDecoder(base64.StdEncoding, bytes.NewReader(bytes.Clone(v))), j.sink)
	if err := inner.read(level); err != nil {
		if errors.Is(err, errStop) || j.ctx.Err() != nil {
			return err
		}
		return &placed{line: line, pointer: string(j.dec.StackPointer()), err: fmt.Errorf("payload: %w", err)}
	}
	return nil
}

// object walks an object and calls member after each name, which is valid until
// the next token is read; member reads the value. Null is an empty object, and
// any other value an error: what is in the wrong place cannot be skipped silently.
func (j *jsonReader) object(member func(name []byte) error) error {
	switch kind := j.dec.PeekKind(); kind {
	case '{':
	case 'n':
		return j.dec.SkipValue()
	default:
		return j.mismatch("an object")
	}
	if err := j.open(); err != nil {
		return err
	}
	return j.members(member)
}

// open reads the beginning of an object or array.
func (j *jsonReader) open() error {
	if _, err := j.dec.ReadToken(); err != nil {
		return err
	}
	if j.depth++; j.depth > j.sink.opt.Nesting {
		return j.tooDeep()
	}
	return nil
}

// members walks the members of an open object and reads its end.
func (j *jsonReader) members(member func(name []byte) error) error {
	before := j.names
	for j.dec.PeekKind() == '"' {
		v, err := j.dec.ReadValue()
		if err != nil {
			return err
		}
		if err := j.addName(len(v)); err != nil {
			return err
		}
		name := v[1 : len(v)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if j.key, err = jsontext.AppendUnquote(j.key[:0], v); err != nil {
				return err
			}
			name = j.key
		}
		if err := member(name); err != nil {
			return err
		}
	}
	j.names = before
	return j.close()
}

// close reads the end of an object or array.
func (j *jsonReader) close() error {
	j.depth--
	_, err := j.dec.ReadToken()
	return err
}

// array walks an array and calls element before each of its values. Null is an empty array.
func (j *jsonReader) array(element func() error) error {
	switch j.dec.PeekKind() {
	case '[':
	case 'n':
		return j.dec.SkipValue()
	default:
		return j.mismatch("an array")
	}
	if err := j.open(); err != nil {
		return err
	}
	for {
		if k := j.dec.PeekKind(); k == ']' || k == jsontext.KindInvalid {
			return j.close()
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// mismatch is the error of a value of another kind than wanted, or of no valid value.
func (j *jsonReader) mismatch(want string) error {
	kind := j.dec.PeekKind()
	line := j.line()
	if _, err := j.dec.ReadToken(); err != nil {
		return err
	}
	return &placed{line: line, pointer: string(j.dec.StackPointer()), err: fmt.Errorf("%s where %s was expected", kindName(kind), want)}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	}
	return k.String()
}

// skip walks a value that nobody wants. It asks less of the decoder than
// [jsonReader.object] and [jsonReader.array] do, as most of a document is skipped.
func (j *jsonReader) skip() error {
	if k := j.dec.PeekKind(); k != '{' && k != '[' {
		return j.dec.SkipValue()
	}
	outer := j.depth
	j.before = j.before[:0]
	for {
		start := j.dec.InputOffset()
		tok, err := j.dec.ReadToken()
		if err != nil {
			return err
		}
		switch tok.Kind() {
		case '{', '[':
			if j.depth++; j.depth > j.sink.opt.Nesting {
				return j.tooDeep()
			}
			j.before = append(j.before, j.names)
		case '}', ']':
			j.depth--
			j.names = j.before[len(j.before)-1]
			if j.before = j.before[:len(j.before)-1]; j.depth == outer {
				return nil
			}
		case '"':
			// An odd number of strings and values in an object: this one is a name.
			if k, n := j.dec.StackIndex(j.dec.StackDepth()); k == '{' && n&1 == 1 {
				if err := j.addName(int(j.dec.InputOffset() - start)); err != nil {
					return err
				}
			}
		}
	}
}

func (j *jsonReader) tooDeep() error {
	return &limitError{what: "nesting", limit: int64(j.sink.opt.Nesting), unit: "levels"}
}

// addName counts a member's name of some size against the limit.
func (j *jsonReader) addName(size int) error {
	if j.names += size; j.names > maxNames {
		return &limitError{what: "names in nested objects", limit: maxNames, unit: "bytes"}
	}
	return nil
}

// text reads a string; a number as it is written; anything else is skipped and
// counts as absent. The result is valid until the next token is read.
func (j *jsonReader) text() ([]byte, error) {
	switch j.dec.PeekKind() {
	case '"':
		v, err := j.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if s := v[1 : len(v)-1]; bytes.IndexByte(s, '\\') < 0 {
			return s, nil
		}
		j.value, err = jsontext.AppendUnquote(j.value[:0], v)
		return j.value, err
	case '0':
		return j.dec.ReadValue()
	}
	return nil, j.skip()
}

// into reads a text into a buffer. A text beyond the longest that is ever used
// is cut where that still shows.
func (j *jsonReader) into(buf *[]byte) error {
	v, err := j.text()
	*buf = append((*buf)[:0], v[:min(len(v), maxURL+1)]...)
	return err
}

// component gives the component of a level of nesting, cleared.
func (j *jsonReader) component(level int) *component {
	for len(j.components) <= level {
		j.components = append(j.components, &component{})
	}
	c := j.components[level]
	c.reset(j.line())
	return c
}

// context reads JSON-LD's @context, of which only the version of SPDX is of interest.
func (j *jsonReader) context() error {
	if j.dec.PeekKind() == '[' {
		return j.array(j.context)
	}
	v, err := j.text()
	if err != nil {
		return err
	}
	if _, version, ok := strings.Cut(string(v[:min(len(v), maxURL)]), "spdx.org/rdf/"); ok && !strings.HasPrefix(version, "3.") {
		version, _, _ = strings.Cut(version, "/")
		j.sink.unread(j.line(), fmt.Sprintf("SPDX %s is not known (3.x is): packages may be missing", printable(version, 20)))
	}
	return nil
}
