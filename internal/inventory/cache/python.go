package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// pythonKinds are the caches of pip and of those that keep theirs in the same ways (pipenv, PDM, Poetry), and of uv.
// They come before the kinds of package installed in a walk, and before those of package files: what is unpacked in uv's cache looks
// installed, and more is known of it here.
func pythonKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "pip-cache", Dir: isHTTPCache, Match: isHTTPEntry, Read: readHTTPEntry},
		{Name: "pip-cache", Dir: isWheelCache, Match: isDistributionFile, Read: readWheelCache},
		{Name: "poetry-cache", Dir: isPoetryHTTP, Match: isHTTPEntry, Read: readHTTPEntry},
		{Name: "poetry-cache", Dir: isPoetryArtifacts, Match: isDistributionFile, Read: readWheelCache},
		{Name: "uv-cache", Match: isCacheTag, Read: readCacheTag},
		{Name: "uv-cache", Dir: isUvArchive, Match: isCoreMetadata, Read: readUvArchive},
		{Name: "uv-cache", Dir: isUvSource, Match: isUvSourceFile, Read: readUvSource},
	}
}

// maxOriginJSON and maxHTTPHead bound what pip writes beside an archive, in bytes.
const (
	maxOriginJSON = 1 << 20
	maxHTTPHead   = 1 << 20
)

// isHTTPCache matches the directories of CacheControl's file cache (cachecontrol/caches/file_cache.py), which pip and PDM
// call "http", and pip 23.3 and newer "http-v2".
func isHTTPCache(dir string) bool {
	above, ok := aboveEntry(dir)
	return ok && (strings.HasSuffix(above, "/http") || strings.HasSuffix(above, "/http-v2"))
}

// isPoetryHTTP matches the same of Poetry's repositories.
func isPoetryHTTP(dir string) bool {
	above, ok := aboveEntry(dir)
	return ok && strings.HasSuffix(above, "/_http")
}

// aboveEntry gives the file cache that dir is in: an entry is in five directories that are called as the first
// digits of its own name.
func aboveEntry(dir string) (string, bool) {
	n := len(dir) - 10
	if n < 0 {
		return "", false
	}
	for i := n; i < len(dir); i += 2 {
		if dir[i] != '/' || !isHex(dir[i+1]) {
			return "", false
		}
	}
	return dir[:n], true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// isDigest reports whether s can be the digest of something: at least SHA-1's length in hexadecimal.
func isDigest(s string) bool {
	if len(s) < 40 || len(s) > 128 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isHTTPEntry matches one cached answer, called by the SHA-224 of its URL, and the body beside it in the newer layout.
func isHTTPEntry(base, _ string) bool { return isDigest(strings.TrimSuffix(base, ".body")) }

// readHTTPEntry reads one cached answer. Only an archive is a package; pages of an index, and metadata that PyPI
// serves apart from the archive under the same headers, are not.
//
// Two layouts: "cc=4," and a map of MessagePack with the body in it (pip up to 23.2), and the same with an
// empty body and that in a file beside it. Of the second the body is the one that is read, with what is said about it.
// The URL is in neither, only its digest.
func readHTTPEntry(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "PyPI")
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return err
	}
	defer done()
	var a httpAnswer
	if head, ok := strings.CutSuffix(path.Base(in.Rel), ".body"); ok {
		// pip takes a body without a head for nothing, and it is on the disk all the same.
		if b, ok := in.Sibling(head, maxHTTPHead); ok {
			if a, err = readHTTPAnswer(bytes.NewReader(b), int64(len(b))); err != nil {
				return l.End(fmt.Errorf("%s beside it: %w", head, err))
			}
		}
		a.body = io.NewSectionReader(at, 0, size)
	} else {
		if a, err = readHTTPAnswer(at, size); err != nil {
			return l.End(err)
		}
	}
	if a.body == nil || a.body.Size() == 0 || a.status != 0 && a.status != 200 {
		return nil
	}
	return l.End(a.read(in, l))
}

// httpAnswer is what CacheControl keeps of an answer.
type httpAnswer struct {
	status int64 // 0 when nothing says it
	body   *io.SectionReader
	// project and version are what PyPI's file host says about a file.
	project, version string
	// media is its type, encoding how the body is compressed on its way: pages of an index are.
	media, encoding string
}

// cacheVersion is the format that CacheControl has written since 0.12, of 2016.
const cacheVersion = "cc=4"

// readHTTPAnswer reads Serializer.dumps of cachecontrol/serialize.py.
func readHTTPAnswer(r io.ReaderAt, size int64) (a httpAnswer, err error) {
	p := &packed{r: r, end: size}
	magic, err := p.bytes(int(min(size, int64(len(cacheVersion)+1))))
	if err != nil {
		return a, err
	}
	if version, rest, ok := strings.Cut(string(magic), ","); version != cacheVersion || !ok || rest != "" {
		if strings.HasPrefix(string(magic), "cc=") {
			if _, err := strconv.Atoi(version[len("cc="):]); err == nil {
				return a, fmt.Errorf("cached answers of version %s are not known: not read", version[len("cc="):])
			}
		}
		return a, errors.New("not a cached answer: not read")
	}
	whole, err := p.next()
	if err != nil {
		return a, err
	}
	if whole.kind != packedMap {
		return a, errPacked
	}
	err = p.object(whole, func(key string, v packedValue) error {
		if key != "response" {
			return p.skip(v)
		}
		return p.object(v, func(key string, v packedValue) error {
			switch {
			case key == "body" && v.kind == packedText:
				a.body = io.NewSectionReader(r, v.at, v.n)
			case key == "status" && v.kind == packedNumber:
				a.status = v.n
			case key == "headers":
				return p.object(v, a.header(p))
			}
			return p.skip(v)
		})
	})
	return a, err
}

// header keeps the headers that say what the body is.
func (a *httpAnswer) header(p *packed) func(string, packedValue) error {
	return func(key string, v packedValue) (err error) {
		var into *string
		switch strings.ToLower(key) {
		case "x-pypi-file-project":
			into = &a.project
		case "x-pypi-file-version":
			into = &a.version
		case "content-type":
			into = &a.media
		case "content-encoding":
			into = &a.encoding
		default:
			return p.skip(v)
		}
		*into, err = p.text(v, 1<<10)
		if err != nil {
			return err
		}
		return p.skip(v)
	}
}

// read sends the package that the body is.
//
// The headers say that PyPI's software has the file, not which PyPI: test.pypi.org, where anyone can take a name that
// is taken on the real one, sends them too. So the origin stays unknown. The body's digests decide, where a record has any.
func (a *httpAnswer) read(in *inventory.File, l *inventory.List) error {
	var magic [6]byte
	n, _ := a.body.ReadAt(magic[:], 0)
	archive := false
	for _, m := range [...]string{"PK\x03\x04", "\x1f\x8b", "BZh", "\xfd7zXZ\x00"} {
		archive = archive || bytes.HasPrefix(magic[:n], []byte(m))
	}
	media := strings.ToLower(a.media)
	if !archive || strings.Contains(media, "html") || strings.Contains(media, "json") {
		return nil
	}
	d := distribution{name: a.project, version: a.version}
	if a.project == "" || a.version == "" {
		var err error
		d, err = archiveIn(a.body, a.body.Size())
		if errors.Is(err, errNoPackage) || err != nil && a.encoding != "" && a.encoding != "identity" {
			l.Skip("cached archives without a Python package's name")
			return nil
		}
		if err != nil {
			return err
		}
	}
	digests, err := in.Digests(a.body, a.body.Size())
	if err != nil {
		return err
	}
	return d.send(l, rapsheet.Evidence{Digests: digests})
}

// isWheelCache matches the directories of pip's wheels (pip/_internal/cache.py, SimpleWheelCache) and PDM's.
func isWheelCache(dir string) bool {
	above, ok := aboveLink(dir)
	return ok && strings.HasSuffix(above, "/wheels")
}

// isPoetryArtifacts matches the directories of the archives that Poetry fetched and built (poetry/utils/cache.py, ArtifactCache).
func isPoetryArtifacts(dir string) bool {
	above, ok := aboveLink(dir)
	return ok && strings.HasSuffix(above, "/artifacts")
}

// aboveLink gives what stands above four directories that make up the digest of a link: ab/cd/ef/….
func aboveLink(dir string) (string, bool) {
	i := strings.LastIndexByte(dir, '/')
	if i < 9 || !isHex(dir[i-1]) || !isDigest(dir[i+1:]) {
		return "", false
	}
	for j := i - 9; j < i; j += 3 {
		if dir[j] != '/' || !isHex(dir[j+1]) || !isHex(dir[j+2]) {
			return "", false
		}
	}
	return dir[:i-9], true
}

// isDistributionFile matches wheels and source distributions by their names' ends.
func isDistributionFile(base, _ string) bool {
	if strings.HasSuffix(base, ".whl") {
		return true
	}
	for _, s := range sdistSuffixes {
		if strings.HasSuffix(base, s) {
			return true
		}
	}
	return false
}

// readWheelCache reads an archive by its name. A wheel that was built here says in origin.json, in the form of PEP 610, of
// which archive (pip 23.1 and newer); digests in it are that archive's.
func readWheelCache(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "PyPI")
	var ev rapsheet.Evidence
	if b, ok := in.Sibling("origin.json", maxOriginJSON); ok {
		ev = wheelOrigin(l, b)
	}
	return l.End(archiveFile(ctx, in, l, ev))
}

func wheelOrigin(l *inventory.List, b []byte) rapsheet.Evidence {
	var d struct {
		URL string    `json:"url"`
		VCS *struct{} `json:"vcs_info"`
		Dir *struct{} `json:"dir_info"`
		Arc struct {
			Hash   string            `json:"hash"` // algorithm=hex, the older form
			Hashes map[string]string `json:"hashes"`
		} `json:"archive_info"`
	}
	if json.Unmarshal(b, &d, jsontext.AllowDuplicateNames(true)) != nil {
		return rapsheet.Evidence{}
	}
	switch {
	case d.VCS != nil:
		return l.Git(d.URL)
	case d.Dir != nil || strings.HasPrefix(d.URL, "file:"):
		return inventory.Local(strings.TrimPrefix(d.URL, "file://"))
	}
	raw := []string{strings.Replace(d.Arc.Hash, "=", ":", 1)}
	for _, algorithm := range slices.Sorted(maps.Keys(d.Arc.Hashes)) {
		if h := algorithm + ":" + d.Arc.Hashes[algorithm]; h != raw[0] {
			raw = append(raw, h)
		}
	}
	return l.Origin(d.URL, raw...)
}
