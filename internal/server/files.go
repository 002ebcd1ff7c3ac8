package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"weak"

	"github.com/rapsheet/rapsheet/internal/export"
)

// Content types of what is served.
const (
	jsonType = "application/json"
	yamlType = "application/yaml" // RFC 9512
	zipType  = "application/zip"
	csvType  = "text/csv; charset=utf-8"
	textType = "text/plain; charset=utf-8"
)

// files are what package export makes of a generation, each format once: when the first client asks
// for it, or at once if one has asked the generation before.
// One is made at a time: each holds the catalog in memory.
type files struct {
	s   *Server
	g   *generation
	dir string

	making sync.Mutex
	// catalog is what the format made last was made of, for those that wait to be made; it is gone with the next garbage collection. It is used
	// by who holds making.
	catalog weak.Pointer[export.Catalog]

	mu   sync.Mutex
	made map[string]*made // by format
}

// made is a format that was written, or is being written until done is closed.
type made struct {
	prefix string
	done   chan struct{}
	root   *os.Root
	err    error

	mu   sync.Mutex
	tags map[string]sums // by name of the file
}

// sums are the entity tag of a file and its CRC-32C, the latter in base64 as Google's storage gives it.
type sums struct{ tag, crc string }

func newFiles(s *Server, g *generation, n uint64) *files {
	return &files{s: s, g: g, dir: filepath.Join(s.conf.Spool, strconv.FormatUint(n, 10)), made: map[string]*made{}}
}

func (f *files) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.made {
		if m.root != nil {
			m.root.Close()
		}
	}
	os.RemoveAll(f.dir)
}

// fileName is the name that a format which is a single file has in its directory.
const fileName = "file"

// format gives the directory of a format, and makes it if need be; prefix is where below the server's address it is served.
// A request that gives up does not stop the making: the next one needs it too.
func (f *files) format(ctx context.Context, name, prefix string) (*made, error) {
	f.mu.Lock()
	m, ok := f.made[name]
	if !ok {
		m = &made{prefix: prefix, done: make(chan struct{}), tags: map[string]sums{}}
		f.made[name] = m
		f.g.users.Add(1) // the caller holds the generation, so that there is one to add to
		go func() {
			defer f.g.release()
			defer close(m.done)
			m.root, m.err = f.make(name, prefix)
			if m.err == nil {
				return
			}
			f.s.log.Error("format could not be made", "format", name, "error", m.err)
			// The next request tries again: the disk may have room then.
			f.mu.Lock()
			delete(f.made, name)
			f.mu.Unlock()
		}()
	}
	f.mu.Unlock()
	select {
	case <-m.done:
		return m, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// again makes the formats that clients have asked old for, so that fewer of them wait: some give up after seconds. The caller holds
// the generation.
func (f *files) again(old *files) {
	old.mu.Lock()
	prefixes := make(map[string]string, len(old.made))
	for name, m := range old.made {
		prefixes[name] = m.prefix
	}
	old.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(prefixes)) {
		_, _ = f.format(context.Background(), name, prefixes[name]) // an error is logged, and told to those who ask
	}
}

func (f *files) make(name, prefix string) (*os.Root, error) {
	format, ok := export.Find(name)
	if !ok {
		return nil, fmt.Errorf("no format is called %s", name)
	}
	f.making.Lock()
	defer f.making.Unlock()
	dir := filepath.Join(f.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := f.fill(root, format, prefix); err != nil {
		return nil, errors.Join(err, root.Close(), os.RemoveAll(dir))
	}
	return root, nil
}

func (f *files) fill(root *os.Root, format export.Format, prefix string) error {
	ctx := context.Background() // the work outlives the request that asked first
	c := f.catalog.Value()
	if c == nil {
		var err error
		if c, err = export.Load(ctx, f.g.ix.Documents(), f.g.meta.Date); err != nil {
			return err
		}
		f.catalog = weak.Make(c)
	}
	opt := export.Options{Links: f.s.links(), Publisher: f.s.conf.Publisher, Server: f.s.conf.Public + prefix, Served: true}
	if format.Tree != nil {
		return format.Tree(ctx, c, root, opt)
	}
	return writeOne(ctx, root, format, c, opt)
}

func writeOne(ctx context.Context, root *os.Root, format export.Format, c *export.Catalog, opt export.Options) (err error) {
	w, err := root.Create(fileName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return format.File(ctx, c, w, opt)
}

// serve answers with one file of a format, which is served below prefix: GET, HEAD, ranges and conditions.
// The file's name is the request's and cannot leave the directory. contentType is "" where the name tells.
func (s *Server) serve(g *generation, w http.ResponseWriter, r *http.Request, format, prefix, name, contentType string) error {
	m, err := g.files.format(r.Context(), format, prefix)
	if err != nil {
		return err
	}
	file, err := m.root.Open(filepath.FromSlash(name))
	if err != nil {
		// A NUL or a name longer than the file system takes is no file either.
		if errors.Is(err, fs.ErrNotExist) || !fs.ValidPath(name) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENAMETOOLONG) {
			return notFound
		}
		return err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil {
		return err
	} else if st.IsDir() {
		return notFound
	}
	sums, err := m.sums(name, file)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", sums.tag)
	if strings.HasSuffix(name, ".zip") || contentType == zipType {
		// osv-scanner compares it with what it has (https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash).
		h.Set("X-Goog-Hash", "crc32c="+sums.crc)
	}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Cache-Control", "no-cache") // a copy is asked after, which costs one small answer
	http.ServeContent(w, r, name, g.modified(), file)
	return nil
}

// sums are the same for GET and HEAD and after a restart.
func (m *made) sums(name string, file io.ReadSeeker) (sums, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.tags[name]; ok {
		return known, nil
	}
	h, c := sha256.New(), crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(io.MultiWriter(h, c), file); err != nil {
		return sums{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return sums{}, err
	}
	out := sums{`"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]) + `"`, base64.StdEncoding.EncodeToString(c.Sum(nil))}
	m.tags[name] = out
	return out, nil
}
