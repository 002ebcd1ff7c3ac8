package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// packed reads MessagePack (github.com/msgpack/msgpack/blob/master/spec.md) value by value, and passes over large
// ones without reading them: pip keeps whole archives in it.
type packed struct {
	r   io.ReaderAt
	end int64 // of the values
	pos int64
	// window is what was read last, from at on.
	window []byte
	at     int64
	values int
}

// maxPacked bounds the values that are looked at in one file.
const maxPacked = 1 << 20

type packedKind byte

const (
	packedOther  packedKind = iota // nil, booleans, numbers
	packedText                     // text and bytes: older packers know no difference
	packedArray                    // n values follow
	packedMap                      // n keys with a value each follow
	packedNumber                   // n
)

// packedValue is one value. The payload of a text is n bytes from at.
type packedValue struct {
	kind packedKind
	n    int64
	at   int64
}

var errPacked = errors.New("not MessagePack")

// bytes gives the next n bytes, which are few.
func (p *packed) bytes(n int) ([]byte, error) {
	if p.pos < 0 || int64(n) > p.end-p.pos {
		return nil, io.ErrUnexpectedEOF
	}
	if off := p.pos - p.at; off < 0 || off+int64(n) > int64(len(p.window)) {
		size := min(max(int64(n), 2048), p.end-p.pos)
		if int64(cap(p.window)) < size {
			p.window = make([]byte, size)
		}
		p.window = p.window[:size]
		if got, err := p.r.ReadAt(p.window, p.pos); int64(got) < size {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			p.window = p.window[:0]
			return nil, err
		}
		p.at = p.pos
	}
	off := p.pos - p.at
	p.pos += int64(n)
	return p.window[off : off+int64(n)], nil
}

// number reads a big-endian number of size bytes.
func (p *packed) number(size int) (int64, error) {
	b, err := p.bytes(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[8-size:], b)
	return int64(binary.BigEndian.Uint64(full[:])), nil
}

// next reads one value. The payload of a text is passed over; see [packed.text].
func (p *packed) next() (packedValue, error) {
	if p.values++; p.values > maxPacked {
		return packedValue{}, fmt.Errorf("more than %d values", maxPacked)
	}
	b, err := p.bytes(1)
	if err != nil {
		return packedValue{}, err
	}
	c := b[0]
	text := func(n int64, err error) (packedValue, error) {
		v := packedValue{packedText, n, p.pos}
		if err == nil && (n < 0 || n > p.end-p.pos) {
			err = io.ErrUnexpectedEOF
		}
		p.pos += n
		return v, err
	}
	other := func(size int64) (packedValue, error) {
		v, err := text(size, nil)
		v.kind = packedOther
		return v, err
	}
	switch {
	case c <= 0x7f:
		return packedValue{kind: packedNumber, n: int64(c)}, nil
	case c <= 0x8f:
		return packedValue{kind: packedMap, n: int64(c & 0x0f)}, nil
	case c <= 0x9f:
		return packedValue{kind: packedArray, n: int64(c & 0x0f)}, nil
	case c <= 0xbf:
		return text(int64(c&0x1f), nil)
	case c >= 0xe0:
		return packedValue{kind: packedNumber, n: int64(int8(c))}, nil
	}
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return packedValue{}, nil
	case 0xc4, 0xd9: // bin 8, str 8
		return text(p.number(1))
	case 0xc5, 0xda:
		return text(p.number(2))
	case 0xc6, 0xdb:
		return text(p.number(4))
	case 0xc7, 0xc8, 0xc9: // ext 8, 16, 32: a type and n bytes
		n, err := p.number(1 << (c - 0xc7))
		if err != nil {
			return packedValue{}, err
		}
		return other(n + 1)
	case 0xca, 0xcb: // float 32, 64
		return other(4 << (c - 0xca))
	case 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3: // uint, int 8 to 64
		n, err := p.number(1 << (c & 3))
		return packedValue{kind: packedNumber, n: n}, err
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext 1 to 16
		return other(1 + 1<<(c-0xd4))
	case 0xdc, 0xdd:
		n, err := p.number(2 << (c - 0xdc))
		return packedValue{kind: packedArray, n: n}, err
	case 0xde, 0xdf:
		n, err := p.number(2 << (c - 0xde))
		return packedValue{kind: packedMap, n: n}, err
	}
	return packedValue{}, errPacked
}

// text gives the payload of a text of at most limit bytes, "" if it is longer.
func (p *packed) text(v packedValue, limit int64) (string, error) {
	if v.kind != packedText || v.n > limit {
		return "", nil
	}
	back := p.pos
	p.pos = v.at
	b, err := p.bytes(int(v.n))
	p.pos = back
	return string(b), err
}

// skip passes over what v holds.
func (p *packed) skip(v packedValue) error {
	return p.walk(v, 0, func(packedValue) error { return nil })
}

// walk calls each for v, and then for all that it holds, in their order; depth is how deep v stands.
func (p *packed) walk(v packedValue, depth int, each func(packedValue) error) error {
	if err := each(v); err != nil {
		return err
	}
	n := v.n
	switch v.kind {
	case packedMap:
		n *= 2
	case packedArray:
	default:
		return nil
	}
	if depth > inventory.MaxNesting {
		return fmt.Errorf("nested deeper than %d", inventory.MaxNesting)
	}
	for ; n > 0; n-- {
		inner, err := p.next()
		if err != nil {
			return err
		}
		if err := p.walk(inner, depth+1, each); err != nil {
			return err
		}
	}
	return nil
}

// object calls each for the members of v, which is passed over if it is no map. What each leaves
// of a value is passed over.
func (p *packed) object(v packedValue, each func(key string, v packedValue) error) error {
	if v.kind != packedMap {
		return p.skip(v)
	}
	for range v.n {
		k, err := p.next()
		if err != nil {
			return err
		}
		key, err := p.text(k, 1<<10)
		if err != nil {
			return err
		}
		if err := p.skip(k); err != nil {
			return err
		}
		member, err := p.next()
		if err != nil {
			return err
		}
		if err := each(key, member); err != nil {
			return err
		}
	}
	return nil
}
