package index

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// table is a sorted run of (key, payload) entries in blocks of blockLen, each key
// written as what it does not share with the one before. A block begins with a
// number that its payloads count from, and its first key is whole, so blocks can
// be searched by bisection.
type table struct {
	offsets []byte // blocks+1 × uint32, relative to data
	data    []byte
	blocks  int
}

const blockLen = 16

func parseTable(b []byte) (table, error) {
	if len(b) < 4 {
		return table{}, fmt.Errorf("%w: table", ErrDamaged)
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if uint64(len(b)) < (uint64(n)+1)*4 {
		return table{}, fmt.Errorf("%w: table of %d blocks", ErrDamaged, n)
	}
	t := table{offsets: b[:(n+1)*4], data: b[(n+1)*4:], blocks: int(n)}
	prev := uint32(0)
	for i := range int(n) + 1 {
		off := binary.LittleEndian.Uint32(t.offsets[i*4:])
		if off < prev || uint64(off) > uint64(len(t.data)) {
			return table{}, fmt.Errorf("%w: offsets of a table", ErrDamaged)
		}
		prev = off
	}
	if int(prev) != len(t.data) {
		return table{}, fmt.Errorf("%w: end of a table", ErrDamaged)
	}
	return t, nil
}

func (t *table) block(i int) []byte {
	lo := binary.LittleEndian.Uint32(t.offsets[i*4:])
	hi := binary.LittleEndian.Uint32(t.offsets[i*4+4:])
	return t.data[lo:hi]
}

// find gives the payload of key and its block's base; ok is false when the table
// does not have it.
func (t *table) find(key string) (payload []byte, base uint64, ok bool, err error) {
	lo, hi := 0, t.blocks
	// The last block whose first key is not above key.
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		first, fine := firstKey(t.block(mid))
		if !fine {
			return nil, 0, false, errTable
		}
		if first > key {
			hi = mid
		} else {
			lo = mid
		}
	}
	if lo >= hi {
		return nil, 0, false, nil
	}
	b := t.block(lo)
	base, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, 0, false, errTable
	}
	payload, ok, err = search(b[n:], key)
	return payload, base, ok, err
}

// search walks the entries of a block.
func search(b []byte, key string) (payload []byte, ok bool, err error) {
	// Walk the block, knowing how many bytes (m) the entry before has in common
	// with key. An entry that shares more than m with the one before is on the same
	// side of key; one that shares less has passed it.
	m := 0
	for len(b) > 0 {
		var shared, suffix, size uint64
		if len(b) > 3 && b[0]|b[1]|b[2] < 0x80 {
			shared, suffix, size = uint64(b[0]), uint64(b[1]), uint64(b[2])
			b = b[3:]
		} else {
			d := decoder{b: b}
			shared, suffix, size = d.uint(), d.uint(), d.uint()
			if d.bad {
				return nil, false, errTable
			}
			b = b[d.at:]
		}
		if suffix > uint64(len(b)) || size > uint64(len(b))-suffix {
			return nil, false, errTable
		}
		switch {
		case shared < uint64(m):
			return nil, false, nil
		case shared == uint64(m):
			s := view(b[:suffix])
			rest := key[m:]
			i := 0
			for i < len(s) && i < len(rest) && s[i] == rest[i] {
				i++
			}
			switch {
			case i == len(s) && i == len(rest):
				return b[suffix : suffix+size], true, nil
			case i == len(rest), i < len(s) && s[i] > rest[i]:
				return nil, false, nil
			}
			m += i
		}
		b = b[suffix+size:]
	}
	return nil, false, nil
}

// each gives every entry in its order with the base of its block. The key is the
// callee's to keep, the payload is the table's memory.
func (t *table) each(yield func(key string, payload []byte, base uint64) error) error {
	var key []byte
	for i := range t.blocks {
		d := decoder{b: t.block(i)}
		base := d.uint()
		key = key[:0]
		for d.at < len(d.b) && !d.bad {
			shared, suffix, size := d.uint(), d.uint(), d.uint()
			rest := uint64(len(d.b) - d.at)
			if d.bad || shared > uint64(len(key)) || suffix > rest || size > rest-suffix {
				return errTable
			}
			key = append(key[:shared], d.b[d.at:d.at+int(suffix)]...)
			d.at += int(suffix)
			payload := d.b[d.at : d.at+int(size) : d.at+int(size)]
			d.at += int(size)
			if err := yield(string(key), payload, base); err != nil {
				return err
			}
		}
		if d.bad {
			return errTable
		}
	}
	return nil
}

var errTable = fmt.Errorf("%w: table entry", ErrDamaged)

func firstKey(b []byte) (string, bool) {
	d := decoder{b: b}
	d.uint() // base
	shared, suffix, size := d.uint(), d.uint(), d.uint()
	if d.bad || shared != 0 || suffix > uint64(len(b)-d.at) || size > uint64(len(b)-d.at)-suffix {
		return "", false
	}
	return view(b[d.at : d.at+int(suffix)]), true
}

// view gives b as a string without copying; the snapshot's memory never changes.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decoder reads varints and length-prefixed strings; bad says that it ran off the end.
type decoder struct {
	b   []byte
	at  int
	bad bool
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.at += n
	return v
}

// count reads a number of things that each take at least one byte.
func (d *decoder) count(limit int) int {
	v := d.uint()
	if v > uint64(limit) {
		d.bad = true
		return 0
	}
	return int(v)
}

func (d *decoder) byte() byte {
	if d.at >= len(d.b) {
		d.bad = true
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if d.bad || n > uint64(len(d.b)-d.at) {
		d.bad = true
		return nil
	}
	d.at += int(n)
	return d.b[d.at-int(n) : d.at]
}

func (d *decoder) string() string { return view(d.bytes()) }
