package clienttest

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// XZ is an xz stream of data as it is, which no compressor is needed for: uncompressed chunks of LZMA2 in one block,
// without a check (tukaani.org/xz/xz-file-format.txt). window is the size of the dictionary in the form of section
// 5.3.1: 22 are the 8 MiB of xz -6, 30 are 128 MiB, 40 is the largest.
func XZ(data []byte, window byte) []byte {
	sealed := func(b ...byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	padded := func(b []byte) []byte {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		return b
	}
	flags := []byte{0, 0}
	block := sealed(2, 0, 0x21, 1, window, 0, 0, 0)
	control := byte(1) // resets the dictionary
	for chunk := range slices.Chunk(data, 1<<16) {
		block = append(block, control)
		block = binary.BigEndian.AppendUint16(block, uint16(len(chunk)-1))
		block = append(block, chunk...)
		control = 2
	}
	block = append(block, 0)
	index := []byte{0, 1}
	index = binary.AppendUvarint(index, uint64(len(block)))
	index = binary.AppendUvarint(index, uint64(len(data)))
	index = sealed(padded(index)...)
	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	footer = append(footer, flags...)
	footer = append(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(footer)), footer...)
	return slices.Concat([]byte("\xfd7zXZ\x00"), sealed(flags...), padded(block), index, footer, []byte("YZ"))
}
