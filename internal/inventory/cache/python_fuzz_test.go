package cache_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

// fuzzPython fuzzes the kind that a path is of, and what stands beside it: no panic, no identifier above the limit, and
// the same reading twice.
func fuzzPython(f *testing.F, at, beside string) {
	f.Fuzz(func(t *testing.T, content, other string) {
		read := func() (saw []string) {
			in := &inventory.File{Path: at, Rel: at, Size: int64(len(content)), R: strings.NewReader(content), Hash: true,
				FS: fstest.MapFS{beside: {Data: []byte(other)}, at: {Data: []byte(content)}}}
			dir, base := "/"+at[:strings.LastIndexByte(at, '/')], at[strings.LastIndexByte(at, '/')+1:]
			for _, k := range cache.Kinds() {
				if k.Dir != nil && !k.Dir(dir) || !k.Match(base, "/"+at) {
					continue
				}
				err := k.Read(t.Context(), in, &inventory.Sink{File: in, Kind: k.Name, Yield: func(s rapsheet.Sighting, err error) bool {
					var note *rapsheet.Note
					if err != nil && !errors.As(err, &note) {
						t.Errorf("an error that is no note: %v", err)
					}
					if err == nil && (s.Package.Name == "" || len(s.Package.Name) > ecosystem.MaxIdentifier || len(s.Package.Version) > ecosystem.MaxIdentifier) {
						t.Errorf("seen: %+.200v", s)
					}
					saw = append(saw, s.Package.String())
					return true
				}})
				if err != nil {
					saw = append(saw, "error")
				}
				return saw
			}
			t.Fatal("no kind")
			return nil
		}
		first := read()
		if again := read(); !slices.Equal(first, again) {
			t.Errorf("not the same twice: %q, %q", first, again)
		}
	})
}

const fuzzHash = "01234567890123456789012345678901234567890123456789abcdef"

func FuzzPipHTTP(f *testing.F) {
	t := &testing.T{}
	wheel := clienttest.Wheel(t, "planted", "1.0")
	f.Add(answer(200, wheel, map[string]any{"X-PyPI-File-Project": "p"}), "")
	f.Add(answer(200, clienttest.TarGz(t, [][2]string{{"a-1/PKG-INFO", "Name: a\n"}}), nil), "")
	f.Add("cc=4,\xdf\xff\xff\xff\xff", "")
	fuzzPython(f, "http/0/1/2/3/4/"+fuzzHash, "x")
}

func FuzzPipHTTPv2(f *testing.F) {
	t := &testing.T{}
	f.Add(string(clienttest.Wheel(t, "planted", "1.0")), answer(200, nil, map[string]any{"x-pypi-file-project": "p", "x-pypi-file-version": "1"}))
	f.Add(string(clienttest.Sdist(t, "planted", "1.0")), answer(200, nil, nil))
	fuzzPython(f, "http-v2/0/1/2/3/4/"+fuzzHash+".body", "http-v2/0/1/2/3/4/"+fuzzHash)
}

func FuzzPipWheel(f *testing.F) {
	t := &testing.T{}
	f.Add(string(clienttest.Wheel(t, "planted", "1.0")), `{"url": "https://h/x", "archive_info": {"hash": "sha256=00", "hashes": {"sha256": "00"}}}`)
	f.Add("", `{"url": "git+x", "vcs_info": {}}`)
	fuzzPython(f, "wheels/01/23/45/"+fuzzHash[6:]+"/odd.whl", "wheels/01/23/45/"+fuzzHash[6:]+"/origin.json")
}

func FuzzUvArchive(f *testing.F) {
	f.Add(clienttest.Metadata("a", "1.0"), uvFile([]any{"0gH-_fwv8tdJ7JwwjJsUc", []any{[]any{"Sha256", strings.Repeat("ab", 32)}}, "a-1.0-py3-none-any.whl", 0}, "https://h/a-1.0-py3-none-any.whl"))
	f.Add("Name: b\n", "\x94\xa1a\xdd\xff\xff\xff\xff")
	fuzzPython(f, "archive-v0/0gH-_fwv8tdJ7JwwjJsUc/a-1.0.dist-info/METADATA", "wheels-v6/index/00/a/1.0-py3-none-any.http")
}

func FuzzUvRevision(f *testing.F) {
	f.Add(uvFile(map[string]any{"id": "R", "hashes": []any{}}, "https://h/main.zip"), clienttest.Metadata("a", "1.0"))
	fuzzPython(f, "sdists-v9/url/00/revision.http", "sdists-v9/url/00/R/src/PKG-INFO")
}
