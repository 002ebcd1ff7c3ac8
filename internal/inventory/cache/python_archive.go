package cache

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// Limits of one archive that is asked for its name: what is read of the directory of a zip and of its metadata, what
// is decompressed of a tar, how many of its members are passed, and what is read of core metadata, in bytes.
const (
	maxZipRead      = 16 << 20
	maxTarRead      = 64 << 20
	maxTarMembers   = 20_000
	maxCoreMetadata = 1 << 20
)

// distribution is a package's name and version as an archive says it, and as the directory in it is named.
type distribution struct {
	name, version       string
	dirName, dirVersion string
}

// errNoPackage says that something is no archive of a Python package.
var errNoPackage = errors.New("no Python package")

// archiveIn tells which distribution the archive r of size bytes is: a wheel, or a source distribution in zip or
// tar.gz. The error is errNoPackage for everything else.
func archiveIn(r io.ReaderAt, size int64) (distribution, error) {
	var magic [4]byte
	if n, _ := r.ReadAt(magic[:], 0); n < len(magic) {
		return distribution{}, errNoPackage
	}
	switch {
	case bytes.HasPrefix(magic[:], []byte("PK\x03\x04")):
		return zipIn(r, size)
	case bytes.HasPrefix(magic[:], []byte{0x1f, 0x8b}):
		return tarIn(io.NewSectionReader(r, 0, size))
	}
	return distribution{}, errNoPackage
}

// metered is a reader that fails once more than left bytes were read.
type metered struct {
	r    io.ReaderAt
	left int64
}

func (m *metered) ReadAt(p []byte, off int64) (int, error) {
	if m.left -= int64(len(p)); m.left < 0 {
		return 0, &bounded.LimitError{What: "directory of the zip", Limit: maxZipRead}
	}
	return m.r.ReadAt(p, off)
}

// zipIn reads {name}-{version}.dist-info/METADATA of a wheel (specifications/binary-distribution-format), or
// {name}-{version}/PKG-INFO.
func zipIn(r io.ReaderAt, size int64) (distribution, error) {
	z, err := zip.NewReader(&metered{r, maxZipRead}, size)
	if err != nil {
		return distribution{}, err
	}
	var info *zip.File
	for _, f := range z.File {
		dir, base := path.Split(f.Name)
		dir = strings.TrimSuffix(dir, "/")
		if dir == "" || strings.Contains(dir, "/") {
			continue
		}
		if base == "METADATA" && strings.HasSuffix(dir, ".dist-info") {
			info = f
			break
		}
		if base == "PKG-INFO" && info == nil {
			info = f
		}
	}
	if info == nil {
		return distribution{}, errNoPackage
	}
	rc, err := info.Open()
	if err != nil {
		return distribution{}, err
	}
	defer rc.Close()
	d := coreMetadata(rc)
	if stem, ok := strings.CutSuffix(path.Dir(info.Name), ".dist-info"); ok {
		d.dirName, d.dirVersion, _ = strings.Cut(stem, "-")
	}
	if d.name == "" && d.dirName == "" {
		return d, errNoPackage
	}
	return d, nil
}

// tarIn reads {name}-{version}/PKG-INFO of a source distribution (specifications/source-distribution-format).
// One without is what its directory is called.
func tarIn(r io.Reader) (distribution, error) {
	plain, _, err := bounded.Decompress(r, maxTarRead)
	if err != nil {
		return distribution{}, err
	}
	defer plain.Close()
	t := tar.NewReader(plain)
	top := ""
	for range maxTarMembers {
		h, err := t.Next()
		if err != nil {
			if top == "" {
				return distribution{}, err
			}
			break // the end, or past the limit: the directory still has a name
		}
		dir, rest, ok := strings.Cut(strings.TrimPrefix(h.Name, "./"), "/")
		if !ok || dir == "" {
			continue
		}
		if top == "" {
			top = dir
		}
		if rest == "PKG-INFO" && h.Typeflag == tar.TypeReg {
			if d := coreMetadata(t); d.name != "" {
				return d, nil
			}
		}
	}
	if name, version, ok := splitStem(top); ok {
		return distribution{name: name, version: version}, nil
	}
	return distribution{}, errNoPackage
}

// coreMetadata reads core metadata, of which no more than 1 MiB counts. What cannot be read leaves name and version empty.
func coreMetadata(r io.Reader) (d distribution) {
	b, _ := io.ReadAll(io.LimitReader(r, maxCoreMetadata))
	d.name, d.version = pkgarchive.CoreMetadata(b)
	return d
}

// send sends a distribution, under both names where it has two.
func (d distribution) send(l *inventory.List, ev rapsheet.Evidence) error {
	if d.name != "" {
		if err := l.Add(d.name, d.version, 0, ev); err != nil {
			return err
		}
		if d.dirName == "" || l.Ecosystem.Canonical(d.dirName) == l.Ecosystem.Canonical(d.name) {
			return nil
		}
		if !l.Out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q is packed: both were looked up", d.name, d.dirName) {
			return inventory.ErrStopped
		}
	}
	return l.Add(d.dirName, d.dirVersion, 0, ev)
}

// wheelName reads a wheel's file name: {name}-{version}[-{build}]-{python}-{abi}-{platform}.whl.
func wheelName(base string) (distribution, bool) {
	stem, ok := strings.CutSuffix(base, ".whl")
	parts := strings.Split(stem, "-")
	if !ok || len(parts) < 5 || len(parts) > 6 || parts[0] == "" {
		return distribution{}, false
	}
	return distribution{name: parts[0], version: parts[1]}, true
}

// sdistSuffixes are the archives that source distributions came in (PEP 527).
var sdistSuffixes = [...]string{".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z", ".tar"}

// fileDistribution reads the file name of a wheel or a source distribution.
func fileDistribution(base string) (distribution, bool) {
	if d, ok := wheelName(base); ok {
		return d, true
	}
	for _, s := range sdistSuffixes {
		if stem, ok := strings.CutSuffix(base, s); ok {
			name, version, ok := splitStem(stem)
			return distribution{name: name, version: version}, ok
		}
	}
	return distribution{}, false
}

// splitStem splits {name}-{version}. Before PEP 625 a name could have "-" in it: the version is the longest end
// that is one.
func splitStem(stem string) (name, version string, ok bool) {
	eco, _ := ecosystem.Find("PyPI")
	for i := 1; i < len(stem); i++ {
		if stem[i] == '-' && eco.ValidVersion(stem[i+1:]) {
			return stem[:i], stem[i+1:], true
		}
	}
	return "", "", false
}

// archiveFile reads an archive that is a file of its own: what it is says its name, or else what is in it. Where
// knows are the evidence that there is; the archive's own digests are added where they are of use and it has none.
func archiveFile(ctx context.Context, in *inventory.File, l *inventory.List, ev rapsheet.Evidence) error {
	d, named := fileDistribution(path.Base(in.Path))
	if named && !in.Hash {
		return d.send(l, ev)
	}
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return err
	}
	defer done()
	if !named {
		if d, err = archiveIn(at, size); errors.Is(err, errNoPackage) {
			l.Skip("archives without a Python package's name")
			return nil
		} else if err != nil {
			return err
		}
	}
	own, err := in.Digests(at, size)
	if err != nil {
		return err
	}
	ev.Digests = append(ev.Digests[:len(ev.Digests):len(ev.Digests)], own...)
	return d.send(l, ev)
}
