package cli

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

// read counts what is taken from a stream.
type read struct {
	r io.Reader
	n int
}

func (c *read) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(`{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[]}`))
	f.Add([]byte(`[{"ghsa_id":"GHSA-aaaa-bbbb-cccc","vulnerabilities":[]}]`))
	f.Add([]byte("\xef\xbb\xbfname,version\nevil,1.0.0\n"))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51"))
	f.Add([]byte(strings.Repeat("\x00", 257) + "ustar\x0000"))
	f.Add([]byte(strings.Repeat("[", 20_000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &read{r: bytes.NewReader(data)}
		if got := sniffFile(r); !slices.Contains([]string{formatList, formatOSV, formatGitHub}, got) {
			t.Errorf("the format is %q", got)
		}
		if r.n > sniffSize {
			t.Errorf("%d bytes were read", r.n)
		}
		// Compressed it is the same, as far as it is not a zip: that is not opened behind a compression.
		if plain := unpacked(data); len(plain) > max(sniffSize, len(data)) {
			t.Errorf("%d bytes came out", len(plain))
		}
	})
}

// What a file is, by its beginning.
func TestSniff(t *testing.T) {
	long := strings.Repeat("x", 2*sniffSize)
	for _, tt := range []struct{ name, data, want string }{
		{"a record", `{"id":"MAL-1","modified":"2026-01-02T00:00:00Z","affected":[]}`, formatOSV},
		{"a record with a long text before its packages", `{"id":"MAL-1","modified":"2026-01-02T00:00:00Z","details":"` + long + `","affected":[]}`, formatOSV},
		{"a record that is not UTF-8 throughout", "{\"schema_version\":\"1.7.0\",\"details\":\"\xff\",\"id\":\"MAL-1\"}", formatOSV},
		{"a record with a name twice", `{"id":"MAL-1","id":"MAL-2","modified":"2026-01-02T00:00:00Z"}`, formatOSV},
		{"lines of records", "{\"id\":\"MAL-1\",\"affected\":[]}\n{\"id\":\"MAL-2\",\"affected\":[]}\n", formatOSV},
		{"answers of GitHub", `[{"ghsa_id":"GHSA-aaaa-bbbb-cccc"}]`, formatGitHub},
		{"an answer of GitHub cut off", `[{"ghsa_id":"GHSA-aaaa-bb`, formatGitHub},
		{"a list in JSON", `[{"name":"evil","version":"1.0.0"}]`, formatList},
		{"lists in lists", `[[["evil"]]]`, formatList},
		{"a list with ids", `[{"id":7,"name":"evil","version":"1.0.0"}]`, formatList},
		{"CSV", "name,version\nevil,1.0.0\n", formatList},
		{"nothing", "", formatList},
		{"a tar of nothing", strings.Repeat("\x00", 1024), formatOSV},
		{"a zip of nothing", "PK\x05\x06" + strings.Repeat("\x00", 18), formatOSV},
	} {
		if got := sniffFile(strings.NewReader(tt.data)); got != tt.want {
			t.Errorf("%s is told as %s, want %s", tt.name, got, tt.want)
		}
	}
}
