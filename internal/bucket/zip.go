package bucket

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
)

// Packer compresses documents one at a time. The zero value is ready; it is for one goroutine.
type Packer struct {
	w   *flate.Writer
	buf bytes.Buffer
}

// packLevel is the level of deflate; levels above cost more time than a kilobyte of text gains.
const packLevel = 6

// Pack gives the deflated document.
func (p *Packer) Pack(doc []byte) ([]byte, error) {
	p.buf.Reset()
	if p.w == nil {
		w, err := flate.NewWriter(&p.buf, packLevel)
		if err != nil {
			return nil, err
		}
		p.w = w
	} else {
		p.w.Reset(&p.buf)
	}
	if _, err := p.w.Write(doc); err != nil {
		return nil, err
	}
	if err := p.w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(p.buf.Bytes()), nil
}

// Entry packs a document as the entry name of an archive, with the record's time.
func (p *Packer) Entry(name string, t time.Time, doc []byte) (*zip.FileHeader, []byte, error) {
	packed, err := p.Pack(doc)
	if err != nil {
		return nil, nil, err
	}
	return Header(name, t, crc32.ChecksumIEEE(doc), uint64(len(doc)), uint64(len(packed))), packed, nil
}

// Header describes one entry of the archives: deflated, with the record's time,
// nothing that depends on the machine.
func Header(name string, t time.Time, crc uint32, size, packed uint64) *zip.FileHeader {
	t = t.UTC()
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: crc, UncompressedSize64: size, CompressedSize64: packed}
	// CreateRaw writes the fields of MS-DOS time as they are (APPNOTE.TXT 4.4.6): from 1980 to
	// 2107, in steps of two seconds.
	if y := t.Year(); y < 1980 {
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	} else if y > 2105 {
		t = time.Date(2105, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	date, clock := t.Day()+int(t.Month())<<5+(t.Year()-1980)<<9, t.Second()/2+t.Minute()<<5+t.Hour()<<11
	h.ModifiedDate = uint16(date)  //nolint:staticcheck // CreateRaw reads these two and not Modified
	h.ModifiedTime = uint16(clock) //nolint:staticcheck // the same
	// The exact time: Info-ZIP's extended timestamp, 0x5455, of five bytes, modification only.
	h.Extra = binary.LittleEndian.AppendUint32([]byte{0x55, 0x54, 5, 0, 1}, uint32(t.Unix()))
	return h
}

// Zip is an archive in the making.
type Zip struct {
	w  *zip.Writer
	at counter
}

type counter struct {
	w io.Writer
	n uint64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += uint64(n)
	return n, err
}

// NewZip begins an archive in w, which stays the caller's to close.
func NewZip(w io.Writer) *Zip {
	z := &Zip{at: counter{w: w}}
	z.w = zip.NewWriter(&z.at)
	return z
}

// Add writes one entry and gives the offset of its compressed bytes. The header is kept, and
// may be given to several archives.
func (z *Zip) Add(h *zip.FileHeader, packed []byte) (offset uint64, err error) {
	w, err := z.w.CreateRaw(h)
	if err != nil {
		return 0, err
	}
	// The header leaves the archive's own buffer, so that the count is where the content begins.
	if err := z.w.Flush(); err != nil {
		return 0, err
	}
	offset = z.at.n
	_, err = w.Write(packed)
	return offset, err
}

// Close writes the directory. An archive without an entry is the 22 bytes of an empty one.
func (z *Zip) Close() error { return z.w.Close() }
