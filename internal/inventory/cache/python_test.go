package cache_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// packed writes MessagePack as pip's packer does: texts as str, bytes as bin.
func packed(v any) string {
	var b bytes.Buffer
	text := func(kind byte, s string) {
		b.WriteByte(kind)
		binary.Write(&b, binary.BigEndian, uint32(len(s)))
		b.WriteString(s)
	}
	switch v := v.(type) {
	case nil:
		b.WriteByte(0xc0)
	case int:
		b.WriteByte(0xd3)
		binary.Write(&b, binary.BigEndian, int64(v))
	case string:
		text(0xdb, v)
	case []byte:
		text(0xc6, string(v))
	case []any:
		b.WriteByte(0xdc)
		binary.Write(&b, binary.BigEndian, uint16(len(v)))
		for _, e := range v {
			b.WriteString(packed(e))
		}
	case map[string]any:
		b.WriteByte(0xde)
		binary.Write(&b, binary.BigEndian, uint16(len(v)))
		for _, k := range slices.Sorted(maps.Keys(v)) { // body before headers, as pip has it
			b.WriteString(packed(k) + packed(v[k]))
		}
	}
	return b.String()
}

// answer is what CacheControl writes of an answer (Serializer.dumps).
func answer(status int, body []byte, headers map[string]any) string {
	return "cc=4," + packed(map[string]any{"vary": map[string]any{"Accept-Encoding": "identity"}, "response": map[string]any{
		"body": body, "headers": headers, "status": status, "version": 11, "reason": "OK", "strict": 0, "decode_content": nil,
	}})
}

func TestPython(t *testing.T) {
	var page bytes.Buffer
	z := gzip.NewWriter(&page)
	fmt.Fprint(z, "<!DOCTYPE html>")
	z.Close()
	hash := strings.Repeat("0123456789abcdef", 4)[:56]
	at := func(n int) string { // of an entry of an HTTP cache
		h := fmt.Sprintf("%x", n) + hash[1:]
		return strings.Join(strings.Split(h[:5], ""), "/") + "/" + h
	}
	link := hash[:2] + "/" + hash[2:4] + "/" + hash[4:6] + "/" + hash[6:] + "/"
	wheel := clienttest.Wheel(t, "planted", "1.0")
	headers := map[string]any{"Content-Type": "binary/octet-stream", "X-PyPI-File-Project": "from-headers", "x-pypi-file-version": "2.0"}
	spoof := clienttest.Zip(t, "evil-6.6.dist-info/METADATA", clienttest.Metadata("harmless", "1.0"))
	pkgInfo := clienttest.TarGz(t, "odd-dir/PKG-INFO", clienttest.Metadata("source", "3.0"))
	named := clienttest.TarGz(t, "two-words-3.1.post1/setup.py", "")
	source := `{"archive_info": {"hash": "sha256=` + strings.Repeat("ab", 32) + `", "hashes": {"sha256": "` + strings.Repeat("ab", 32) + `"}}, "url": "`
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"the old layout: archives, and what is none", map[string]string{
			"http/" + at(0):               answer(200, wheel, nil),
			"http/" + at(1):               answer(200, wheel, headers),
			"http/" + at(2):               answer(200, pkgInfo, nil),
			"http/" + at(3):               answer(200, named, nil),
			"http/" + at(4):               answer(200, spoof, nil),
			"http/" + at(5):               answer(200, []byte("<!DOCTYPE html>"), nil),
			"http/" + at(6):               answer(200, []byte(clienttest.Metadata("from-headers", "2.0")), headers), // PEP 658: known, not had
			"http/" + at(7):               answer(301, wheel, headers),
			"http/" + at(8):               answer(200, nil, headers),
			"http/" + at(9):               answer(200, clienttest.Zip(t, "readme", ""), nil),
			"http/a/1/2/3/4/a" + hash[1:]: answer(200, page.Bytes(), map[string]any{"Content-Type": "text/html", "content-encoding": "gzip"}),
			"http/b/1/2/3/4/b" + hash[1:]: answer(200, page.Bytes(), map[string]any{"content-encoding": "gzip"}), // of what type?
			"http/0/1/x":                  "no entry",
			"other/" + at(0):              answer(200, wheel, nil),
		}, []string{
			"http/" + at(0) + " planted@1.0",
			"http/" + at(1) + " from-headers@2.0",
			"http/" + at(2) + " source@3.0",
			"http/" + at(3) + " two-words@3.1.post1",
			"http/" + at(4) + " harmless@1.0",
			"info http/" + at(4) + `: calls itself "harmless" where "evil" is packed: both were looked up`,
			"http/" + at(4) + " evil@6.6",
			"unmatchable http/" + at(9) + ": cached archives without a Python package's name",
			"unmatchable http/b/1/2/3/4/b" + hash[1:] + ": cached archives without a Python package's name",
		}},
		{"the new layout: a head and a body", map[string]string{
			"http-v2/" + at(0):           answer(200, nil, headers),
			"http-v2/" + at(0) + ".body": string(wheel),
			"http-v2/" + at(1):           answer(200, nil, nil),
			"http-v2/" + at(1) + ".body": string(wheel),
			"http-v2/" + at(2) + ".body": string(pkgInfo),           // the head is lost
			"http-v2/" + at(3):           answer(200, nil, headers), // the body is
			"http-v2/" + at(4):           answer(200, nil, headers),
			"http-v2/" + at(4) + ".body": clienttest.Metadata("from-headers", "2.0"),
		}, []string{
			"http-v2/" + at(0) + ".body from-headers@2.0",
			"http-v2/" + at(1) + ".body planted@1.0",
			"http-v2/" + at(2) + ".body source@3.0",
		}},
		{"what cannot be read is said", map[string]string{
			"http/" + at(0):  "cc=5,",
			"http/" + at(1):  "<html>",
			"http/" + at(2):  answer(200, wheel, nil)[:300],
			"http/" + at(3):  "cc=4,\xc1",
			"http/" + at(4):  "cc=4," + strings.Repeat("\x81\xa1a", 200) + "\xc0",
			"http/" + at(5):  answer(200, wheel[:len(wheel)-40], nil),
			"http/" + at(6):  "",
			"_http/" + at(0): answer(200, []byte("\x1f\x8bnot gzip"), nil),
		}, []string{
			"unread _http/" + at(0) + ": gzip: gzip: invalid header",
			"unread http/" + at(0) + ": cached answers of version 5 are not known: not read",
			"unread http/" + at(1) + ": not a cached answer: not read",
			"unread http/" + at(2) + ": unexpected EOF",
			"unread http/" + at(3) + ": not MessagePack",
			"unread http/" + at(4) + ": nested deeper than 64",
			"unread http/" + at(5) + ": zip: not a valid zip file",
			"unread http/" + at(6) + ": not a cached answer: not read",
		}},
		{"wheels that were built here, and of what", map[string]string{
			"index/wheels/" + link + "planted-1.0-py3-none-any.whl":    "",
			"index/wheels/" + link + "origin.json":                     source + `https://files.pythonhosted.org/packages/ab/cd/ef/planted-1.0.tar.gz"}`,
			"none/wheels/" + link + "planted-1.0-1-cp311-abi3-any.whl": "",
			"git/wheels/" + link + "planted-1.0-py3-none-any.whl":      "",
			"git/wheels/" + link + "origin.json":                       `{"url": "https://user:secret@git.corp.example/planted.git", "vcs_info": {"vcs": "git", "commit_id": "00"}}`,
			"url/wheels/" + link + "odd.whl":                           string(wheel),
			"url/wheels/" + link + "origin.json":                       source + `https://corp.example/x/planted.zip?token=secret"}`,
			"bad/wheels/" + link + "odd.whl":                           "PK",
			"src/wheels/planted-1.0-py3-none-any.whl":                  "", // a project's own
			"artifacts/" + link + "two-words-1.0.tar.gz":               "",
			"artifacts/" + link + "planted-2.0-py3-none-any.whl":       "",
		}, []string{
			"artifacts/" + link + "planted-2.0-py3-none-any.whl planted@2.0",
			"artifacts/" + link + "two-words-1.0.tar.gz two-words@1.0",
			"unmatchable bad/wheels/" + link + "odd.whl: archives without a Python package's name",
			"git/wheels/" + link + "planted-1.0-py3-none-any.whl planted@1.0 git git.corp.example",
			"index/wheels/" + link + "planted-1.0-py3-none-any.whl planted@1.0 registry files.pythonhosted.org sha256:ababab",
			"none/wheels/" + link + "planted-1.0-1-cp311-abi3-any.whl planted@1.0",
			"url/wheels/" + link + "odd.whl planted@1.0 url corp.example sha256:ababab",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := clienttest.Tree(t, tt.files)
			got := clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: cache.Kinds()}))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

// uvFile is a .http file of uv's: MessagePack, then the HTTP cache policy, in which the URL is one of several texts.
func uvFile(v any, url string) string {
	if url == "" {
		return packed(v)
	}
	return packed(v) + "\x00\x01application/octet-stream" + url + "GET\x00https://report.example/r\xff\xff\x10\x00\x00\x00\x01"
}

// uv is not on the machines that this was written on: the shapes are those of crates/uv-cache/src/lib.rs,
// crates/uv-distribution/src/archive.rs and source/revision.rs.
func TestUvCache(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	archive := func(id, file string) []any {
		return []any{id, []any{[]any{"Sha256", sum}}, file, 0}
	}
	metadata := func(id, name string) map[string]string {
		return map[string]string{"archive-v0/" + id + "/" + name + "-1.0.dist-info/METADATA": clienttest.Metadata(name, "1.0")}
	}
	const (
		one, two, three, four, five = "0gH-_fwv8tdJ7JwwjJsUc", "1gH-_fwv8tdJ7JwwjJsUc", "2gH-_fwv8tdJ7JwwjJsUc", "3gH-_fwv8tdJ7JwwjJsUc", "4gH-_fwv8tdJ7JwwjJsUc"
	)
	files := map[string]string{
		"CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55",
		"wheels-v6/pypi/from-pypi/1.0-py3-none-any.http":                                    uvFile(archive(one, "from_pypi-1.0-py3-none-any.whl"), "https://files.pythonhosted.org/packages/00/11/22/from_pypi-1.0-py3-none-any.whl"),
		"wheels-v6/pypi/known/1.0-py3-none-any.msgpack":                                     "metadata only",
		"wheels-v5/index/4b8be67c801a7ecb/from-corp/1.0-py3-none-any.http":                  uvFile(archive(two, "from_corp-1.0-py3-none-any.whl"), "https://user:secret@pypi.corp.example/files/from_corp-1.0-py3-none-any.whl"),
		"wheels-v6/url/5b8be67c801a7ecb/from-url/1.0-py3-none-any.http":                     uvFile(archive(three, "from_url-1.0-py3-none-any.whl"), "https://corp.example/from_url-1.0-py3-none-any.whl"),
		"wheels-v6/index/6b8be67c801a7ecb/twice/1.0-py3-none-any.http":                      uvFile(archive(four, "twice-1.0-py3-none-any.whl"), "https://pypi.corp.example/files/twice-1.0-py3-none-any.whl"),
		"wheels-v6/pypi/twice/1.0-py3-none-any.http":                                        uvFile(archive(four, "twice-1.0-py3-none-any.whl"), "https://files.pythonhosted.org/twice-1.0-py3-none-any.whl"),
		"wheels-v6/path/7b8be67c801a7ecb/from-path/1.0-py3-none-any.rev":                    uvFile([]any{[]any{1, 2}, archive(five, "from_path-1.0-py3-none-any.whl")}, ""),
		"wheels-v6/pypi/gone/1.0-py3-none-any.http":                                         uvFile(archive("5gH-_fwv8tdJ7JwwjJsUc", "gone-1.0-py3-none-any.whl"), ""),
		"wheels-v6/pypi/broken/1.0-py3-none-any.http":                                       "\xc1",
		"simple-v24/pypi/asked-for.rkyv":                                                    "an index page",
		"sdists-v9/pypi/source/2.0/revision.http":                                           uvFile(map[string]any{"id": "R1H-_fwv8tdJ7JwwjJsUc", "hashes": []any{[]any{"sha256", sum}}, "size": 12}, "https://files.pythonhosted.org/packages/00/11/22/source-2.0.tar.gz"),
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/src/PKG-INFO":                      clienttest.Metadata("source", "2.0"),
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/src/source.egg-info/PKG-INFO":      clienttest.Metadata("source", "2.0"),
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/src/test/x.egg-info/PKG-INFO":      clienttest.Metadata("x", "2.0"),
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/source-2.0-py3-none-any.whl":       "PK",
		"sdists-v9/pypi/pruned/2.0/revision.http":                                           uvFile([]any{"R2H-_fwv8tdJ7JwwjJsUc", []any{}}, ""),
		"sdists-v9/url/6781bd6440ae72c2/revision.http":                                      uvFile([]any{"R3H-_fwv8tdJ7JwwjJsUc", []any{}}, "https://corp.example/archive/main.zip"),
		"sdists-v9/url/6781bd6440ae72c2/R3H-_fwv8tdJ7JwwjJsUc/src/PKG-INFO":                 clienttest.Metadata("by-url", "3.0"),
		"built-wheels-v3/git/2122faf3e081fb7a/7a2d650a4a7b4d04/by_git-4.0-py3-none-any.whl": "PK",
		"sdists-v10/pypi/future/1.0/revision.http":                                          "?",
		"wheels-v7/pypi/future/1.0-py3-none-any.http":                                       "?",
	}
	for id, name := range map[string]string{one: "from_pypi", two: "from_corp", three: "from_url", four: "twice", five: "from_path", "6gH-_fwv8tdJ7JwwjJsUc": "dangling"} {
		maps.Copy(files, metadata(id, name))
	}
	maps.Copy(files, map[string]string{"archive-v0/7gH/evil-6.6.dist-info/METADATA": clienttest.Metadata("harmless", "1.0")})
	want := []string{
		`unread CACHEDIR.TAG: uv's bucket "sdists" of version 10 is not known: not read`,
		`unread CACHEDIR.TAG: uv's bucket "wheels" of version 7 is not known: not read`,
		"archive-v0/" + one + "/from_pypi-1.0.dist-info/METADATA from_pypi@1.0 registry pypi.org sha256:ababab",
		"archive-v0/" + two + "/from_corp-1.0.dist-info/METADATA from_corp@1.0 registry pypi.corp.example sha256:ababab",
		"archive-v0/" + three + "/from_url-1.0.dist-info/METADATA from_url@1.0 url corp.example sha256:ababab",
		"archive-v0/" + four + "/twice-1.0.dist-info/METADATA twice@1.0 sha256:ababab",
		"archive-v0/" + five + "/from_path-1.0.dist-info/METADATA from_path@1.0 file sha256:ababab",
		"archive-v0/6gH-_fwv8tdJ7JwwjJsUc/dangling-1.0.dist-info/METADATA dangling@1.0",
		"archive-v0/7gH/evil-6.6.dist-info/METADATA harmless@1.0",
		`info archive-v0/7gH/evil-6.6.dist-info/METADATA: calls itself "harmless" where "evil" is packed: both were looked up`,
		"archive-v0/7gH/evil-6.6.dist-info/METADATA evil@6.6",
		"built-wheels-v3/git/2122faf3e081fb7a/7a2d650a4a7b4d04/by_git-4.0-py3-none-any.whl by_git@4.0 git",
		"info sdists-v9/pypi/pruned/2.0/revision.http: a source distribution that was removed from the cache",
		"sdists-v9/pypi/source/2.0/revision.http source@2.0 registry pypi.org sha256:ababab",
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/source-2.0-py3-none-any.whl source@2.0 registry pypi.org sha256:ababab",
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/src/source.egg-info/PKG-INFO source@2.0 registry pypi.org sha256:ababab",
		"sdists-v9/pypi/source/2.0/R1H-_fwv8tdJ7JwwjJsUc/src/test/x.egg-info/PKG-INFO x@2.0",
		"sdists-v9/url/6781bd6440ae72c2/revision.http by-url@3.0 url corp.example",
	}
	root := clienttest.Tree(t, files)
	// With the kinds of what is installed behind them, as a scan has them, nothing is reported twice.
	kinds := slices.Concat(cache.Kinds(), installed.Kinds())
	got := clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: kinds}))
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	// A walk that begins in a bucket finds the packages, and knows less of them.
	root += "/archive-v0"
	got = clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: kinds}))
	if len(got) == 0 || got[0] != one+"/from_pypi-1.0.dist-info/METADATA from_pypi@1.0" {
		t.Errorf("in archive-v0: %q", got)
	}
}
