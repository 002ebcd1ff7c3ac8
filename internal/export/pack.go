package export

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// maxUnpacked bounds the database of somebody else that is merged over, in bytes. Grype's and Trivy's are below 2 GiB.
const maxUnpacked = 16 << 30

// unpack copies a database to dst. It is the file at path, the file called name in the directory or the archive at path
// (tar, compressed with gzip or zstd), or the compressed file at path.
func unpack(ctx context.Context, from, name, dst string) (err error) {
	r, _, done, err := openPacked(ctx, from, name)
	if err != nil {
		return err
	}
	defer done()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err := io.Copy(out, io.LimitReader(r, maxUnpacked+1))
	if err == nil && n > maxUnpacked {
		err = fmt.Errorf("it is larger than %d bytes", int64(maxUnpacked))
	}
	return err
}

// openPacked reads what [unpack] copies. packed says that it was found by its name; what is not in a directory or archive is [fs.ErrNotExist].
func openPacked(ctx context.Context, from, name string) (r io.Reader, packed bool, done func(), err error) {
	st, err := os.Stat(from)
	if err != nil {
		return nil, false, nil, err
	}
	if st.IsDir() {
		from, packed = filepath.Join(from, name), true
		if st, err = os.Stat(from); err != nil {
			return nil, false, nil, err
		}
	}
	if !st.Mode().IsRegular() {
		return nil, false, nil, errors.New("it is no file")
	}
	in, err := os.Open(from)
	if err != nil {
		return nil, false, nil, err
	}
	var decoder io.Closer
	closeAll := func() {
		if decoder != nil {
			decoder.Close()
		}
		in.Close()
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	r = bounded.Context(ctx, in)
	for range 2 { // compression, tar
		head := make([]byte, 512)
		n, err := io.ReadFull(r, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return nil, false, nil, err
		}
		r = io.MultiReader(bytes.NewReader(head[:n]), r)
		switch {
		case decoder == nil && bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
			z, err := gzip.NewReader(r)
			if err != nil {
				return nil, false, nil, err
			}
			r, decoder = z, z
		case decoder == nil && bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
			z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(1<<30))
			if err != nil {
				return nil, false, nil, err
			}
			decoder = z.IOReadCloser()
			r = z
		case bytes.HasPrefix(head[257:], []byte("ustar")):
			if r, err = member(r, path.Base(filepath.ToSlash(name))); err != nil {
				return nil, false, nil, err
			}
			return r, true, closeAll, nil
		}
	}
	return r, packed, closeAll, nil
}

// member goes on to the file of a tar that has the base name.
func member(r io.Reader, base string) (io.Reader, error) {
	t := tar.NewReader(r)
	for entries := 0; entries < 1000; entries++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg && path.Base(h.Name) == base {
			return t, nil
		}
	}
	return nil, fmt.Errorf("there is no %s in the archive: %w", base, fs.ErrNotExist)
}

// packFile adds a file to a tar, with nothing in its header that differs from run to run.
func packFile(ctx context.Context, t *tar.Writer, name string, from io.Reader, size int64, date time.Time) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: date.Truncate(time.Second)}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(t, bounded.Context(ctx, from))
	return err
}

// packPath adds the file at path to a tar.
func packPath(ctx context.Context, t *tar.Writer, name, path string, date time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return packFile(ctx, t, name, f, st.Size(), date)
}

// workDir makes a directory below dir for files that are not part of the tree, because databases are opened by path; done
// removes it.
func workDir(dir *os.Root) (path string, done func() error, err error) {
	const name = ".work"
	if err := dir.Mkdir(name, 0o700); err != nil {
		return "", nil, err
	}
	return filepath.Join(dir.Name(), name), func() error { return dir.RemoveAll(name) }, nil
}

// readable divides the versions of a record that is not about all of them: first those that a reader's grammar takes, with the spans whose ends it takes,
// then the exact versions that it does not. One version that a reader cannot parse makes it pass over a whole constraint.
func readable(a *advisory.Advisory, version func(string) bool) (yes *advisory.Advisory, no []string) {
	out := *a
	out.Versions, out.Spans = nil, nil
	for _, v := range a.Versions {
		if version(v) {
			out.Versions = append(out.Versions, v)
		} else {
			no = append(no, v)
		}
	}
	end := func(v string) bool { return v == "" || version(v) }
	for _, s := range a.Spans {
		if end(s.From) && end(s.To) {
			out.Spans = append(out.Spans, s)
		}
	}
	return &out, no
}

// What the readers of version constraints parse, anchored: numbers beyond 18 digits overflow in some.
var (
	// plainVersion has nothing that separates or quotes in a constraint.
	plainVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_~!-]*$`)
	// looseVersion is that of hashicorp/go-version and of aquasecurity/go-version.
	looseVersion = regexp.MustCompile(`^v?[0-9]{1,18}(\.[0-9]{1,18})*(-[0-9A-Za-z~-]+(\.[0-9A-Za-z~-]+)*)?(\+[0-9A-Za-z~-]+(\.[0-9A-Za-z~-]+)*)?$`)
	// gemVersion is that of https://github.com/rubygems/rubygems, Gem::Version.
	gemVersion = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9A-Za-z]{1,18})*(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
	// mavenVersion is what can stand in a constraint.
	mavenVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z~_.+-]*$`)
	// pythonVersion is that of PEP 440 in lower case (https://peps.python.org/pep-0440/#appendix-b-parsing-version-strings-with-regular-expressions).
	pythonVersion = regexp.MustCompile(`^v?([0-9]{1,18}!)?[0-9]{1,18}(\.[0-9]{1,18})*([-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?[0-9]{0,18})?` +
		`(-[0-9]{1,18}|[-_.]?(post|rev|r)[-_.]?[0-9]{0,18})?([-_.]?dev[-_.]?[0-9]{0,18})?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?$`)
)

// lowered is a with its versions in lower case, which PEP 440 says are the same.
func lowered(a *advisory.Advisory) *advisory.Advisory {
	out := *a
	out.Versions = make([]string, len(a.Versions))
	for i, v := range a.Versions {
		out.Versions[i] = strings.ToLower(v)
	}
	out.Spans = make([]advisory.Span, len(a.Spans))
	for i, s := range a.Spans {
		out.Spans[i] = advisory.Span{From: strings.ToLower(s.From), To: strings.ToLower(s.To), Including: s.Including}
	}
	return &out
}
