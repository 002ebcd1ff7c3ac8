package publish

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/bucket"
)

// The state is a file beside a release with what the next one is compared with,
// so that 230,000 documents need not be read for it: a line of text that names the
// format, then the entries in the order of ids. An entry is five strings (uvarint
// length, bytes: id, ecosystem, name, published, modified), a byte of flags, the
// SHA-256 of the document, and as uvarints its CRC-32, its size, its compressed
// size and the offset of its compressed bytes in osv/all.zip; then, with flag
// flagReported, the SHA-256 of its upstream report.
const (
	stateMagic = "rapsheet release state 1\n"
	maxState   = 1 << 30
)

const (
	flagWithdrawn = 1 << iota
	flagReported
)

// entry is what is kept of one record.
type entry struct {
	id, ecosystem, name string
	published, modified string // RFC 3339, as in the record
	withdrawn           bool
	sum                 [sha256.Size]byte
	crc                 uint32
	size, packed        uint64
	offset              uint64 // in osv/all.zip
	reported            bool
	report              [sha256.Size]byte
}

// key is what must stay the same for an id: the package.
func (e *entry) key() rapsheet.Key {
	if k, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: e.ecosystem, Name: e.name}); ok {
		return k
	}
	return rapsheet.Key{Ecosystem: e.ecosystem, Name: e.name}
}

// appendEntry encodes e.
func appendEntry(b []byte, e *entry) []byte {
	for _, s := range [...]string{e.id, e.ecosystem, e.name, e.published, e.modified} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	var flags byte
	if e.withdrawn {
		flags |= flagWithdrawn
	}
	if e.reported {
		flags |= flagReported
	}
	b = append(b, flags)
	b = append(b, e.sum[:]...)
	for _, n := range [...]uint64{uint64(e.crc), e.size, e.packed, e.offset} {
		b = binary.AppendUvarint(b, n)
	}
	if e.reported {
		b = append(b, e.report[:]...)
	}
	return b
}

// stateReader reads the entries of a state, whose digest has been checked.
type stateReader struct {
	rest []byte
	last string
}

func newStateReader(data []byte) (*stateReader, error) {
	if len(data) < len(stateMagic) || string(data[:len(stateMagic)]) != stateMagic {
		return nil, fmt.Errorf("%w: %s is of another version", ErrDamaged, stateName)
	}
	return &stateReader{rest: data[len(stateMagic):]}, nil
}

// next gives the next entry, or io.EOF. The strings are copies.
func (s *stateReader) next() (*entry, error) {
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	d := decoder{b: s.rest}
	e := &entry{}
	var at [5][2]int
	for i := range at {
		n := d.uvarint()
		at[i][0] = len(s.rest) - len(d.b)
		at[i][1] = at[i][0] + len(d.bytes(n))
	}
	// One copy for all five.
	text := string(s.rest[:at[len(at)-1][1]])
	for i, p := range [...]*string{&e.id, &e.ecosystem, &e.name, &e.published, &e.modified} {
		*p = text[at[i][0]:at[i][1]]
	}
	var flags byte
	if b := d.bytes(1); b != nil {
		flags = b[0]
	}
	e.withdrawn, e.reported = flags&flagWithdrawn != 0, flags&flagReported != 0
	copy(e.sum[:], d.bytes(sha256.Size))
	crc := d.uvarint()
	e.crc = uint32(crc)
	e.size, e.packed, e.offset = d.uvarint(), d.uvarint(), d.uvarint()
	if e.reported {
		copy(e.report[:], d.bytes(sha256.Size))
	}
	if d.bad || crc>>32 != 0 || flags >= 1<<2 || e.id <= s.last || e.packed > maxDocument || e.size > maxDocument {
		return nil, fmt.Errorf("%w: %s after id %q", ErrDamaged, stateName, s.last)
	}
	s.rest, s.last = d.b, e.id
	return e, nil
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

// previous is the release before, opened for reading.
type previous struct {
	dir      string // in the root
	manifest Manifest
	digest   [sha256.Size]byte // of the manifest
	ours     bool              // this very program made it
	state    *stateReader
	zip      *os.File // osv/all.zip, checked against the manifest
	snapshot *os.File // catalog.idx, likewise
}

func (p *previous) close() {
	for _, f := range [...]*os.File{p.zip, p.snapshot} {
		if f != nil {
			f.Close()
		}
	}
}

// openPrevious opens a release and checks against its manifest what is read of it.
func openPrevious(root *os.Root, sequence uint64) (*previous, error) {
	dir := path.Join(releasesName, releaseName(sequence))
	m, sum, err := readManifest(root, dir)
	if err != nil {
		return nil, err
	}
	if m.Sequence != sequence {
		return nil, fmt.Errorf("%w: the manifest is that of release %d", ErrDamaged, m.Sequence)
	}
	p := &previous{dir: dir, manifest: m, digest: sum}
	var g errgroup.Group
	g.Go(func() (err error) {
		p.zip, err = openVerified(root, dir, &m, path.Join(dumpName, bucket.Archive))
		return err
	})
	g.Go(func() (err error) {
		if p.state, err = readState(root, dir, &m); err != nil {
			return err
		}
		p.snapshot, err = openVerified(root, dir, &m, snapshotName)
		return err
	})
	if err := g.Wait(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// readState reads and checks the state of the release in dir.
func readState(root *os.Root, dir string, m *Manifest) (*stateReader, error) {
	f, err := openVerified(root, dir, m, stateName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// openVerified has read as many bytes as the manifest says.
	size, _ := m.file(stateName)
	if size.Size > maxState {
		return nil, &bounded.LimitError{What: stateName, Limit: maxState}
	}
	data := make([]byte, size.Size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", stateName, err)
	}
	return newStateReader(data)
}

// openVerified opens a file of a release after checking its digest.
func openVerified(root *os.Root, dir string, m *Manifest, name string) (*os.File, error) {
	want, ok := m.file(name)
	if !ok {
		return nil, fmt.Errorf("%w: the manifest has no %s", ErrDamaged, name)
	}
	f, err := root.Open(path.Join(dir, name))
	if err != nil {
		return nil, err
	}
	got, err := digestOf(f, name)
	if err == nil && got != want {
		err = fmt.Errorf("%w: %s is not what the manifest says", ErrDamaged, name)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// stateWriter writes a state as its entries come.
type stateWriter struct {
	w   *bufio.Writer
	buf []byte
}

func newStateWriter(w *bufio.Writer) *stateWriter {
	_, _ = w.WriteString(stateMagic) // a failure stays with w
	return &stateWriter{w: w}
}

func (s *stateWriter) add(e *entry) error {
	s.buf = appendEntry(s.buf[:0], e)
	_, err := s.w.Write(s.buf)
	return err
}
