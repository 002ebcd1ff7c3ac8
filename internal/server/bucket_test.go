package server

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

func TestBucket(t *testing.T) {
	s := newOSV(t)
	for _, tt := range []struct {
		path   string
		status int
		want   string // the whole answer; "" is not looked at
	}{
		{"/osv/ecosystems.txt", 200, "PyPI\nRubyGems\nnpm\n"},
		{"/osv/RubyGems/modified_id.csv", 200, "2026-01-03T00:00:00Z,MAL-2026-6\n"},
		{"/osv/PyPI/modified_id.csv", 200, "2026-01-03T00:00:00.123456Z,MAL-2026-3\n"},
		{"/osv/npm/modified_id.csv", 200, "2026-01-03T00:00:00Z,MAL-2026-2\n2026-01-03T00:00:00Z,MAL-2026-4\n2026-01-03T00:00:00Z,MAL-2026-5\n2026-01-03T00:00:00Z,MAL-2026-7\n2026-01-02T00:00:00Z,MAL-2026-1\n"},
		{"/osv/GitHub%20Actions/modified_id.csv", 200, ""},
		{"/osv/GitHub%20Actions/all.zip", 200, "PK\x05\x06" + strings.Repeat("\x00", 18)},
		{"/osv/npm/MAL-2026-1.json", 200, ""},
		{"/osv/npm/MAL-2026-4.json", 200, ""},
		{"/osv/PyPI/MAL-2026-1.json", 404, ""},
		{"/osv/MAL-2026-1.json", 200, ""},
		{"/osv/npm/MAL-2026-1", 404, ""},
		{"/osv/npm/GHSA-xxxx-yyyy-zzzz.json", 404, ""},
		{"/osv/all.json", 200, ""},
		{"/osv/all.zip", 200, ""},
		{"/osv-offline.zip", 200, ""},
		// Ways to name what is not there (case 99).
		{"/osv//npm/all.zip", 404, ""},
		{"//osv/npm/all.zip", 404, ""},
		{"/osv/npm/../all.zip", 404, ""},
		{"/osv/%2e%2e/osv/all.zip", 404, ""},
		{"/osv/..%2fnpm/all.zip", 404, ""},
		{"/osv/npm%2fall.zip", 404, ""},
		{"/osv/npm/..%2f..%2fall.zip", 404, ""},
		{"/osv/npm;x/all.zip", 404, ""},
		{"/osv/NPM/all.zip", 404, ""},
		{"/osv/npm/ALL.ZIP", 404, ""},
		{"/osv/npm%00/all.zip", 404, ""},
		{"/osv/npm%5call.zip", 404, ""},
		{"/osv/.rapsheet-export", 404, ""},
		{"/osv/npm", 404, ""},
		{"/osv/", 404, ""},
	} {
		w := do(s, "GET", tt.path, "")
		if w.Code != tt.status || tt.want != "" && w.Body.String() != tt.want {
			t.Errorf("%s: %d %q", tt.path, w.Code, w.Body)
		}
	}
	list, batch := do(s, "GET", "/osv/all.json", "").Body.String(), do(s, "GET", "/osv/modified_id.csv", "").Body.String()
	if !strings.HasPrefix(list, `[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z"},`) || !strings.HasSuffix(batch, "\n2026-01-02T00:00:00Z,npm/MAL-2026-1\n") {
		t.Errorf("%s\n%s", list, batch)
	}
}

// The archive has what single files have; headers are those that OSV-Scanner asks for with HEAD.
func TestBucketArchive(t *testing.T) {
	s := newOSV(t)
	w := do(s, "GET", "/osv/npm/all.zip", "", "Accept-Encoding", "gzip")
	data := w.Body.Bytes()
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	h := w.Header()
	if h.Get("X-Goog-Hash") != "crc32c="+base64.StdEncoding.EncodeToString(crc) || h.Get("Last-Modified") != "Mon, 05 Jan 2026 00:00:00 GMT" || h.Get("ETag") == "" || h.Get("Content-Encoding") != "" {
		t.Errorf("%v", h)
	}
	head := do(s, "HEAD", "/osv/npm/all.zip", "")
	if head.Body.Len() != 0 || head.Header().Get("X-Goog-Hash") != h.Get("X-Goog-Hash") || head.Header().Get("ETag") != h.Get("ETag") {
		t.Errorf("HEAD: %v", head.Header())
	}
	if again := do(s, "GET", "/osv/npm/all.zip", "", "If-None-Match", h.Get("ETag")); again.Code != 304 {
		t.Errorf("condition: %d", again.Code)
	}
	if many := do(s, "GET", "/osv/npm/all.zip", "", "Range", "bytes="+strings.Repeat("0-,", 5000)+"0-"); many.Body.Len() > 10*len(data) {
		t.Errorf("ranges: %d bytes of %d", many.Body.Len(), len(data))
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 5 {
		t.Errorf("%d entries", len(z.File))
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := buf.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		if single := do(s, "GET", "/osv/npm/"+f.Name, ""); single.Body.String() != buf.String() {
			t.Errorf("%s: in the archive %s, alone %s", f.Name, &buf, single.Body)
		}
	}
}
