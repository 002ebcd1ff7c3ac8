package publish

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
)

// packer compresses documents one at a time.
type packer struct {
	w   *flate.Writer
	buf bytes.Buffer
}

// packLevel is the level of deflate; levels above cost more time than a kilobyte of text gains.
const packLevel = 6

// pack gives the deflated document.
func (p *packer) pack(doc []byte) ([]byte, error) {
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

// probes is how many entries are compressed again to see whether the program that
// made the release before compresses as this one does.
const probes = 16

// sameCompressor reports whether compressed bytes of the release before may be
// used: the output must not depend on which version of the program made the last one.
func sameCompressor(prev *previous) (bool, error) {
	s := *prev.state // from the beginning, without moving it
	var p packer
	for range probes {
		e, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		packed := make([]byte, e.packed)
		if _, err := prev.zip.ReadAt(packed, int64(e.offset)); err != nil {
			return false, fmt.Errorf("%w: %s: %w", ErrDamaged, zipName, err)
		}
		doc, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxDocument))
		if err != nil {
			return false, fmt.Errorf("%w: %s: %w", ErrDamaged, zipName, err)
		}
		again, err := p.pack(doc)
		if err != nil || !bytes.Equal(again, packed) {
			return false, err
		}
	}
	return true, nil
}

// header describes one entry of the archives: deflated, with the record's time,
// nothing that depends on the machine.
func header(name string, j *job) *zip.FileHeader {
	t := j.time.UTC()
	h := &zip.FileHeader{
		Name: name, Method: zip.Deflate,
		CRC32: j.entry.crc, UncompressedSize64: j.entry.size, CompressedSize64: uint64(len(j.packed)),
	}
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

// zipOut is an archive in the making.
type zipOut struct {
	out *output
	w   *zip.Writer
	at  counter
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

func newZipOut(out *output) *zipOut {
	z := &zipOut{out: out, at: counter{w: out.w}}
	z.w = zip.NewWriter(&z.at)
	return z
}

// add writes one entry and gives the offset of its compressed bytes. The header is kept, and
// may be given to several archives.
func (z *zipOut) add(h *zip.FileHeader, packed []byte) (offset uint64, err error) {
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

func (z *zipOut) close() error { return z.w.Close() }
