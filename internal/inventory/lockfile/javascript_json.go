package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxJSONValue is how much of a stream may pass without a token of it being
// done with: the most that one entry of a lockfile may be long.
const maxJSONValue = 16 << 20

// jsonStream reads a JSON file of any length in constant memory, knowing its
// lines. (Type document is its sibling for files that are read whole.) Members
// are given by a callback that must consume exactly their value.
type jsonStream struct {
	dec     *jsontext.Decoder
	src     *lineSource
	scratch []byte
}

// streamJSON reads r, which must be one JSON object, giving each member to member.
func streamJSON(r io.Reader, member func(j *jsonStream, key []byte, line int) error, opts ...jsontext.Options) error {
	var bom [3]byte
	n, err := io.ReadFull(r, bom[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n == 0 {
		return errors.New("the file is empty")
	}
	if !bytes.Equal(bom[:n], inventory.BOM) {
		r = io.MultiReader(bytes.NewReader(bom[:n]), r)
	}
	src := &lineSource{r: r, line: 1}
	j := &jsonStream{src: src, dec: jsontext.NewDecoder(src, opts...)}
	if kind := j.dec.PeekKind(); kind != '{' {
		if err := j.skip(); err != nil {
			return err
		}
		return &inventory.LineError{Line: 1, Err: errors.New("not a JSON object")}
	}
	if err := j.object(func(key []byte, line int) error { return member(j, key, line) }); err != nil {
		return err
	}
	if _, err := j.dec.ReadToken(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = &inventory.LineError{Line: j.line(), Err: errors.New("more than one JSON value")}
		}
		return j.fail(err)
	}
	return nil
}

// line is the line of what was read last.
func (j *jsonStream) line() int {
	off := j.dec.InputOffset()
	j.src.done = off
	return j.src.lineAt(off)
}

// fail says on which line the text is not what it should be.
func (j *jsonStream) fail(err error) error {
	var limit *inventory.LineError
	if errors.As(err, &limit) {
		return err
	}
	rest := bytes.TrimLeft(j.dec.UnreadBuffer(), " \t\r\n,:")
	line := j.src.lineAt(j.dec.InputOffset() + int64(len(j.dec.UnreadBuffer())-len(rest)))
	for _, c := range []byte("<=>|") {
		if n := len(rest) - len(bytes.TrimLeft(rest, string(c))); n == 7 || n > 0 && n == len(rest) {
			return &inventory.LineError{Line: line, Err: errConflict}
		}
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return &inventory.LineError{Line: j.src.lineAt(j.src.read), Err: errors.New("the file is cut off")}
		}
		return &inventory.LineError{Line: j.src.lineAt(max(syntax.ByteOffset, j.dec.InputOffset())), Err: syntax.Err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &inventory.LineError{Line: j.src.lineAt(j.src.read), Err: errors.New("the file is cut off")}
	}
	return err
}

var errConflict = errors.New("unresolved merge conflict")

// object calls member for each member of the next value; any other value is skipped.
// A key is valid until the member's value is read.
func (j *jsonStream) object(member func(key []byte, line int) error) error {
	if j.dec.PeekKind() != '{' {
		return j.skip()
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return j.fail(err)
	}
	if j.dec.StackDepth() > 2*inventory.MaxNesting {
		return &inventory.LineError{Line: j.line(), Err: fmt.Errorf("nested deeper than %d", 2*inventory.MaxNesting)}
	}
	for j.dec.PeekKind() == '"' {
		key, err := j.string()
		if err != nil {
			return err
		}
		if err := member(key, j.line()); err != nil {
			return err
		}
	}
	return j.end()
}

// array calls element for each element of the next value; any other value is skipped.
func (j *jsonStream) array(element func(i int) error) error {
	if j.dec.PeekKind() != '[' {
		return j.skip()
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return j.fail(err)
	}
	for i := 0; ; i++ {
		switch j.dec.PeekKind() {
		case ']', 0:
			return j.end()
		}
		if err := element(i); err != nil {
			return err
		}
	}
}

// end reads the end of an object or array.
func (j *jsonStream) end() error {
	if _, err := j.dec.ReadToken(); err != nil {
		return j.fail(err)
	}
	j.src.done = j.dec.InputOffset()
	return nil
}

// string reads the next value, a string or a key, valid until the next read.
func (j *jsonStream) string() ([]byte, error) {
	v, err := j.dec.ReadValue()
	if err != nil {
		return nil, j.fail(err)
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], nil
	}
	j.scratch, err = jsontext.AppendUnquote(j.scratch[:0], v)
	return j.scratch, err
}

// text stores the next value in s if it is a string, else leaves s as it is.
func (j *jsonStream) text(s *string) error {
	if j.dec.PeekKind() != '"' {
		return j.skip()
	}
	v, err := j.string()
	if err == nil {
		*s = string(v)
	}
	return err
}

// truth stores the next value in b if it is true or false, else leaves b as it is.
func (j *jsonStream) truth(b *bool) error {
	switch j.dec.PeekKind() {
	case 't', 'f':
		t, err := j.dec.ReadToken()
		if err != nil {
			return j.fail(err)
		}
		*b = t.Bool()
		return nil
	}
	return j.skip()
}

// skip passes over the next value; its elements, not the whole of it, are bounded by maxJSONValue.
func (j *jsonStream) skip() error {
	switch j.dec.PeekKind() {
	case '{', '[':
	default:
		if _, err := j.dec.ReadValue(); err != nil {
			return j.fail(err)
		}
		return nil
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return j.fail(err)
	}
	for {
		switch j.dec.PeekKind() {
		case '}', ']', 0:
			return j.end()
		}
		if _, err := j.dec.ReadValue(); err != nil {
			return j.fail(err)
		}
		j.src.done = j.dec.InputOffset()
	}
}

// lineSource remembers where the lines of what it read begin, as far as they
// are still ahead of the decoder.
type lineSource struct {
	r    io.Reader
	read int64 // bytes so far
	done int64 // bytes that the decoder is through with
	line int
	// newlines are the offsets behind each line feed, from next on.
	newlines []int64
	next     int
}

// Read implements [io.Reader].
func (s *lineSource) Read(p []byte) (int, error) {
	if s.read-s.done > maxJSONValue {
		return 0, &inventory.LineError{Line: s.line, Err: fmt.Errorf("a value is larger than %d bytes", maxJSONValue)}
	}
	n, err := s.r.Read(p)
	if s.next > len(s.newlines)/2 {
		s.newlines = s.newlines[:copy(s.newlines, s.newlines[s.next:])]
		s.next = 0
	}
	for b, at := p[:n], s.read; ; {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		at += int64(i) + 1
		b = b[i+1:]
		s.newlines = append(s.newlines, at)
	}
	s.read += int64(n)
	return n, err
}

// lineAt is the line of the byte at offset, or before it. Offsets must ascend.
func (s *lineSource) lineAt(offset int64) int {
	for s.next < len(s.newlines) && s.newlines[s.next] <= offset {
		s.next++
		s.line++
	}
	return s.line
}
