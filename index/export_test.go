package index

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Keys gives the part that matching needs.
func Keys(ix *Index) []byte {
	var out []byte
	for _, tag := range []string{tagKeyD, tagKeys} {
		b, err := ix.readSection(tag, maxSection)
		if err != nil {
			panic(err)
		}
		out = append(out, b...)
	}
	return out
}

// Reseal gives a copy of a file with every checksum made right, so that a fuzzer
// reaches what lies behind them.
func Reseal(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < headerSize {
		return b
	}
	le := binary.LittleEndian
	n := int(min(le.Uint32(b[24:]), maxSections))
	if len(b) < headerSize+n*entrySize {
		return b
	}
	tab := b[headerSize : headerSize+n*entrySize]
	var dir, docs, keyDir, keys, digestDir, digests []byte
	for i := range n {
		e := tab[i*entrySize:]
		off, size := le.Uint64(e[8:]), le.Uint64(e[16:])
		if off > uint64(len(b)) || size > uint64(len(b))-off {
			continue
		}
		switch string(e[:4]) {
		case tagDir:
			dir = b[off : off+size]
		case tagDocs:
			docs = b[off : off+size]
		case tagKeyD:
			keyDir = b[off : off+size]
		case tagKeys:
			keys = b[off : off+size]
		case tagDgsD:
			digestDir = b[off : off+size]
		case tagDgst:
			digests = b[off : off+size]
		}
	}
	resealChunks(keyDir, keys)
	resealChunks(digestDir, digests)
	for ; len(dir) >= dirEntry; dir = dir[dirEntry:] {
		size := le.Uint32(dir)
		if uint64(size) > uint64(len(docs)) {
			break
		}
		le.PutUint32(dir[8:], crc32.Checksum(docs[:size], castagnoli))
		docs = docs[size:]
	}
	for i := range n {
		e := tab[i*entrySize:]
		off, size := le.Uint64(e[8:]), le.Uint64(e[16:])
		if off <= uint64(len(b)) && size <= uint64(len(b))-off {
			le.PutUint32(e[24:], crc32.Checksum(b[off:off+size], castagnoli))
		}
	}
	le.PutUint64(b[16:], uint64(len(b)))
	le.PutUint32(b[28:], crc32.Checksum(tab, castagnoli))
	le.PutUint32(b[36:], crc32.Checksum(b[:36], castagnoli))
	return b
}

// resealChunks makes the checksums of a table's chunks right.
func resealChunks(dir, chunks []byte) {
	d := decoder{b: dir}
	n := 0
	for range d.count(len(dir)) {
		d.string()
		n += d.count(len(dir))
	}
	for ; n > 0 && !d.bad; n-- {
		size := d.uint()
		if d.bad || len(dir)-d.at < 4 || size > uint64(len(chunks)) {
			break
		}
		binary.LittleEndian.PutUint32(dir[d.at:], crc32.Checksum(chunks[:size], castagnoli))
		chunks = chunks[size:]
		d.at += 4
		d.string()
	}
}
