package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Names in a release.
const (
	manifestName  = "manifest.json"
	snapshotName  = "catalog.idx"
	campaignsName = "campaigns.json"
	stateName     = ".state"
	dumpName      = "osv"
	upstreamName  = "upstream"
)

const (
	manifestVersion = 1
	maxManifest     = 1 << 20
)

// Manifest describes a release: with the SHA-256 of manifest.json every byte of
// it is known. It is stored as indented JSON.
type Manifest struct {
	// Version is that of the manifest's format.
	Version  int       `json:"version"`
	Sequence uint64    `json:"sequence"`
	Date     time.Time `json:"date"`
	Source   string    `json:"source"`
	Records  Counts    `json:"records"`
	// Ecosystems are the files osv/<ECO>/<ID>.json, by base ecosystem.
	Ecosystems map[string]Set `json:"ecosystems"`
	// Upstream are the files below upstream/.
	Upstream Set `json:"upstream"`
	// Files are all other files, by path; manifest.json itself is not among them.
	Files []File `json:"files"`
}

// Counts counts records. All are the live and the withdrawn ones; disputed ones are
// among either, as [Record] says.
type Counts struct {
	All       int `json:"all"`
	Live      int `json:"live"`
	Disputed  int `json:"disputed"`
	Withdrawn int `json:"withdrawn"`
}

// Set stands for many small files.
type Set struct {
	Files int `json:"files"`
	// SHA256 (hex) is the digest of what sha256sum prints for the files: a line
	// "<hex>  <name>\n" for each, in the order of ids (records; the name is <ID>.json) or of
	// paths below upstream/.
	SHA256 string `json:"sha256"`
}

// File is one file of a release.
type File struct {
	Path string `json:"path"`
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// setDigest makes a [Set] of files that come in order.
type setDigest struct {
	h    hash.Hash
	n    int
	line []byte
}

func newSetDigest() *setDigest { return &setDigest{h: sha256.New()} }

func (s *setDigest) add(name string, sum [sha256.Size]byte) {
	s.line = hex.AppendEncode(s.line[:0], sum[:])
	s.line = append(append(append(s.line, "  "...), name...), '\n')
	s.h.Write(s.line)
	s.n++
}

func (s *setDigest) set() Set {
	return Set{Files: s.n, SHA256: hex.EncodeToString(s.h.Sum(nil))}
}

// marshal writes the manifest and gives its digest.
func (m *Manifest) marshal() ([]byte, [sha256.Size]byte, error) {
	b, err := json.Marshal(m, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("%s: %w", manifestName, err)
	}
	b = append(b, '\n')
	return b, sha256.Sum256(b), nil
}

func (m *Manifest) file(path string) (File, bool) {
	for _, f := range m.Files {
		if f.Path == path {
			return f, true
		}
	}
	return File{}, false
}

// readManifest reads the manifest of the release in dir.
func readManifest(root *os.Root, dir string) (Manifest, [sha256.Size]byte, error) {
	var m Manifest
	var sum [sha256.Size]byte
	f, err := root.Open(path.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, sum, fmt.Errorf("%w: no %s", ErrDamaged, manifestName)
	}
	if err != nil {
		return m, sum, err
	}
	defer f.Close()
	b, err := bounded.ReadAll(f, maxManifest, manifestName)
	if err != nil {
		return m, sum, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, sum, fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	if m.Version != manifestVersion {
		return m, sum, fmt.Errorf("%s has version %d, this program reads %d", manifestName, m.Version, manifestVersion)
	}
	return m, sha256.Sum256(b), nil
}
