package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime/debug"

	"github.com/rapsheet/rapsheet/internal/printable"
)

// The file format of bbolt (go.etcd.io/bbolt, internal/common: page.go, meta.go, bucket.go, inode.go).
const (
	boltMagic       = 0xed0cdaed
	boltVersion     = 2
	boltPageHeader  = 16
	boltElement     = 16
	boltBucket      = 16 // of the header that is the value of a bucket's key
	boltBranch      = 0x01
	boltLeaf        = 0x02
	boltFreelist    = 0x10
	boltIsBucket    = 0x01
	boltNoFreelist  = 1<<64 - 1
	boltManyFree    = 0xffff // the number stands in the first element
	maxBoltDepth    = 64     // pages and buckets above a key; a billion keys need ten
	maxBoltPage     = 64 << 20
	maxBoltPageSize = 64 << 10
)

// errBolt says that a file is no whole database.
var errBolt = errors.New("it is no whole bbolt database")

// checkBolt reads a database of bbolt through that somebody else made. The library maps a file into memory and believes what it says: a page
// beyond its end is a fault, a tree that leads back to itself recursion without an end, and a page that is both free and in use is overwritten. A
// file that is checked has a tree of pages that are each in it and in use once, and keys in order that lie within their pages.
func checkBolt(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	c := boltChecker{f: f}
	m, err := c.meta(st.Size())
	if err != nil {
		return err
	}
	c.used = make([]uint64, (c.pages+63)/64)
	c.used[0] = 3 // the two pages of meta
	if err := c.tree(m.root, 0, nil, nil); err != nil {
		return err
	}
	return c.freelist(m.freelist)
}

type boltMeta struct{ root, freelist, txid uint64 }

type boltChecker struct {
	f     io.ReaderAt
	size  int64  // of a page, in bytes
	pages uint64 // in the file
	used  []uint64
}

// meta reads both of the pages that say where all else is, and gives the newer. Both have to be whole: a file that is published is closed.
func (c *boltChecker) meta(fileSize int64) (boltMeta, error) {
	var out boltMeta
	for i := range int64(2) {
		head := make([]byte, boltPageHeader+64)
		if _, err := c.f.ReadAt(head, i*c.size); err != nil {
			return out, fmt.Errorf("%w: page %d is not there", errBolt, i)
		}
		b := head[boltPageHeader:]
		u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
		sum := fnv.New64a()
		sum.Write(b[:56])
		size := int64(u32(b[8:]))
		switch {
		case u32(b) != boltMagic:
			return out, errBolt
		case u32(b[4:]) != boltVersion:
			return out, fmt.Errorf("it is a bbolt database of version %d, and only %d is known", u32(b[4:]), boltVersion)
		case u64(b[56:]) != sum.Sum64():
			return out, fmt.Errorf("%w: the checksum of page %d is wrong", errBolt, i)
		case size < 1<<10 || size > maxBoltPageSize || size&(size-1) != 0 || c.size != 0 && size != c.size:
			return out, fmt.Errorf("%w: pages of %d bytes", errBolt, size)
		}
		c.size = size
		if pages := u64(b[40:]); pages < 3 || pages > uint64(fileSize/size) {
			return out, fmt.Errorf("%w: it has %d pages of %d", errBolt, fileSize/size, pages)
		} else if m := (boltMeta{u64(b[16:]), u64(b[32:]), u64(b[48:])}); i == 0 || m.txid > out.txid {
			out, c.pages = m, pages
		}
	}
	return out, nil
}

// take reads a page and what overflows from it, and marks them as used.
func (c *boltChecker) take(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pages {
		return nil, fmt.Errorf("%w: page %d of %d", errBolt, id, c.pages)
	}
	var head [boltPageHeader]byte
	if _, err := c.f.ReadAt(head[:], int64(id)*c.size); err != nil {
		return nil, err
	}
	more := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head[:]) != id || more >= c.pages-id || int64(more+1)*c.size > maxBoltPage {
		return nil, fmt.Errorf("%w: page %d", errBolt, id)
	}
	for p := id; p <= id+more; p++ {
		if err := c.mark(p); err != nil {
			return nil, err
		}
	}
	data := make([]byte, int64(more+1)*c.size)
	if _, err := c.f.ReadAt(data, int64(id)*c.size); err != nil {
		return nil, err
	}
	return data, nil
}

func (c *boltChecker) mark(id uint64) error {
	if c.used[id/64]>>(id%64)&1 != 0 {
		return fmt.Errorf("%w: page %d has two uses", errBolt, id)
	}
	c.used[id/64] |= 1 << (id % 64)
	return nil
}

// tree checks a page and all below it. Keys are from low on and below high; nil is no bound.
func (c *boltChecker) tree(id uint64, depth int, low, high []byte) error {
	if depth > maxBoltDepth {
		return fmt.Errorf("%w: deeper than %d pages", errBolt, maxBoltDepth)
	}
	data, err := c.take(id)
	if err != nil {
		return err
	}
	return c.elements(data, depth, false, low, high)
}

// elements checks what is in a page: keys and values, buckets or further pages. inline says that the page is the value of a bucket.
func (c *boltChecker) elements(page []byte, depth int, inline bool, low, high []byte) error {
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	kind, count := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if kind != boltBranch && kind != boltLeaf || kind == boltBranch && count == 0 || boltPageHeader+count*boltElement > len(page) {
		return fmt.Errorf("%w: a page of kind %d with %d elements", errBolt, kind, count)
	}
	part := func(at, offset, length uint64) ([]byte, error) {
		start := at + offset // of 32 bits each, as length: no overflow
		if offset < boltElement || start+length > uint64(len(page)) {
			return nil, fmt.Errorf("%w: an element leaves its page", errBolt)
		}
		return page[start : start+length], nil
	}
	keyAt := func(i int) ([]byte, error) {
		at := boltPageHeader + i*boltElement
		e := page[at : at+boltElement]
		if kind == boltBranch {
			return part(uint64(at), uint64(u32(e)), uint64(u32(e[4:])))
		}
		return part(uint64(at), uint64(u32(e[4:])), uint64(u32(e[8:])))
	}
	room := len(page) - boltPageHeader - count*boltElement // elements that lie over each other would make work without an end
	var last []byte
	for i := range count {
		key, err := keyAt(i)
		if err != nil {
			return err
		}
		if room -= len(key); room < 0 {
			return fmt.Errorf("%w: elements share their place", errBolt)
		}
		if i > 0 && bytes.Compare(last, key) >= 0 || low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("%w: keys are out of order", errBolt)
		}
		last = key
		at := boltPageHeader + i*boltElement
		e := page[at : at+boltElement]
		if kind == boltBranch {
			next := high
			if i+1 < count {
				if next, err = keyAt(i + 1); err != nil {
					return err
				}
			}
			if err := c.tree(u64(e[8:]), depth+1, key, next); err != nil {
				return err
			}
			continue
		}
		value, err := part(uint64(at), uint64(u32(e[4:])), uint64(u32(e[8:]))+uint64(u32(e[12:])))
		if err != nil {
			return err
		}
		value = value[len(key):]
		if room -= len(value); len(key) == 0 || room < 0 {
			return fmt.Errorf("%w: a key is empty, or elements share their place", errBolt)
		}
		if u32(e)&boltIsBucket == 0 {
			continue
		}
		if inline {
			return fmt.Errorf("%w: a bucket in one that has no pages", errBolt)
		}
		if err := c.bucket(value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket that has pages of its own, or one in its value.
func (c *boltChecker) bucket(value []byte, depth int) error {
	if len(value) < boltBucket || depth > maxBoltDepth {
		return fmt.Errorf("%w: a bucket has no place, or is deeper than %d", errBolt, maxBoltDepth)
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return c.tree(root, depth, nil, nil)
	}
	inline := value[boltBucket:]
	if len(inline) < boltPageHeader || binary.LittleEndian.Uint16(inline[8:]) != boltLeaf {
		return fmt.Errorf("%w: a bucket without a page", errBolt)
	}
	return c.elements(inline, depth, true, nil, nil)
}

// freelist checks that what is free is not in use, and is there once.
func (c *boltChecker) freelist(id uint64) error {
	if id == boltNoFreelist {
		return nil
	}
	data, err := c.take(id)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint16(data[8:]) != boltFreelist {
		return fmt.Errorf("%w: page %d is no list of free pages", errBolt, id)
	}
	count, ids := uint64(binary.LittleEndian.Uint16(data[10:])), data[boltPageHeader:]
	if count == boltManyFree {
		count, ids = binary.LittleEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("%w: %d free pages", errBolt, count)
	}
	for i := range count {
		free := binary.LittleEndian.Uint64(ids[8*i:])
		if free < 2 || free >= c.pages {
			return fmt.Errorf("%w: page %d of %d is free", errBolt, free, c.pages)
		}
		if err := c.mark(free); err != nil {
			return err
		}
	}
	return nil
}

// guarded runs work that has a library read a file of somebody else's. What it panics on, a fault of mapped memory too, is an error.
func guarded(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is damaged: %s", printable.Line(fmt.Sprint(r)))
		}
	}()
	return work()
}
