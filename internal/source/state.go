package source

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/internal/atomicfile"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// The directory of a [Dump]:
//
//	state.json                     what is held; names the files below, and is replaced last
//	records-<ECO>-<N>.jsonl.zst    the malicious records of an ecosystem: JSON lines, one
//	                               record per line with white space removed, as one zstd
//	                               stream; <ECO> is URL-escaped, <N> grows with every change
//	<ECO>.zip.partial, .json       an unfinished download, and what it is of
//	lock                           locked while an update runs
//
// Files that state.json does not name are leftovers of an update that did not
// finish; the next one removes them.
const (
	stateName    = "state.json"
	stateVersion = 1
	lockName     = "lock"
	maxState     = 16 << 20
)

// state is state.json, version 1.
type state struct {
	Version    int                       `json:"version"`
	Ecosystems map[string]ecosystemState `json:"ecosystems"`
}

// ecosystemState is what is held of one ecosystem.
type ecosystemState struct {
	Base       string    `json:"base"`       // without credentials and query
	Generation int       `json:"generation"` // the N of File
	File       string    `json:"file"`       // in the same directory
	SHA256     string    `json:"sha256"`     // of File, hexadecimal
	Records    int       `json:"records"`    // malicious records, withdrawn ones too
	Live       int       `json:"live"`       // malicious records that are not withdrawn
	Other      int       `json:"other"`      // records of the last all.zip that are not about malicious packages
	Rejected   int       `json:"rejected"`   // records of the last all.zip that were not accepted
	Newest     time.Time `json:"newest"`     // up to which modification modified_id.csv was followed
	ETag       string    `json:"etag,omitzero"`
	Fetched    time.Time `json:"fetched"` // when the records last changed here
	Checked    time.Time `json:"checked"` // when the source was last asked
}

// tempPattern is how package atomicfile names what is not finished.
var tempPattern = regexp.MustCompile(`^\.(state\.json|records-.*|.*\.zip\.partial\.json)\.[A-Z2-7]+\.tmp$`)

var recordsPattern = regexp.MustCompile(`^records-[A-Za-z0-9%._~+-]+-[0-9]+\.jsonl\.zst$`)

func recordsName(ecosystem string, generation int) string {
	return fmt.Sprintf("records-%s-%d.jsonl.zst", url.PathEscape(ecosystem), generation)
}

func readState(dir string) (*state, error) {
	path := filepath.Join(dir, stateName)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, maxState, stateName)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("%s: version %d is not known, only %d; was it written by a newer rapsheet?", path, st.Version, stateVersion)
	}
	for eco, es := range st.Ecosystems {
		if !recordsPattern.MatchString(es.File) {
			return nil, fmt.Errorf("%s: ecosystem %q: %.80q is not a file of records", path, eco, es.File)
		}
	}
	if st.Ecosystems == nil {
		st.Ecosystems = make(map[string]ecosystemState)
	}
	return &st, nil
}

func (st *state) write(dir string) error {
	data, err := json.Marshal(st, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("write %s: %w", stateName, err)
	}
	return atomicfile.Write(filepath.Join(dir, stateName), 0o644, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

// sweep removes what updates that did not finish left behind. It only touches
// names that this package makes, and is called with the lock held.
func (st *state) sweep(dir string) {
	used := make(map[string]bool)
	for _, es := range st.Ecosystems {
		used[es.File] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := e.Name()
		if tempPattern.MatchString(name) ||
			recordsPattern.MatchString(name) && !used[name] {
			// What cannot be removed only takes room.
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

// recordsWriter writes one generation of an ecosystem's records.
type recordsWriter struct {
	file *atomicfile.File
	sum  *hashWriter
	zw   *zstd.Encoder
	name string
}

type hashWriter struct {
	w io.Writer
	h hash.Hash
}

func (h *hashWriter) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.h.Write(p[:n])
	return n, err
}

func newRecordsWriter(dir, ecosystem string, generation int) (*recordsWriter, error) {
	name := recordsName(ecosystem, generation)
	f, err := atomicfile.Create(filepath.Join(dir, name), 0o644)
	if err != nil {
		return nil, err
	}
	sum := &hashWriter{w: f, h: sha256.New()}
	zw, err := zstd.NewWriter(sum, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		f.Abort()
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &recordsWriter{f, sum, zw, name}, nil
}

// add writes one record. Only white space between its tokens may change.
func (w *recordsWriter) add(data []byte) error {
	v := jsontext.Value(slices.Clone(data))
	if err := v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true)); err != nil {
		return err
	}
	_, err := w.zw.Write(append(v, '\n'))
	return err
}

// commit gives the file its name and tells the digest.
func (w *recordsWriter) commit() (digest string, err error) {
	defer w.abort()
	if err := w.zw.Close(); err != nil {
		return "", err
	}
	if err := w.file.Commit(); err != nil {
		return "", err
	}
	return hex.EncodeToString(w.sum.h.Sum(nil)), nil
}

func (w *recordsWriter) abort() {
	w.zw.Reset(nil)
	w.file.Abort()
}

// Stored streams the records that updates have stored in dir, ecosystem by
// ecosystem in the order of their names, as [Documents] does; each one's Name is
// "<ecosystem>:<number>". Withdrawn records are among them. A records file that
// is not the one that was written ends the stream with [ErrDamaged]. A directory
// without state gives an error that is [fs.ErrNotExist]. Stored may run beside an
// update: it gives the records from before it or after it.
func Stored(dir string) iter.Seq2[Document, error] {
	return stream(context.Background(), dir, Limits{}, func(e *emitter) error {
		files, err := openStored(dir)
		if err != nil {
			return err
		}
		defer func() {
			for _, f := range files {
				f.file.Close()
			}
		}()
		for _, f := range files {
			if err := f.read(e); err != nil {
				if errors.Is(err, errStop) {
					return err
				}
				return fmt.Errorf("%s: %w", f.state.File, err)
			}
		}
		return nil
	})
}

// storedFile is an open file of records.
type storedFile struct {
	ecosystem string
	state     ecosystemState
	file      *os.File
}

// openStored opens all that the state names. An update may replace files between
// reading the state and opening them; then the new state is read.
func openStored(dir string) ([]storedFile, error) {
	const attempts = 5
	for n := 1; ; n++ {
		st, err := readState(dir)
		if err != nil {
			return nil, unnamedMissing(err)
		}
		files, err := st.open(dir)
		if err == nil || n == attempts || !errors.Is(err, fs.ErrNotExist) {
			return files, err
		}
	}
}

func unnamedMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no records are stored here, run an update first: %w", fs.ErrNotExist)
	}
	return err
}

func (st *state) open(dir string) ([]storedFile, error) {
	var files []storedFile
	for _, eco := range slices.Sorted(maps.Keys(st.Ecosystems)) {
		f, err := os.Open(filepath.Join(dir, st.Ecosystems[eco].File))
		if err != nil {
			for _, f := range files {
				f.file.Close()
			}
			return nil, err
		}
		files = append(files, storedFile{eco, st.Ecosystems[eco], f})
	}
	return files, nil
}

// read streams the file's records. It ends with an error if the file is not the
// one the state describes.
func (f *storedFile) read(e *emitter) error {
	sum := sha256.New()
	in := io.TeeReader(f.file, sum)
	zr, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	defer zr.Close()
	before := e.documents
	br := bufio.NewReaderSize(&decoded{e, bounded.Reader(zr, e.lim.Total, "decompressed size")}, 256<<10)
	if err := e.lines(br, f.ecosystem, 0); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.state.SHA256 || e.documents-before != f.state.Records {
		return fmt.Errorf("not the file that was written: %d records, want %d; sha256 %s, want %s: %w",
			e.documents-before, f.state.Records, got, f.state.SHA256, ErrDamaged)
	}
	return nil
}
