package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
)

// maxHolders is how many packages a digest leads to. One archive goes by one name, or a few; a source that says the
// same digest of each of its packages must not make a lookup take seconds.
const maxHolders = 256

// maxSum is the size of the longest digest in bytes.
const maxSum = 64

// HasDigests reports whether [Index.LookupDigest] can find anything: if not, hashing archives is of no use.
func (ix *Index) HasDigests() bool { return ix.digests != nil }

// LookupDigest gives the records that have d as the digest of a malicious archive, whatever the package is called, by
// ecosystem, name and id; none, and no error, when it is not on record. Of more than 256 packages with
// the same digest it gives those of 256, those in force first. A miss does not allocate once the part of the table that d falls into is read.
// The records share memory with the index.
func (ix *Index) LookupDigest(d rapsheet.Digest) ([]rapsheet.Record, error) {
	if ix.digests == nil {
		return nil, nil
	}
	var buf [maxSum]byte
	sum, ok := unhex(&buf, d.Hex)
	if !ok {
		return nil, nil
	}
	t, err := ix.digests()
	if err != nil {
		return nil, err
	}
	payload, _, r, err := t.find(d.Algorithm, view(sum))
	if err != nil || r == nil {
		return nil, err
	}
	var out []rapsheet.Record
	p := decoder{b: payload}
	for range p.count(len(payload)) {
		eco := p.uint()
		name := p.string()
		if p.bad || eco >= uint64(len(ix.keys.ecosystems)) {
			return nil, errTable
		}
		recs, err := ix.keys.lookup(rapsheet.Key{Ecosystem: ix.keys.ecosystems[eco].name, Name: name})
		if err != nil {
			return nil, err
		}
		n := len(out)
		for i := range recs {
			if slices.Contains(recs[i].Digests, d) {
				out = append(out, recs[i])
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("%w: the table of digests names a package that does not have the digest", ErrDamaged)
		}
	}
	if p.at != len(payload) {
		return nil, errTable
	}
	return out, nil
}

func (ix *Index) readDigests() (*keyTable, error) {
	b, err := ix.readSection(tagDgsD, maxSection)
	if err != nil {
		return nil, err
	}
	s := ix.sections[tagDgst]
	t, err := parseKeys(b, s.size)
	if err != nil {
		return nil, err
	}
	t.read = func(off, size uint64, crc uint32) ([]byte, error) {
		return ix.readVerified("digests", s.off+off, size, crc)
	}
	return t, nil
}

// verifyDigests reads all of the table of digests.
func (ix *Index) verifyDigests() error {
	n := 0
	if ix.digests != nil {
		t, err := ix.digests()
		if err != nil {
			return err
		}
		for i := range t.chunks {
			c, err := t.load(&t.chunks[i])
			if err != nil {
				return err
			}
			err = c.each(func(string, []byte, uint64) error {
				n++
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	if n != ix.meta.Digests {
		return fmt.Errorf("%w: %d digests, its description says %d", ErrDamaged, n, ix.meta.Digests)
	}
	return nil
}

// unhex decodes s into buf.
func unhex(buf *[maxSum]byte, s string) (sum []byte, ok bool) {
	if len(s) > 2*maxSum || len(s)%2 != 0 {
		return nil, false
	}
	for i := range len(s) / 2 {
		hi, lo := nibble(s[2*i]), nibble(s[2*i+1])
		if hi|lo > 0xf {
			return nil, false
		}
		buf[i] = hi<<4 | lo
	}
	return buf[:len(s)/2], true
}

// nibble gives the value of a digit, 0xff for what is none. Digests have lower-case digits.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// holder is a package that has a digest.
type holder struct {
	digest   rapsheet.Digest
	inactive bool
	key      rapsheet.Key
}

// digests writes the table of digests: the directory, the chunks, and how many digests there are.
func (b *Builder) digests() (dir []byte, chunks [][]byte, distinct int) {
	var holders []holder
	ecosystems := map[string]int{} // by their place in the directory of names
	for i := range b.entries {
		e := &b.entries[i]
		if _, known := ecosystems[e.key.Ecosystem]; !known {
			ecosystems[e.key.Ecosystem] = len(ecosystems)
		}
		for _, d := range e.rec.Digests {
			holders = append(holders, holder{d, e.rec.Withdrawn, e.key})
		}
	}
	slices.SortFunc(holders, func(x, y holder) int {
		return cmp.Or(strings.Compare(x.digest.Algorithm, y.digest.Algorithm), strings.Compare(x.digest.Hex, y.digest.Hex),
			cmp.Compare(btoi(x.inactive), btoi(y.inactive)),
			strings.Compare(x.key.Ecosystem, y.key.Ecosystem), strings.Compare(x.key.Name, y.key.Name))
	})
	var w chunkWriter
	for i := 0; i < len(holders); {
		d := holders[i].digest
		var keys []rapsheet.Key
		for ; i < len(holders) && holders[i].digest == d; i++ {
			if len(keys) < maxHolders && !slices.Contains(keys, holders[i].key) {
				keys = append(keys, holders[i].key)
			}
		}
		slices.SortFunc(keys, func(x, y rapsheet.Key) int {
			return cmp.Or(strings.Compare(x.Ecosystem, y.Ecosystem), strings.Compare(x.Name, y.Name))
		})
		payload := binary.AppendUvarint(nil, uint64(len(keys)))
		for _, k := range keys {
			payload = binary.AppendUvarint(payload, uint64(ecosystems[k.Ecosystem]))
			payload = appendString(payload, k.Name)
		}
		var buf [maxSum]byte
		if sum, ok := unhex(&buf, d.Hex); ok {
			w.next(d.Algorithm, string(sum)).add(string(sum), payload)
			distinct++
		}
	}
	dir, chunks = w.finish()
	return dir, chunks, distinct
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
