package index

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/rapsheet/rapsheet"
)

// chunkSize is about how many bytes of the names' table are read and verified at a
// time: one lookup reads one chunk, a scan of thousands of packages all of them once.
const chunkSize = 64 << 10

// keyTable is the part that matching needs: for each ecosystem a run of chunks in
// the order of names, each chunk a table of its own. Only the directory is in memory
// from the start. The table of digests is one too, with algorithms for ecosystems and
// the digests' bytes for names.
type keyTable struct {
	ecosystems []keyRange
	chunks     []chunk
	read       func(off, size uint64, crc uint32) ([]byte, error)
}

type keyRange struct {
	name   string
	lo, hi int // chunks
}

type chunk struct {
	off, size uint64 // in the section
	crc       uint32
	first     string // its first name
	table     atomic.Pointer[table]
}

func parseKeys(dir []byte, total uint64) (*keyTable, error) {
	bad := fmt.Errorf("%w: directory of names", ErrDamaged)
	d := decoder{b: dir}
	k := new(keyTable)
	at := 0
	for range d.count(len(dir)) {
		r := keyRange{name: d.string(), lo: at}
		at += d.count(len(dir))
		r.hi = at
		k.ecosystems = append(k.ecosystems, r)
	}
	if d.bad || at > len(dir) {
		return nil, bad
	}
	k.chunks = make([]chunk, at)
	var off uint64
	for i := range k.chunks {
		c := &k.chunks[i]
		c.off, c.size = off, d.uint()
		if d.bad || c.size > total-off || len(dir)-d.at < 4 {
			return nil, bad
		}
		off += c.size
		c.crc = binary.LittleEndian.Uint32(dir[d.at:])
		d.at += 4
		c.first = d.string()
	}
	if d.bad || d.at != len(dir) || off != total {
		return nil, bad
	}
	return k, nil
}

func (k *keyTable) lookup(key rapsheet.Key) ([]rapsheet.Record, error) {
	payload, base, r, err := k.find(key.Ecosystem, key.Name)
	if err != nil || r == nil {
		return nil, err
	}
	return decodeRecords(payload, uint32(base), r.name, key.Name)
}

// find gives the payload of a name and its block's base; r is nil when the table does not have it.
func (k *keyTable) find(ecosystem, name string) (payload []byte, base uint64, r *keyRange, err error) {
	for i := range k.ecosystems {
		r := &k.ecosystems[i]
		if r.name != ecosystem {
			continue
		}
		// The last chunk whose first name is not above the key's.
		lo, hi := r.lo, r.hi
		for hi-lo > 1 {
			if mid := lo + (hi-lo)/2; k.chunks[mid].first > name {
				hi = mid
			} else {
				lo = mid
			}
		}
		if lo >= hi {
			return nil, 0, nil, nil
		}
		t, err := k.load(&k.chunks[lo])
		if err != nil {
			return nil, 0, nil, err
		}
		payload, base, ok, err := t.find(name)
		if err != nil || !ok {
			return nil, 0, nil, err
		}
		return payload, base, r, nil
	}
	return nil, 0, nil, nil
}

// load gives a chunk's table, reading and verifying it the first time. Two
// goroutines may do so at once; either result serves.
func (k *keyTable) load(c *chunk) (*table, error) {
	if t := c.table.Load(); t != nil {
		return t, nil
	}
	b, err := k.read(c.off, c.size, c.crc)
	if err != nil {
		return nil, err
	}
	t, err := parseTable(b)
	if err != nil {
		return nil, err
	}
	c.table.Store(&t)
	return &t, nil
}
