package cache

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// Bounds of npm's cache: bytes of one line of its index, keys of one bucket, and bytes of an archive that has to be
// opened because its URL does not name the package, as it lies there and decompressed.
const (
	maxNPMLine       = 4 << 20
	maxNPMKeys       = 10_000
	maxNPMArchive    = 64 << 20
	maxNPMUnpacked   = 256 << 20
	npmIndexVersion  = "index-v5"
	npmRequestPrefix = "make-fetch-happen:request-cache:"
	npmTarballPrefix = "pacote:tarball:"
)

// npmIndex gives the name of the index that dir, …/_cacache/index-v5/xx/yy, is a part of; "" if it is none.
func npmIndex(dir string) string {
	i := len(dir) - len("/xx/yy")
	if i <= 0 || dir[i] != '/' || dir[i+3] != '/' {
		return ""
	}
	above, name := cutLast(dir[:i])
	if !strings.HasPrefix(name, "index-v") || !strings.HasSuffix(above, "/_cacache") {
		return ""
	}
	return name
}

func isNPMBuckets(dir string) bool { return npmIndex(dir) == npmIndexVersion }

func isUnknownNPMBuckets(dir string) bool {
	name := npmIndex(dir)
	return name != "" && name != npmIndexVersion
}

// isNPMBucket matches what is left of a SHA-256 behind its first two bytes.
func isNPMBucket(base, _ string) bool { return lowerHex(base, 60) }

// npmEntry is one entry of the index of npm's cache, as far as it is of use.
type npmEntry struct {
	Key       string `json:"key"`
	Integrity string `json:"integrity"`
	Metadata  struct {
		Request  npmHeaders `json:"reqHeaders"`
		Response npmHeaders `json:"resHeaders"`
	} `json:"metadata"`
}

// npmHeaders are those of the request and the response; npm 6 and older write each as a list of values.
type npmHeaders struct {
	Accept      any `json:"accept"`
	ContentType any `json:"content-type"`
}

// readNPMBucket reads one bucket of the index of npm's cache: lines of a JSON text behind its SHA-1, of which the last
// one of a key counts, and one without integrity takes the key away (github.com/npm/cacache, lib/entry-index.js). Keys
// are those of github.com/npm/make-fetch-happen, lib/cache/key.js, and github.com/npm/pacote, lib/fetcher.js. Entries of
// which the content is gone are no packages any more.
func readNPMBucket(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "npm")
	b := npmBucket{in: in, entries: map[string]npmEntry{}, content: path.Join(in.Rel, "../../../..", "content-v2")}
	err := b.read(ctx)
	for _, key := range b.order {
		if e := b.entries[key]; err == nil && e.Integrity != "" {
			err = b.send(ctx, l, e)
		}
	}
	b.sumUp(out)
	return l.End(err)
}

type npmBucket struct {
	in      *inventory.File
	content string // relative to the root of the walk
	entries map[string]npmEntry
	order   []string // keys, as they come first

	broken, long, gone int
	unopened           int
	reason             error // why the first one could not be opened
}

func (b *npmBucket) read(ctx context.Context) error {
	r := bufio.NewReaderSize(b.in.R, 2<<10)
	var line []byte
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		part, err := r.ReadSlice('\n')
		if len(line) <= maxNPMLine {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && err != io.EOF:
			return err
		}
		if full := b.line(bytes.TrimSuffix(line, []byte{'\n'})); full != nil {
			return full
		}
		line = line[:0]
		if err == io.EOF {
			return nil
		}
	}
}

func (b *npmBucket) line(line []byte) error {
	if len(line) > maxNPMLine {
		b.long++
		return nil
	}
	if len(line) == 0 {
		return nil
	}
	sum, text, _ := bytes.Cut(line, []byte{'\t'})
	text, _, _ = bytes.Cut(text, []byte{'\t'})
	var e npmEntry
	if is := sha1.Sum(text); hex.EncodeToString(is[:]) != string(sum) || inventory.DecodeJSON(text, &e) != nil {
		b.broken++
		return nil
	}
	if !strings.HasPrefix(e.Key, npmRequestPrefix) && !strings.HasPrefix(e.Key, npmTarballPrefix) {
		return nil
	}
	if _, ok := b.entries[e.Key]; !ok {
		if len(b.order) == maxNPMKeys {
			return fmt.Errorf("more than %d keys in one bucket", maxNPMKeys)
		}
		b.order = append(b.order, e.Key)
	}
	b.entries[e.Key] = e
	return nil
}

// send sends the package of one entry, if it is of one.
func (b *npmBucket) send(ctx context.Context, l *inventory.List, e npmEntry) error {
	url, request := strings.CutPrefix(e.Key, npmRequestPrefix)
	if !request {
		url = strings.TrimPrefix(e.Key, npmTarballPrefix)
	}
	ev, known := archiveEvidence(l, url)
	if known.Name == "" && request && e.isMetadata() {
		return nil
	}
	digests := ecosystem.Integrity(e.Integrity)
	at, ok := b.find(digests)
	if !ok {
		b.gone++
		return nil
	}
	ev.Digests = digests
	if known.Name != "" && known.Version != "" {
		return l.Add(known.Name, known.Version, 0, ev)
	}
	own, err := b.open(ctx, at)
	switch {
	case errors.Is(err, errNoArchive) && known.Name == "":
		return nil
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		if b.unopened++; b.reason == nil {
			b.reason = err
		}
		if known.Name == "" {
			return nil
		}
	}
	return sendCalled(l, own, known, ev)
}

// isMetadata reports whether what came is JSON, or was to be: a packument, an audit's answer.
func (e *npmEntry) isMetadata() bool {
	for _, header := range []any{e.Metadata.Response.ContentType, e.Metadata.Request.Accept} {
		if list, ok := header.([]any); ok && len(list) > 0 {
			header = list[0]
		}
		if s, ok := header.(string); ok && s != "" {
			return strings.Contains(s, "json")
		}
	}
	return false
}

// find gives the file that has the content of that integrity (github.com/npm/cacache, lib/content/path.js). Where
// the walk does not reach the content, "" and true.
func (b *npmBucket) find(digests []rapsheet.Digest) (at string, ok bool) {
	if b.in.FS == nil || !fs.ValidPath(b.content) {
		return "", true
	}
	for _, d := range digests {
		at := path.Join(b.content, d.Algorithm, d.Hex[:2], d.Hex[2:4], d.Hex[4:])
		if info, err := fs.Stat(b.in.FS, at); err == nil && info.Mode().IsRegular() {
			return at, true
		}
	}
	return "", false
}

var errNoArchive = errors.New("is no gzip-compressed archive")

// open looks for the name in an archive whose URL has none.
func (b *npmBucket) open(ctx context.Context, at string) (called, error) {
	if at == "" {
		return called{}, errors.New("the content is outside of what is walked")
	}
	f, err := b.in.FS.Open(at)
	if err != nil {
		return called{}, err
	}
	defer f.Close()
	return archivedPackage(ctx, bounded.Reader(f, maxNPMArchive, "archive"))
}

func (b *npmBucket) sumUp(out *inventory.Sink) {
	note := func(kind rapsheet.NoteKind, n int, message string) {
		if n > 0 {
			out.Send(rapsheet.Sighting{}, &rapsheet.Note{Kind: kind, Path: out.File.Path, Message: message, Count: n})
		}
	}
	note(rapsheet.NoteInfo, b.broken, "index entries whose checksum does not hold: npm does not use them")
	note(rapsheet.NoteInfo, b.gone, "index entries without content: no packages any more")
	note(rapsheet.NoteUnread, b.long, fmt.Sprintf("index entries longer than %d bytes", maxNPMLine))
	if b.unopened > 0 {
		note(rapsheet.NoteUnread, b.unopened, "archives without a name in their address: "+inventory.Reason(b.reason))
	}
}

// archivedPackage reads name and version from an npm archive: the package.json in the directory at its top, whatever
// that is called, as npm unpacks it.
func archivedPackage(ctx context.Context, r io.Reader) (called, error) {
	plain, compression, err := bounded.Decompress(bounded.Context(ctx, r), maxNPMUnpacked)
	if err != nil {
		return called{}, err
	}
	defer plain.Close()
	if compression != bounded.Gzip {
		return called{}, errNoArchive
	}
	for t := tar.NewReader(plain); ; {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return called{}, errors.New("no package.json in it")
		case err != nil:
			return called{}, err
		}
		dir, base := path.Split(path.Clean(h.Name))
		if base != "package.json" || h.Typeflag != tar.TypeReg || strings.Count(dir, "/") != 1 {
			continue
		}
		b, err := bounded.ReadAll(t, maxPackageJSON, "package.json")
		if err != nil {
			return called{}, err
		}
		var p called
		if err := inventory.DecodeJSON(b, &p); err != nil {
			return called{}, err
		}
		if p.Name == "" {
			return called{}, errors.New("the package.json in it has no name")
		}
		return p, nil
	}
}
