package cache_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

const fuzzHash = "01234567890123456789012345678901234567890123456789abcdef"

func FuzzPipHTTP(f *testing.F) {
	fuzz(f, "http/0/1/2/3/4/"+fuzzHash, "x",
		[2]string{answer(200, clienttest.Wheel(f, "planted", "1.0"), map[string]any{"X-PyPI-File-Project": "p"})},
		[2]string{answer(200, clienttest.TarGz(f, "a-1/PKG-INFO", "Name: a\n"), nil)},
		[2]string{"cc=4,\xdf\xff\xff\xff\xff"})
}

func FuzzPipHTTPv2(f *testing.F) {
	fuzz(f, "http-v2/0/1/2/3/4/"+fuzzHash+".body", "http-v2/0/1/2/3/4/"+fuzzHash,
		[2]string{string(clienttest.Wheel(f, "planted", "1.0")), answer(200, nil, map[string]any{"x-pypi-file-project": "p", "x-pypi-file-version": "1"})},
		[2]string{string(clienttest.Sdist(f, "planted", "1.0")), answer(200, nil, nil)})
}

func FuzzPipWheel(f *testing.F) {
	fuzz(f, "wheels/01/23/45/"+fuzzHash[6:]+"/odd.whl", "wheels/01/23/45/"+fuzzHash[6:]+"/origin.json",
		[2]string{string(clienttest.Wheel(f, "planted", "1.0")), `{"url": "https://h/x", "archive_info": {"hash": "sha256=00", "hashes": {"sha256": "00"}}}`},
		[2]string{"", `{"url": "git+x", "vcs_info": {}}`})
}

func FuzzUvArchive(f *testing.F) {
	fuzz(f, "archive-v0/0gH-_fwv8tdJ7JwwjJsUc/a-1.0.dist-info/METADATA", "wheels-v6/index/00/a/1.0-py3-none-any.http",
		[2]string{clienttest.Metadata("a", "1.0"), uvFile([]any{"0gH-_fwv8tdJ7JwwjJsUc", []any{[]any{"Sha256", strings.Repeat("ab", 32)}}, "a-1.0-py3-none-any.whl", 0}, "https://h/a-1.0-py3-none-any.whl")},
		[2]string{"Name: b\n", "\x94\xa1a\xdd\xff\xff\xff\xff"})
}

func FuzzUvRevision(f *testing.F) {
	fuzz(f, "sdists-v9/url/00/revision.http", "sdists-v9/url/00/R/src/PKG-INFO",
		[2]string{uvFile(map[string]any{"id": "R", "hashes": []any{}}, "https://h/main.zip"), clienttest.Metadata("a", "1.0")})
}
