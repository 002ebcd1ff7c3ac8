package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// rec is a small document; readers here do not look inside.
func rec(id string) string { return fmt.Sprintf(`{"id":%q,"modified":"2025-01-02T03:04:05Z"}`, id) }

// got is what a stream told: names of documents, "!name" of rejects, in order.
type got struct {
	names   []string
	data    map[string]string
	rejects map[string]error
	err     error
}

func read(t testing.TB, path string, lim Limits) got {
	t.Helper()
	return collect(t, Documents(t.Context(), path, lim))
}

// inMemory streams data as if it were a file.
func inMemory(ctx context.Context, data []byte, lim Limits) iter.Seq2[Document, error] {
	return stream(ctx, "memory", lim, func(e *emitter) error {
		return e.file(bytes.NewReader(data), int64(len(data)), "memory")
	})
}

func collect(t testing.TB, documents iter.Seq2[Document, error]) got {
	t.Helper()
	g := got{data: map[string]string{}, rejects: map[string]error{}}
	for doc, err := range documents {
		if g.err != nil {
			t.Fatalf("the stream goes on after %v", g.err)
		}
		var rej *Reject
		switch {
		case errors.As(err, &rej):
			g.names = append(g.names, "!"+rej.Name)
			g.rejects[rej.Name] = rej.Reason
			if strings.ContainsAny(rej.Error(), "\n\x00\x1b") {
				t.Errorf("the message of a reject is not one printable line: %q", rej.Error())
			}
		case err != nil:
			g.err = err
		default:
			g.names = append(g.names, doc.Name)
			g.data[doc.Name] = string(doc.Data)
		}
	}
	return g
}

func (g got) want(t *testing.T, names ...string) {
	t.Helper()
	if g.err != nil {
		t.Fatalf("the stream failed: %v", g.err)
	}
	if !slices.Equal(g.names, names) {
		t.Errorf("got  %q\nwant %q", g.names, names)
	}
}

func (g got) fails(t *testing.T, target error, texts ...string) {
	t.Helper()
	if g.err == nil {
		t.Fatalf("the stream did not fail, it gave %q", g.names)
	}
	if target != nil && !errors.Is(g.err, target) {
		t.Errorf("error is %v, want %v", g.err, target)
	}
	for _, text := range texts {
		if !strings.Contains(g.err.Error(), text) {
			t.Errorf("error is %q, want %q in it", g.err, text)
		}
	}
}

func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func zstded(data []byte) []byte {
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderCRC(true))
	return w.EncodeAll(data, nil)
}

type entry struct {
	name, body string
	typ        byte // of tar; 0 is a file
	link       string
	pax        map[string]string
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.body)), Mode: 0o644, Typeflag: tar.TypeReg, Linkname: e.link, PAXRecords: e.pax}
		if e.typ != 0 {
			h.Typeflag = e.typ
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := clienttest.ZipWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		switch e.typ {
		case tar.TypeSymlink:
			h.SetMode(os.ModeSymlink | 0o777)
		case tar.TypeFifo:
			h.SetMode(os.ModeNamedPipe | 0o644)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.body); err != nil && e.body != "" {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rawEntry is a zip entry whose headers say what a test wants.
type rawEntry struct {
	name         string
	body         []byte // as stored
	method       uint16
	flags        uint16
	crc          uint32
	csize, usize uint32
	localUsize   *uint32
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func raw(name, body string) rawEntry {
	d := deflated([]byte(body))
	return rawEntry{name: name, body: d, method: zipDeflate, crc: crc32.ChecksumIEEE([]byte(body)), csize: uint32(len(d)), usize: uint32(len(body))}
}

// rawZip writes a zip by the book (APPNOTE 4.3) around what the entries claim.
func rawZip(entries ...rawEntry) []byte {
	var b, dir []byte
	for _, e := range entries {
		off := uint32(len(b))
		local := e.usize
		if e.localUsize != nil {
			local = *e.localUsize
		}
		head := func(dst []byte, usize uint32) []byte {
			dst = le.AppendUint16(dst, e.flags)
			dst = le.AppendUint16(dst, e.method)
			dst = append(dst, 0, 0, 0, 0)
			dst = le.AppendUint32(dst, e.crc)
			dst = le.AppendUint32(dst, e.csize)
			dst = le.AppendUint32(dst, usize)
			dst = le.AppendUint16(dst, uint16(len(e.name)))
			return le.AppendUint16(dst, 0)
		}
		b = le.AppendUint16(le.AppendUint32(b, zipLocalSig), 20)
		b = append(head(b, local), e.name...)
		b = append(b, e.body...)
		dir = le.AppendUint16(le.AppendUint16(le.AppendUint32(dir, zipCentralSig), 20), 20)
		dir = head(dir, e.usize)
		dir = append(dir, make([]byte, 10)...)
		dir = append(le.AppendUint32(dir, off), e.name...)
	}
	return zipWithDirectory(b, dir, len(entries))
}

func zipWithDirectory(b, dir []byte, count int) []byte {
	off := uint32(len(b))
	b = append(b, dir...)
	b = append(le.AppendUint32(b, zipEndSig), 0, 0, 0, 0)
	b = le.AppendUint16(le.AppendUint16(b, uint16(count)), uint16(count))
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(dir))), off)
	return le.AppendUint16(b, 0)
}

func TestFormats(t *testing.T) {
	two := []entry{{name: "a/MAL-1.json", body: rec("MAL-1")}, {name: "README.md", body: "hi"}, {name: "MAL-2.json", body: rec("MAL-2")}}
	lines := rec("MAL-1") + "\n\r\n \n" + rec("MAL-2") + "\r\n" + rec("MAL-3")
	pretty := "{\n  \"id\": \"MAL-1\",\n\n  \"affected\": [\n{}\n]\n}\n"
	entries := []string{"a/MAL-1.json", "MAL-2.json"}
	for _, tt := range []struct {
		name string // the name says nothing: formats are told by content
		data []byte
		want []string
	}{
		{"x.zip", zipOf(t, two...), entries},
		{"zip named json.json", zipOf(t, two...), entries},
		{"x.tar", tarOf(t, two...), entries},
		{"x.tgz", gzipped(tarOf(t, two...)), entries},
		{"x.bin", zstded(tarOf(t, two...)), entries},
		{"lines.json", []byte(lines), []string{"lines.json:1", "lines.json:4", "lines.json:5"}},
		{"lines.gz", gzipped([]byte(lines)), []string{"lines.gz:1", "lines.gz:4", "lines.gz:5"}},
		{"lines.zst", zstded([]byte(lines)), []string{"lines.zst:1", "lines.zst:4", "lines.zst:5"}},
		{"blank first.jsonl", []byte("\n\n" + lines), []string{"blank first.jsonl:3", "blank first.jsonl:6", "blank first.jsonl:7"}},
		{"first line broken.jsonl", []byte("{\"id\":\n" + lines), []string{"first line broken.jsonl:1", "first line broken.jsonl:2", "first line broken.jsonl:5", "first line broken.jsonl:6"}},
		{"one.json", []byte(pretty), []string{"one.json"}},
		{"one.txt", []byte(rec("MAL-1")), []string{"one.txt"}},
		{"one.json.gz", gzipped([]byte(pretty)), []string{"one.json.gz"}},
		{"bom.json", []byte("\xef\xbb\xbf" + pretty), []string{"bom.json"}},
		{"late.json", []byte(strings.Repeat(" ", 4096) + rec("MAL-1")), []string{"late.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := read(t, file(t, tt.name, tt.data), Limits{})
			g.want(t, tt.want...)
			if first := g.data[tt.want[0]]; strings.Contains(tt.name, "one") && first != pretty && first != rec("MAL-1") {
				t.Errorf("the document is not as in the file: %q", first)
			}
		})
	}
}

func TestNotARecord(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		is         error
		text       string
	}{
		{"C1 empty", "", ErrNoRecords, "empty"},
		{"C2 white space", " \n\t ", ErrNoRecords, ""},
		{"C2 much white space", strings.Repeat("\n", 2000), ErrNoRecords, ""},
		{"C4 top-level array", `[{"id":"MAL-1"}]`, ErrFormat, "one record per line"},
		{"C14 UTF-16", "\xff\xfe{\x00", ErrFormat, "not UTF-8"},
		{"C53 HTML", "<!DOCTYPE html><html>", ErrFormat, "HTML"},
		{"text", "hello", ErrFormat, "supported"},
		{"zip in gzip", string(gzipped(zipOf(t, entry{name: "a.json", body: "{}"}))), ErrFormat, "zip inside gzip"},
		{"gzip in zstd", string(zstded(gzipped([]byte("{}")))), ErrFormat, "more than once"},
		{"empty zip", string(zipOf(t)), ErrNoRecords, "0 records"},
		{"empty tar", string(tarOf(t)), ErrNoRecords, "0 records"},
		{"only other files", string(zipOf(t, entry{name: "README.md", body: "hi"})), ErrNoRecords, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := read(t, file(t, "f", []byte(tt.data)), Limits{})
			g.fails(t, tt.is, tt.text)
			if len(g.names) > 0 {
				t.Errorf("told %q", g.names)
			}
		})
	}
	read(t, filepath.Join(t.TempDir(), "missing"), Limits{}).fails(t, os.ErrNotExist, "missing")
}

// Cases of shared/bad-inputs.md, section B, by number.
func TestBadArchives(t *testing.T) {
	good := entry{name: "npm/MAL-1.json", body: rec("MAL-1")}
	last := entry{name: "npm/MAL-2.json", body: rec("MAL-2")}
	both := func(t *testing.T, bad entry, want ...string) {
		t.Helper()
		read(t, file(t, "a", tarOf(t, good, bad, last)), Limits{}).want(t, want...)
		read(t, file(t, "a", gzipped(tarOf(t, good, bad, last))), Limits{}).want(t, want...)
		read(t, file(t, "a", zipOf(t, good, bad, last)), Limits{}).want(t, want...)
	}
	for number, names := range map[string][]string{
		"C35 dot dot":           {"../MAL-9.json", "a/../../MAL-9.json", "a/..", "../../etc/passwd"},
		"C36 absolute":          {"/etc/MAL-9.json", "//host/MAL-9.json"},
		"C37 windows":           {`C:\MAL-9.json`, `c:MAL-9.json`, `\\host\share\MAL-9.json`, `a\MAL-9.json`},
		"C38 control and NUL":   {"a\nb.json", "a\x1b[2J.json", "a\x7f.json"},
		"C38 long":              {strings.Repeat("n", maxName) + ".json"},
		"C38 not UTF-8 or C1":   {"a\u009b.json"},
		"C38 dot dot and other": {"npm/../x/MAL-9.json"},
	} {
		t.Run(number, func(t *testing.T) {
			for _, name := range names {
				both(t, entry{name: name, body: rec("MAL-9")}, good.name, "!"+clip(name), last.name)
			}
		})
	}
	t.Run("C38 NUL in zip", func(t *testing.T) {
		for _, name := range []string{"a\x00.json", "\xff.json", strings.Repeat("n", 65535)} {
			g := read(t, file(t, "a", rawZip(raw(good.name, good.body), raw(name, "{}"), raw(last.name, last.body))), Limits{})
			g.want(t, good.name, "!"+clip(name), last.name)
		}
	})
	t.Run("C39 links", func(t *testing.T) {
		both(t, entry{name: "npm/MAL-9.json", typ: tar.TypeSymlink, link: "/etc/passwd"}, good.name, "!npm/MAL-9.json", last.name)
		hard := entry{name: "npm/MAL-9.json", typ: tar.TypeLink, link: "npm/MAL-1.json"}
		read(t, file(t, "a", tarOf(t, good, hard, last)), Limits{}).want(t, good.name, "!npm/MAL-9.json", last.name)
	})
	t.Run("C40 devices", func(t *testing.T) {
		both(t, entry{name: "npm/MAL-9.json", typ: tar.TypeFifo}, good.name, "!npm/MAL-9.json", last.name)
		for _, typ := range []byte{tar.TypeChar, tar.TypeBlock} {
			read(t, file(t, "a", tarOf(t, good, entry{name: "sda", typ: typ}, last)), Limits{}).want(t, good.name, "!sda", last.name)
		}
	})
	t.Run("C41 duplicate names", func(t *testing.T) {
		for _, dup := range []string{good.name, "./" + good.name, "npm//MAL-1.json"} {
			read(t, file(t, "a", tarOf(t, good, last, entry{name: dup, body: "{}"})), Limits{}).fails(t, ErrDuplicate, good.name)
			g := read(t, file(t, "a", zipOf(t, good, last, entry{name: dup, body: "{}"})), Limits{})
			g.fails(t, ErrDuplicate, good.name)
			if len(g.names) > 0 {
				t.Errorf("a zip that is refused told %q first", g.names)
			}
		}
	})
	t.Run("C42 overlapping entries", func(t *testing.T) {
		// A thousand names for one body, as in bad-inputs.md: all headers agree but for the offset.
		body := deflated(bytes.Repeat([]byte(`{"id":1}`), 1000))
		one := raw("000.json", strings.Repeat(`{"id":1}`, 1000))
		b := rawZip(one)[:zipLocalSize+len(one.name)+len(body)]
		dir := rawZip(one)[len(b) : len(b)+zipCentralSize+len(one.name)]
		read(t, file(t, "a", zipWithDirectory(b, bytes.Repeat(dir, 2), 2)), Limits{}).fails(t, ErrDuplicate)
		// Quoted bodies: a second header lies inside the first entry's data.
		inner := raw("b.json", "{}")
		nested := rawZip(inner)
		nestedLocal := nested[:zipLocalSize+len(inner.name)+len(inner.body)]
		outer := rawEntry{name: "a.json", body: nestedLocal, method: zipStore, crc: crc32.ChecksumIEEE(nestedLocal), csize: uint32(len(nestedLocal)), usize: uint32(len(nestedLocal))}
		z := rawZip(outer)
		cut := zipLocalSize + len(outer.name) + len(outer.body)
		dir = slices.Clone(z[cut : cut+zipCentralSize+len(outer.name)])
		innerDir := slices.Clone(nested[len(nestedLocal) : len(nestedLocal)+zipCentralSize+len(inner.name)])
		binary.LittleEndian.PutUint32(innerDir[42:], uint32(zipLocalSize+len(outer.name)))
		read(t, file(t, "a", zipWithDirectory(z[:cut], append(dir, innerDir...), 2)), Limits{}).fails(t, ErrOverlap)
	})
	t.Run("C43 size lies", func(t *testing.T) {
		more, less, local := raw("more.json", strings.Repeat("x", 5000)), raw("less.json", "12345"), raw("local.json", "{}")
		more.usize, less.usize = 10, 4000
		other := uint32(77)
		local.localUsize = &other
		g := read(t, file(t, "a", rawZip(raw(good.name, good.body), more, less, local, raw(last.name, last.body))), Limits{})
		g.want(t, good.name, "!more.json", "!less.json", "!local.json", last.name)
	})
	t.Run("C44 flat bomb", func(t *testing.T) {
		zeros := string(make([]byte, bombSize()/2))
		read(t, file(t, "a", gzipped(tarOf(t, entry{name: "a.json", body: zeros}))), Limits{}).fails(t, bounded.ErrRatio)
		// In a zip one bomb is one entry's problem, as nothing else hides behind it.
		many := []entry{good, {name: "bomb.json", body: zeros}, last}
		read(t, file(t, "a", zipOf(t, many...)), Limits{}).want(t, good.name, "!bomb.json", last.name)
		var below []entry // each below the alarm, together above
		for i := range 8 {
			below = append(below, entry{name: fmt.Sprintf("%d.json", i), body: zeros[:1<<20]})
		}
		read(t, file(t, "a", zipOf(t, below...)), Limits{}).fails(t, bounded.ErrRatio)
	})
	t.Run("C45 zstd bomb", func(t *testing.T) {
		bomb := zstded(make([]byte, bombSize()))
		read(t, file(t, "a", bomb), Limits{}).fails(t, nil)
		withHeader := tarOf(t, entry{name: "a.json", body: string(make([]byte, bombSize()))})
		read(t, file(t, "a", zstded(withHeader)), Limits{}).fails(t, bounded.ErrRatio)
		read(t, file(t, "a", append([]byte("{"), make([]byte, 300)...)), Limits{Total: 100}).fails(t, nil, "limit of 100 bytes")
	})
	t.Run("C46 nested archives", func(t *testing.T) {
		inner := string(zipOf(t, entry{name: "MAL-9.json", body: rec("MAL-9")}))
		both(t, entry{name: "inner.zip", body: inner}, good.name, last.name)
	})
	t.Run("C47 too many entries", func(t *testing.T) {
		three := []entry{good, last, {name: "c.json", body: "{}"}}
		for _, data := range [][]byte{tarOf(t, three...), zipOf(t, three...), []byte("{}\n{}\n{}\n")} {
			read(t, file(t, "a", data), Limits{Entries: 2}).fails(t, ErrTooManyEntries, "2")
			if g := read(t, file(t, "a", data), Limits{Entries: 3}); g.err != nil {
				t.Errorf("three of three: %v", g.err)
			}
		}
		if n := (Limits{}).WithDefaults().Entries; n != 2_000_000 {
			t.Errorf("the default is %d", n)
		}
	})
	t.Run("C48 cut off anywhere", func(t *testing.T) {
		tarball := tarOf(t, good, last)
		for name, data := range map[string][]byte{
			"tar": tarball, "tar.gz": gzipped(tarball), "tar.zst": zstded(tarball), "zip": zipOf(t, good, last),
			"jsonl.gz": gzipped([]byte(good.body + "\n" + last.body)), "jsonl.zst": zstded([]byte(good.body + "\n" + last.body)),
		} {
			for n := range len(data) {
				if name == "tar" && n >= len(tarball)-tarBlock {
					continue // half an end marker is one: GNU tar warns of "a lone zero block", too
				}
				if g := collect(t, inMemory(t.Context(), data[:n], Limits{})); g.err == nil {
					t.Fatalf("%s cut to %d of %d bytes passed with %q", name, n, len(data), g.names)
				}
			}
		}
	})
	t.Run("C48 wrong checksum in the middle", func(t *testing.T) {
		bad := raw("bad.json", rec("MAL-9"))
		bad.crc++
		read(t, file(t, "a", rawZip(raw(good.name, good.body), bad, raw(last.name, last.body))), Limits{}).fails(t, ErrDamaged, "bad.json", "checksum")
		torn := raw("torn.json", rec("MAL-9"))
		torn.body = torn.body[:len(torn.body)-4]
		torn.csize -= 4
		read(t, file(t, "a", rawZip(raw(good.name, good.body), torn, raw(last.name, last.body))), Limits{}).fails(t, ErrDamaged, "torn.json")
		for _, data := range [][]byte{gzipped(tarOf(t, good, last)), zstded(tarOf(t, good, last))} {
			flipped := slices.Clone(data)
			flipped[len(flipped)-3] ^= 1 // in the checksum
			read(t, file(t, "a", flipped), Limits{}).fails(t, ErrDamaged)
		}
	})
	t.Run("C48 every bit flip of a zip is told or harmless", func(t *testing.T) {
		data := zipOf(t, good, last)
		for i := range data {
			flipped := slices.Clone(data)
			flipped[i] ^= 0x10
			g := collect(t, inMemory(t.Context(), flipped, Limits{}))
			if g.err != nil || len(g.rejects) > 0 {
				continue
			}
			for _, name := range []string{good.name, last.name} {
				if d, ok := g.data[name]; ok && d != good.body && d != last.body {
					t.Errorf("flip at %d: wrong data passed: %q", i, d)
				}
			}
			if len(g.names) != 2 {
				t.Errorf("flip at %d: told only %q", i, g.names)
			}
		}
	})
	t.Run("C49 zip64, data descriptors, encryption, methods", func(t *testing.T) {
		// archive/zip writes a data descriptor behind every streamed entry.
		if data := zipOf(t, good); data[6]&zipFlagDescriptor == 0 {
			t.Fatal("the test writes no data descriptor")
		}
		secret, lzma := raw("secret.json", "{}"), raw("lzma.json", "{}")
		secret.flags, lzma.method = zipFlagEncrypted, 14
		g := read(t, file(t, "a", rawZip(raw(good.name, good.body), secret, lzma, raw(last.name, last.body))), Limits{})
		g.want(t, good.name, "!secret.json", "!lzma.json", last.name)
		if text := g.rejects["secret.json"].Error(); !strings.Contains(text, "encrypted") {
			t.Errorf("the reason is %q", text)
		}
		if testing.Short() {
			return // the size of what follows is the point of it
		}
		// From 65,535 entries archive/zip writes zip64 records.
		var many []entry
		for i := range 65536 {
			many = append(many, entry{name: fmt.Sprintf("%d.json", i), body: "{}"})
		}
		data := zipOf(t, many...)
		if !bytes.Contains(data[len(data)-200:], le.AppendUint32(nil, zip64EndSig)) {
			t.Fatal("the test writes no zip64")
		}
		g = read(t, file(t, "a", data), Limits{})
		if g.err != nil || len(g.names) != 65536 || g.names[65535] != "65535.json" || !slices.IsSortedFunc(g.names[10000:], strings.Compare) {
			t.Errorf("zip64: %d documents, %v", len(g.names), g.err)
		}
	})
	t.Run("C49 zip64 sizes in an extra field", func(t *testing.T) {
		x := le.AppendUint64(le.AppendUint64([]byte{9, 9, 1, 0, 7, 1, 0, 16, 0}, 5), 6)
		if got := zip64Extra(x); !bytes.Equal(got, x[9:]) {
			t.Errorf("found %v", got)
		}
		for _, bad := range [][]byte{nil, {1}, {1, 0, 16, 0}, {2, 0, 0, 0}} {
			if got := zip64Extra(bad); got != nil {
				t.Errorf("found %v in %v", got, bad)
			}
		}
	})
	t.Run("C49 what surrounds a zip", func(t *testing.T) {
		data := zipOf(t, good, last)
		read(t, file(t, "a", append(slices.Clone(data), "junk"...)), Limits{}).fails(t, ErrDamaged)
		commented := slices.Clone(data)
		commented[len(commented)-2] = 5
		read(t, file(t, "a", append(commented, "hello"...)), Limits{}).want(t, good.name, last.name)
		two := slices.Clone(data)
		two[len(two)-2] = zipEndSize
		read(t, file(t, "a", append(two, data[len(data)-zipEndSize:]...)), Limits{}).fails(t, ErrDamaged, "two ends")
	})
	t.Run("C50 hostile tar headers", func(t *testing.T) {
		sparse := entry{name: "npm/MAL-9.json", pax: map[string]string{"SCHILY.xattr.user.x": "y"}}
		read(t, file(t, "a", tarOf(t, good, sparse, last)), Limits{}).want(t, good.name, sparse.name, last.name)
		// A GNU sparse file (type S): real size, at byte 483, of 2^63-1 in base 256.
		head := tarOf(t, entry{name: "npm/MAL-9.json"})[:tarBlock]
		h := slices.Clone(head)
		h[156] = tar.TypeGNUSparse
		copy(h[257:], "ustar  \x00")
		copy(h[483:495], []byte{0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		read(t, file(t, "a", splice(tarOf(t, good), checksummed(h))), Limits{}).want(t, good.name, "!npm/MAL-9.json")
		// The size of a plain file is 2^63: negative for a reader of 64 bits.
		h = slices.Clone(head)
		copy(h[124:136], []byte{0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0})
		read(t, file(t, "a", splice(tarOf(t, good), checksummed(h))), Limits{}).fails(t, ErrDamaged)
		// A pax header that claims 1 GB.
		h = slices.Clone(head)
		h[156] = tar.TypeXHeader
		copy(h[124:136], "10000000000\x00")
		read(t, file(t, "a", splice(tarOf(t, good), checksummed(h))), Limits{}).fails(t, ErrDamaged)
		// GNU long names one after another that never come to a file.
		h = slices.Clone(head)
		h[156] = tar.TypeGNULongName
		loop := bytes.Repeat(checksummed(h), 10000)
		read(t, file(t, "a", splice(tarOf(t, good), loop)), Limits{Total: 1 << 20}).fails(t, nil, "limit")
		read(t, file(t, "a", splice(tarOf(t, good), loop)), Limits{}).want(t, good.name)
	})
	t.Run("C51 gzip members and trailing junk", func(t *testing.T) {
		lines := append(gzipped([]byte(good.body+"\n")), gzipped([]byte(last.body+"\n"))...)
		read(t, file(t, "a", lines), Limits{}).want(t, "a:1", "a:2")
		frames := append(zstded([]byte(good.body+"\n")), zstded([]byte(last.body+"\n"))...)
		read(t, file(t, "a", frames), Limits{}).want(t, "a:1", "a:2")
		for _, junk := range []string{"junk", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
			read(t, file(t, "a", append(slices.Clone(lines), junk...)), Limits{}).fails(t, ErrDamaged)
			read(t, file(t, "a", append(gzipped(tarOf(t, good)), junk...)), Limits{}).fails(t, ErrDamaged)
		}
		two := append(tarOf(t, good), tarOf(t, last)...)
		read(t, file(t, "a", two), Limits{}).fails(t, ErrDamaged, "behind the end marker")
		padded := append(tarOf(t, good), make([]byte, 10240)...)
		read(t, file(t, "a", padded), Limits{}).want(t, good.name)
	})
}

// bombSize is far beyond the first mebibyte, from which on ratios count. Each byte of it costs the race detector's
// shadow of it, too.
func bombSize() int {
	if testing.Short() {
		return 8 << 20
	}
	return 64 << 20
}

// splice puts blocks before the end marker of a tar.
func splice(tarball, blocks []byte) []byte {
	cut := len(tarball) - 2*tarBlock
	return slices.Concat(tarball[:cut], blocks, tarball[cut:])
}

func checksummed(h []byte) []byte {
	copy(h[148:156], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

func TestEntryLimit(t *testing.T) {
	good, big, last := entry{name: "a.json", body: rec("MAL-1")}, entry{name: "b.json", body: rec(strings.Repeat("x", 2000))}, entry{name: "c.json", body: rec("MAL-3")}
	lim := Limits{Entry: 1000}
	read(t, file(t, "a", tarOf(t, good, big, last)), lim).want(t, "a.json", "!b.json", "c.json")
	read(t, file(t, "a", zipOf(t, good, big, last)), lim).want(t, "a.json", "!b.json", "c.json")
	read(t, file(t, "a", []byte(good.body+"\n"+big.body+"\n"+last.body+"\n")), lim).want(t, "a:1", "!a:2", "a:3")
	read(t, file(t, "a", []byte(big.body+"\n"+good.body+"\n")), lim).want(t, "!a:1", "a:2")
	exact := Limits{Entry: int64(len(good.body))}
	read(t, file(t, "a", []byte(good.body+"\n"+last.body+"\n")), exact).want(t, "a:1", "a:2")
	read(t, file(t, "a", zipOf(t, good, last)), exact).want(t, "a.json", "c.json")
	g := read(t, file(t, "one", []byte("{\n"+strings.Repeat(" ", 2000)+"}")), lim)
	if g.rejects["one"] == nil {
		t.Errorf("a large single document gave %v, %v", g.names, g.err)
	}
}

func TestStopAndCancel(t *testing.T) {
	var many []entry
	for i := range 5000 {
		many = append(many, entry{name: fmt.Sprintf("%d.json", i), body: rec(fmt.Sprint(i))})
	}
	for name, data := range map[string][]byte{"zip": zipOf(t, many...), "tar": tarOf(t, many...)} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "a", data)
			n := 0
			for _, err := range Documents(t.Context(), path, Limits{}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == 100 {
					break
				}
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			why := errors.New("enough")
			n = 0
			var last error
			for _, err := range Documents(ctx, path, Limits{}) {
				if n++; n == 100 {
					cancel(why)
				}
				last = err
			}
			if n != 101 || !errors.Is(last, why) {
				t.Errorf("after cancelling at 100 the stream ended at %d with %v", n, last)
			}
		})
	}
}

func shared(t testing.TB, elems ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Skip("no go.mod above the working directory")
	}
	p := filepath.Join(append([]string{dir, "..", "shared"}, elems...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("real data is not here: %v", err)
	}
	return p
}

// The number of *.json entries in the archive, counted with GNU tar.
const realDocuments = 29393

func TestRealArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 29,393 documents")
	}
	g := read(t, shared(t, "data", "osv", "malicious-packages-2025-03-31.tar.zst"), Limits{})
	if g.err != nil || len(g.rejects) > 0 || len(g.names) != realDocuments {
		t.Errorf("%d documents, %d rejects, %v", len(g.names), len(g.rejects), g.err)
	}
}

func BenchmarkDocuments(b *testing.B) {
	tarball := shared(b, "data", "osv", "malicious-packages-2025-03-31.tar.zst")
	zipped := filepath.Join(b.TempDir(), "all.zip")
	f, err := os.Create(zipped)
	if err != nil {
		b.Fatal(err)
	}
	w := zip.NewWriter(f)
	for doc, err := range Documents(b.Context(), tarball, Limits{}) {
		if err != nil {
			b.Fatal(err)
		}
		e, err := w.Create(doc.Name)
		if err != nil {
			b.Fatal(err)
		}
		e.Write(doc.Data)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{tarball, zipped} {
		b.Run(filepath.Ext(path), func(b *testing.B) {
			n := 0
			start := time.Now()
			for b.Loop() {
				for _, err := range Documents(b.Context(), path, Limits{}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "docs/s")
		})
	}
}

func FuzzDocuments(f *testing.F) {
	one, two := entry{name: "a/MAL-1.json", body: rec("MAL-1")}, entry{name: "MAL-2.json", body: rec("MAL-2")}
	f.Add(zipOf(f, one, two))
	f.Add(tarOf(f, one, two))
	f.Add(gzipped(tarOf(f, one, two)))
	f.Add(zstded([]byte(one.body + "\n" + two.body)))
	f.Add([]byte(one.body + "\n" + two.body))
	f.Add([]byte("{\n\"id\":1}"))
	f.Add(rawZip(raw("x.json", "{}"), raw("../x.json", "{}")))
	f.Fuzz(func(t *testing.T, data []byte) {
		lim := Limits{Entries: 100, Entry: 1 << 16, Total: 1 << 20}
		var total, count int
		ended := false
		for doc, err := range inMemory(t.Context(), data, lim) {
			if ended {
				t.Fatal("the stream goes on after its end")
			}
			var rej *Reject
			if err != nil {
				ended = !errors.As(err, &rej)
				if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
					t.Fatalf("message is not one printable line: %q", err)
				}
				continue
			}
			count++
			total += len(doc.Data)
			if int64(len(doc.Data)) > lim.Entry || int64(total) > lim.Total || count > lim.Entries {
				t.Fatalf("%d documents of %d bytes, the last of %d, are beyond the limits", count, total, len(doc.Data))
			}
		}
	})
}
