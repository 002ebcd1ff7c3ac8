package cache

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// uv's cache (crates/uv-cache/src/lib.rs) is made of buckets, each with a version that changes when its files do:
//
//	archive-v0/<id>/                        a wheel, unpacked
//	wheels-v6/<where>/<name>/<wheel>.http   which archive it is, of which digests, and the HTTP cache policy
//	sdists-v9/<where>/<name>/<version>/     revision.http, and below <id> the source, unpacked, and wheels built of it
//
// <where> is pypi, index/<digest>, url/<digest>, path/<digest>, editable/<digest>, or git/<digest>. A package is where
// its files are; what wheels-v6 knows is evidence. The other buckets hold no packages, or (environments-v2, builds-v0)
// environments like any other.

// uvBuckets are the versions of the buckets that are read here, up to which.
var uvBuckets = map[string]int{"wheels": 6, "sdists": 9, "built-wheels": 4, "archive": 0}

// Limits of one cache: its pointers, and one of them in bytes.
const (
	maxUvPointers = 100_000
	maxUvPointer  = 1 << 20
)

// uvBucket reads the name of a bucket's directory.
func uvBucket(dir string) (bucket string, version int, ok bool) {
	i := strings.LastIndex(dir, "-v")
	if i < 0 {
		return "", 0, false
	}
	version, err := strconv.Atoi(dir[i+2:])
	if _, known := uvBuckets[dir[:i]]; err != nil || !known || version < 0 {
		return "", 0, false
	}
	return dir[:i], version, true
}

// isCacheTag matches the file at the root of uv's cache, and of others' (bford.info/cachedir).
func isCacheTag(base, _ string) bool { return base == "CACHEDIR.TAG" }

// readCacheTag looks for buckets of versions that are not known.
func readCacheTag(_ context.Context, in *inventory.File, out *inventory.Sink) error {
	dir := path.Dir(in.Rel)
	for _, e := range in.ReadDir(dir) {
		if !e.IsDir() {
			continue
		}
		bucket, version, ok := uvBucket(e.Name())
		if !ok || version <= uvBuckets[bucket] {
			continue
		}
		if !out.Note(rapsheet.NoteUnread, 0, "uv's bucket %q of version %d is not known: not read", bucket, version) {
			return nil
		}
	}
	return nil
}

// isUvArchive matches …/archive-v0/<id>/<name>-<version>.dist-info.
func isUvArchive(dir string) bool {
	if !strings.HasSuffix(dir, ".dist-info") {
		return false
	}
	bucket, version, ok := uvBucket(path.Base(path.Dir(path.Dir(dir))))
	return ok && bucket == "archive" && version <= uvBuckets[bucket]
}

func isCoreMetadata(base, _ string) bool { return base == "METADATA" }

// readUvArchive reads an unpacked wheel.
func readUvArchive(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "PyPI")
	d := coreMetadata(bytes.NewReader(b))
	info := path.Dir(in.Rel)
	d.dirName, d.dirVersion, _ = strings.Cut(strings.TrimSuffix(path.Base(info), ".dist-info"), "-")
	id := path.Dir(info)
	root := path.Dir(path.Dir(id)) // the walk may begin below it: then nothing is known
	var ev rapsheet.Evidence
	if strings.Count(in.Rel, "/") >= 3 {
		pointers := in.Once("uv pointers "+root, func() any { return uvPointers(ctx, in, l, root) }).(map[string]rapsheet.Evidence)
		ev = pointers[path.Base(id)]
	}
	return l.End(d.send(l, ev))
}

// uvPointers gives the evidence of the archives of the cache at root, by their ids. Of an archive that two places
// lead to, and not the same, only the digests are known.
func uvPointers(ctx context.Context, in *inventory.File, l *inventory.List, root string) map[string]rapsheet.Evidence {
	all := map[string]rapsheet.Evidence{}
	left := maxUvPointers
	read := func(dir, where string) {
		for _, e := range in.ReadDir(dir) {
			ext := path.Ext(e.Name())
			if e.IsDir() || ext != ".http" && ext != ".rev" || left <= 0 || ctx.Err() != nil {
				continue
			}
			left--
			b, ok := in.ReadFile(path.Join(dir, e.Name()), maxUvPointer)
			if !ok {
				continue
			}
			p, err := readUvPointer(b)
			if err != nil {
				continue
			}
			ev := p.evidence(l, where)
			for _, id := range p.texts {
				if old, ok := all[id]; ok && (old.Origin != ev.Origin || old.Host != ev.Host) {
					all[id] = rapsheet.Evidence{Digests: ev.Digests}
					continue
				}
				all[id] = ev
			}
		}
	}
	for _, bucket := range in.ReadDir(root) {
		name, version, ok := uvBucket(bucket.Name())
		if !ok || name != "wheels" || version > uvBuckets[name] {
			continue
		}
		for _, where := range in.ReadDir(path.Join(root, bucket.Name())) {
			dir := path.Join(root, bucket.Name(), where.Name())
			for _, sub := range in.ReadDir(dir) {
				at := path.Join(dir, sub.Name())
				if where.Name() == "pypi" {
					read(at, where.Name())
					continue
				}
				for _, name := range in.ReadDir(at) {
					read(path.Join(at, name.Name()), where.Name())
				}
			}
		}
	}
	return all
}

// uvPointer is what a .http or .rev file says: Archive of crates/uv-distribution/src/archive.rs, or Revision of
// source/revision.rs, in MessagePack.
type uvPointer struct {
	// texts are all texts of it: an id, and digests by algorithm.
	texts []string
	// urls are the URLs in the HTTP cache policy that follows, up to the end of a file's name.
	urls []string
}

func readUvPointer(b []byte) (uvPointer, error) {
	p := &packed{r: bytes.NewReader(b), end: int64(len(b))}
	var u uvPointer
	v, err := p.next()
	if err == nil {
		err = p.walk(v, 0, func(v packedValue) error {
			s, err := p.text(v, 256)
			if s != "" && len(u.texts) < 256 {
				u.texts = append(u.texts, s)
			}
			return err
		})
	}
	if err != nil {
		return u, err
	}
	u.urls = fileURLs(b[p.pos:])
	return u, nil
}

// fileSuffixes are the ends of the names of distribution files.
var fileSuffixes = append([]string{".whl"}, sdistSuffixes[:]...)

// fileURLs finds the URLs of distribution files in the archived policy (rkyv), whose texts are written as they are,
// one after the other: only the end of the file's name tells where a URL ends.
func fileURLs(b []byte) []string {
	var all []string
	for range 64 {
		i := bytes.Index(b, []byte("http"))
		if i < 0 {
			break
		}
		b = b[i:]
		n := 0
		for n < len(b) && n < 4096 && b[n] > ' ' && b[n] < 0x7f && b[n] != '"' && b[n] != '<' && b[n] != '>' {
			n++
		}
		url := string(b[:n])
		at, end := n, 0
		for _, s := range fileSuffixes {
			if j := strings.Index(url, s); j >= 0 && (j < at || j == at && j+len(s) > end) {
				at, end = j, j+len(s)
			}
		}
		if end > 0 && strings.Contains(url[:end], "://") && !slices.Contains(all, url[:end]) {
			all = append(all, url[:end])
		}
		b = b[len("http"):]
	}
	return all
}

// evidence is that of a file that is kept under where. "pypi" is https://pypi.org/simple and nothing else (uv's
// IndexUrl::Pypi); of another index the name of the directory is a digest.
func (u *uvPointer) evidence(l *inventory.List, where string) rapsheet.Evidence {
	var ev rapsheet.Evidence
	switch {
	case where == "pypi":
		ev = rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "pypi.org"}
	case where == "path", where == "editable":
		ev = rapsheet.Evidence{Origin: rapsheet.OriginFile}
	case where == "git":
		ev = rapsheet.Evidence{Origin: rapsheet.OriginGit}
	case where == "index" && len(u.urls) == 1:
		ev = l.Registry(u.urls[0])
	case where == "url" && len(u.urls) == 1:
		ev = l.Archive(u.urls[0])
	}
	for i := 0; i+1 < len(u.texts); i++ {
		ev.Digests = append(ev.Digests, inventory.Integrity([]string{strings.ToLower(u.texts[i]) + ":" + u.texts[i+1]})...)
	}
	return ev
}

// isUvSource matches the directories of the buckets of source distributions.
func isUvSource(dir string) bool {
	return strings.Contains(dir, "/sdists-v") || strings.Contains(dir, "/built-wheels-v")
}

// isUvSourceFile matches what says, there, that a source distribution was fetched, what was built of it, and the
// metadata that it comes with.
func isUvSourceFile(base, file string) bool {
	switch base {
	case "revision.http", "revision.rev":
		return true
	case "PKG-INFO":
		return strings.HasSuffix(path.Dir(file), ".egg-info")
	}
	return strings.HasSuffix(base, ".whl")
}

// uvSource is a source distribution by its place in a bucket.
type uvSource struct {
	known         bool   // the bucket's version
	where         string // pypi, index, …
	name, version string // where they are part of the path
	dir           string // of revision.http, relative to the root of the walk; "" if the walk begins below it
}

func uvSourceAt(rel string) (s uvSource) {
	parts := strings.Split(rel, "/")
	for i, part := range parts {
		bucket, version, ok := uvBucket(part)
		if !ok || bucket != "sdists" && bucket != "built-wheels" {
			continue
		}
		if s.known = version <= uvBuckets[bucket]; !s.known {
			return s
		}
		rest := parts[i+1:]
		named := 0 // the directories before the name
		switch {
		case len(rest) > 3 && rest[0] == "pypi":
			named = 1
		case len(rest) > 4 && rest[0] == "index":
			named = 2
		case len(rest) > 2:
			s.where = rest[0]
			s.dir = strings.Join(parts[:i+3], "/")
			return s
		default:
			return s
		}
		s.where, s.name, s.version = rest[0], rest[named], rest[named+1]
		s.dir = strings.Join(parts[:i+1+named+2], "/")
		return s
	}
	return s
}

// readUvSource reads one of the files that isUvSourceFile matches.
func readUvSource(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "PyPI")
	s := uvSourceAt(in.Rel)
	base := path.Base(in.Rel)
	if strings.HasPrefix(base, "revision.") {
		if !s.known {
			return nil // said once, for the bucket
		}
		return l.End(s.read(in, l))
	}
	var pointer uvPointer
	for _, name := range []string{"revision.http", "revision.rev"} {
		if b, ok := in.ReadFile(path.Join(s.dir, name), maxUvPointer); ok && s.known && s.dir != "" {
			if p, err := readUvPointer(b); err == nil {
				pointer = p
				break
			}
		}
	}
	ev := pointer.evidence(l, s.where)
	if base == "PKG-INFO" {
		b, err := in.Text()
		if err != nil {
			return err
		}
		d := coreMetadata(bytes.NewReader(b))
		if l.Ecosystem.Canonical(d.name) != s.name {
			ev = rapsheet.Evidence{} // something else that lies in the source
		}
		return l.End(l.Add(d.name, d.version, 0, ev))
	}
	// The digests are those of what the wheel was built of.
	return l.End(archiveFile(ctx, in, l, ev))
}

// read reads revision.http or revision.rev. The source is there if the directory is that it names.
func (s *uvSource) read(in *inventory.File, l *inventory.List) error {
	b, err := in.All()
	if err != nil {
		return err
	}
	p, err := readUvPointer(b)
	if err != nil {
		return err
	}
	id := ""
	for _, e := range in.ReadDir(path.Dir(in.Rel)) {
		if e.IsDir() && slices.Contains(p.texts, e.Name()) {
			id = e.Name()
		}
	}
	if id == "" {
		l.Out.Note(rapsheet.NoteInfo, 0, "a source distribution that was removed from the cache")
		return nil
	}
	d := distribution{name: s.name, version: s.version}
	if d.name == "" {
		dir := path.Join(path.Dir(in.Rel), id)
		for _, e := range in.ReadDir(dir) {
			if w, ok := wheelName(e.Name()); ok {
				d = w
			}
		}
		if b, ok := in.ReadFile(path.Join(dir, "src", "PKG-INFO"), maxCoreMetadata); d.name == "" && ok {
			d = coreMetadata(bytes.NewReader(b))
		}
	}
	if d.name == "" {
		l.Skip("source distributions without a name")
		return nil
	}
	return d.send(l, p.evidence(l, s.where))
}
