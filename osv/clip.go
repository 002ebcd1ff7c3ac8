package osv

import (
	"errors"
	"fmt"
	"io"
)

// ClipMarker ends every text that was cut. A cut text, marker included, is never
// longer than [Limits.Text], so reading it again cuts nothing.
const ClipMarker = " … [clipped]"

const (
	// clipBuffer is how much is read from the source at a time.
	clipBuffer = 32 << 10
	// maxSpace is how much of one run of white space is passed on: the decoder
	// behind the clipper keeps a run whole in memory.
	maxSpace = 1 << 10
	// maxScalar is how long a number or literal may be: nothing in OSV is a number.
	maxScalar = 1 << 10
)

// A cut says that bytes are missing from what the clipper passed on.
type cut struct {
	end     int64 // offset in the output behind which they are missing; for a text, behind its closing quote
	removed int64 // bytes not passed on, up to and including this cut, the marker set off
	text    int64 // bytes of the string as written; 0 for white space
}

// clipper is a reader in front of a JSON decoder that makes the decoder's memory
// independent of the input: it cuts strings at a limit, squeezes white space, and
// refuses deep nesting, long numbers and more input than allowed. It knows just
// enough JSON for that (strings, escapes, brackets); all other rules are left to
// the decoder. It keeps no stack and does not recurse.
type clipper struct {
	src   io.Reader
	text  int   // decoded bytes that a string may have
	depth int   // open brackets allowed
	input int64 // bytes of src allowed

	in   []byte // read from src and not yet scanned
	buf  []byte // backs in
	out  []byte // scanned and not yet passed on
	sent int    // bytes of out passed on
	err  error  // given after out is passed on

	read int64 // bytes taken from src and scanned
	done int64 // bytes passed on or in out

	state   clipState
	open    int   // open brackets
	scalar  int   // length of the number or literal at hand
	space   int   // length of the white space at hand
	dropped int64 // white space left out of the run at hand
	cuts    []cut
	removed int64

	start  int64 // offset in src of the string at hand
	size   int   // decoded bytes of the string at hand
	hold   int   // index in out where the string at hand would be cut, -1 before that is known
	holdAt int64 // value of read at hold
	digits int   // hexadecimal digits still to come in an escape
	unit   int   // value of the escape so far
	pair   bool  // the last character was an escaped high surrogate, so a cut here might part a pair
}

type clipState uint8

const (
	between   clipState = iota // outside of strings
	inString                   // inside one, passing on
	inEscape                   // behind a backslash
	inHex                      // inside \uXXXX
	discard                    // inside one, beyond the limit
	discEsc                    // behind a backslash there
	discHex                    // inside \uXXXX there
	exhausted                  // nothing more to read
)

func newClipper(src io.Reader, lim Limits) *clipper {
	return &clipper{src: src, text: lim.Text, depth: lim.Depth, input: lim.Input, buf: make([]byte, clipBuffer), hold: -1}
}

// Read implements [io.Reader].
func (c *clipper) Read(p []byte) (int, error) {
	for {
		// What may still be cut off is held back.
		ready := len(c.out)
		if c.hold >= 0 {
			ready = c.hold
		}
		if c.sent < ready {
			n := copy(p, c.out[c.sent:ready])
			c.sent += n
			return n, nil
		}
		if c.err != nil {
			return 0, c.err
		}
		// Everything that may go is gone: only what is held back moves to the front.
		n := copy(c.out, c.out[c.sent:])
		c.out = c.out[:n]
		if c.hold >= 0 {
			c.hold -= c.sent
		}
		c.sent = 0
		if err := c.fill(); err != nil {
			c.fail(err)
		}
	}
}

// fail makes err the end of the stream, after everything scanned so far.
func (c *clipper) fail(err error) {
	c.err = err
	c.hold = -1
	c.state = exhausted
}

// fill reads one buffer from the source and scans it.
func (c *clipper) fill() error {
	n, err := c.src.Read(c.buf)
	c.in = c.buf[:n]
	if c.read+int64(n) > c.input {
		return problem("", "larger than the limit of %d bytes of input", c.input)
	}
	if serr := c.scan(); serr != nil {
		return serr
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return &readError{err}
	}
	return nil
}

// readError tells an error of the source from an error in what it gave.
type readError struct{ err error }

func (e *readError) Error() string { return "read record: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// scan moves c.in to c.out.
func (c *clipper) scan() error {
	in := c.in
	for i := 0; i < len(in); {
		var n int
		var err error
		switch c.state {
		case between:
			n, err = c.scanBetween(in[i:])
		case inString:
			n = c.scanString(in[i:])
		case discard:
			n, err = c.scanDiscard(in[i:])
		default:
			n, err = 1, c.scanEscape(in[i])
		}
		i += n
		c.read += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// scanBetween handles bytes outside of strings up to and including a quote.
func (c *clipper) scanBetween(b []byte) (int, error) {
	from := 0 // b[from:i] is to be passed on
	for i, x := range b {
		switch x {
		case ' ', '\t', '\r', '\n':
			c.scalar = 0
			if c.space++; c.space > maxSpace {
				c.emit(b[from:i])
				from = i + 1
				c.dropped++
			}
			continue
		case '"':
			c.endSpace(i - from)
			c.emit(b[from : i+1])
			c.scalar, c.size, c.pair = 0, 0, false
			c.start = c.read + int64(i)
			c.state = inString
			return i + 1, nil
		case '{', '[':
			if c.open++; c.open > c.depth {
				c.emit(b[from:i])
				return i, problem("", "nested deeper than the limit of %d at byte %d", c.depth, c.read+int64(i))
			}
			c.scalar = 0
		case '}', ']':
			c.open--
			c.scalar = 0
		case ',', ':':
			c.scalar = 0
		default:
			if c.scalar++; c.scalar > maxScalar {
				c.emit(b[from:i])
				return i, problem("", "a number or literal longer than the limit of %d bytes at byte %d", maxScalar, c.read+int64(i))
			}
		}
		c.endSpace(i - from)
	}
	c.emit(b[from:])
	return len(b), nil
}

// endSpace notes the end of a run of white space, with pending bytes not yet emitted.
func (c *clipper) endSpace(pending int) {
	c.space = 0
	if c.dropped == 0 {
		return
	}
	c.removed += c.dropped
	c.cuts = append(c.cuts, cut{end: c.done + int64(pending), removed: c.removed})
	c.dropped = 0
}

// scanString handles the inside of a string up to a quote or backslash.
func (c *clipper) scanString(b []byte) int {
	safe := c.text - len(ClipMarker) // decoded bytes that stay when it is cut
	from := 0                        // b[from:i] is to be passed on
	for i, x := range b {
		if x == '"' {
			c.emit(b[from : i+1])
			c.hold = -1
			c.state = between
			return i + 1
		}
		if c.hold < 0 {
			// The cut goes in front of the first character that may end beyond
			// the safe part (none is longer than four bytes); in text that is
			// not UTF-8 anywhere will do.
			starts := (x < 0x80 || x >= 0xc0) && !c.pair
			if starts && c.size+4 > safe || c.size >= safe {
				c.emit(b[from:i])
				from = i
				c.hold = len(c.out)
				c.holdAt = c.read + int64(i)
			}
		}
		if x == '\\' {
			c.emit(b[from : i+1])
			c.state = inEscape
			return i + 1
		}
		c.pair = false
		if c.size++; c.size > c.text {
			c.emit(b[from:i])
			c.startDiscard()
			return i
		}
	}
	c.emit(b[from:])
	return len(b)
}

// scanEscape handles one byte of an escape.
func (c *clipper) scanEscape(x byte) error {
	kept := c.state == inEscape || c.state == inHex
	if kept {
		c.emit([]byte{x})
	}
	switch c.state {
	case inEscape, discEsc:
		if x == 'u' {
			c.digits, c.unit = 4, 0
			c.state = inHex
			if !kept {
				c.state = discHex
			}
			return nil
		}
		switch x {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		default:
			if !kept {
				return problem("", "invalid escape in a string at byte %d", c.read)
			}
		}
		c.size++
		c.pair = false
	case inHex, discHex:
		v := hexDigit(x)
		if v < 0 {
			if kept {
				// The decoder refuses it and says where.
				c.state = inString
				if x == '"' {
					c.hold = -1
					c.state = between
				}
				return nil
			}
			return problem("", "invalid escape in a string at byte %d", c.read)
		}
		c.unit = c.unit<<4 | v
		if c.digits--; c.digits > 0 {
			return nil
		}
		pair := c.pair
		c.pair = false
		switch {
		case c.unit < 0x80:
			c.size++
		case c.unit < 0x800 || c.unit >= 0xdc00 && c.unit < 0xe000:
			c.size += 2
		case c.unit >= 0xd800 && c.unit < 0xdc00:
			c.size += 2
			c.pair = !pair
		default:
			c.size += 3
		}
	}
	switch {
	case !kept:
		c.state = discard
	case c.size > c.text:
		c.startDiscard()
	default:
		c.state = inString
	}
	return nil
}

func hexDigit(x byte) int {
	switch {
	case '0' <= x && x <= '9':
		return int(x - '0')
	case 'a' <= x && x <= 'f':
		return int(x-'a') + 10
	case 'A' <= x && x <= 'F':
		return int(x-'A') + 10
	}
	return -1
}

// startDiscard cuts the string at hand where it is held.
func (c *clipper) startDiscard() {
	c.done -= int64(len(c.out) - c.hold)
	c.out = c.out[:c.hold]
	c.hold = -1
	c.state = discard
}

// scanDiscard skips the inside of a string.
func (c *clipper) scanDiscard(b []byte) (int, error) {
	for i, x := range b {
		switch {
		case x == '"':
			c.emit([]byte(ClipMarker))
			c.emit(b[i : i+1])
			end := c.read + int64(i)
			c.removed += end - c.holdAt - int64(len(ClipMarker))
			c.cuts = append(c.cuts, cut{end: c.done, removed: c.removed, text: end - c.start - 1})
			c.state = between
			return i + 1, nil
		case x == '\\':
			c.state = discEsc
			return i + 1, nil
		case x < ' ':
			return i, problem("", "control character in a string at byte %d", c.read+int64(i))
		}
	}
	return len(b), nil
}

func (c *clipper) emit(b []byte) {
	c.out = append(c.out, b...)
	c.done += int64(len(b))
}

// offset gives the place in the source of a place in the output.
func (c *clipper) offset(out int64) int64 {
	in := out
	for _, k := range c.cuts {
		if k.end > out {
			break
		}
		in = out + k.removed
	}
	return in
}

// problem makes an error of one problem.
func problem(pointer, format string, args ...any) Problems {
	return Problems{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}
}
