package ecosystem_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// sums gives the digests of data under every algorithm.
func sums(data string) map[string][]byte {
	md, s1, s2, s3, s5 := md5.Sum([]byte(data)), sha1.Sum([]byte(data)), sha256.Sum256([]byte(data)), sha512.Sum384([]byte(data)), sha512.Sum512([]byte(data))
	return map[string][]byte{"md5": md[:], "sha1": s1[:], "sha256": s2[:], "sha384": s3[:], "sha512": s5[:]}
}

func TestArchiveDigest(t *testing.T) {
	for name, sum := range sums("an archive") {
		h, b64 := hex.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum)
		want := rapsheet.Digest{Algorithm: name, Hex: h}
		dashed := "SHA-" + strings.TrimPrefix(name, "sha")
		if name == "md5" {
			dashed = "MD5"
		}
		for _, tt := range []struct {
			algorithm, value string
			ok               bool
		}{
			{"", name + ":" + h, true}, {"", name + "-" + b64, true}, {"", name + "=" + h, true}, {"", strings.ToUpper(name) + ":" + strings.ToUpper(h), true},
			{"", dashed + ":" + h, true}, {"", " " + h + " ", true}, {"", name + "-" + b64 + "?opt", true},
			{name, h, true}, {name, b64, true}, {name, name + ":" + h, true}, {name, name + "-" + b64, true}, {name, strings.TrimRight(b64, "="), true},
			{"", b64, false}, {"", h[2:], false}, {"", h + "00", false}, {"", "x" + h[1:], false}, {"", name + ":", false}, {"", "", false},
			{name, "", false}, {name, h[1:], false}, {name, b64[4:], false}, {name, "blake3:" + h, false}, {"", "h1:" + b64, false},
			{"", strings.Repeat("a", 5000), false},
		} {
			got, ok := ecosystem.ArchiveDigest(tt.algorithm, tt.value)
			if ok != tt.ok || ok && got != want || !ok && got != (rapsheet.Digest{}) {
				t.Errorf("%q %q: %+v, %v", tt.algorithm, tt.value, got, ok)
			}
		}
		if got := ecosystem.DigestText(want); got != name+":"+h {
			t.Errorf("spelled %q", got)
		}
		for other := range sums("") {
			if got, ok := ecosystem.ArchiveDigest(other, name+":"+h); ok != (other == name) {
				t.Errorf("%s in a column of %s: %+v, %v", name, other, got, ok)
			}
		}
	}
	for name, sum := range sums("") {
		if got, ok := ecosystem.ArchiveDigest(name, hex.EncodeToString(sum)); ok {
			t.Errorf("the %s of nothing is that of an archive: %+v", name, got)
		}
	}
}

func TestRecordArchives(t *testing.T) {
	sum := func(n int) string { return fmt.Sprintf("%064x", n) }
	for _, tt := range []struct {
		name, json string
		want       []string
		bad        int
	}{
		{"nothing", ``, nil, 0},
		{"other members", `{"cwes":[{"cweId":"CWE-506"}]}`, nil, 0},
		{"ours", `{"digests":["sha256:` + sum(2) + `","sha256:` + sum(1) + `","SHA-256:` + sum(2) + `"]}`, []string{"sha256:" + sum(1), "sha256:" + sum(2)}, 0},
		// https://github.com/ossf/malicious-packages/blob/main/osv/malicious/npm/0ctf-chalweb/MAL-2026-3667.json
		{"Amazon Inspector on npm", `{"cwes":[],"indicators":{"domains":["collaborator.gbrls.workers.dev"],
			"evidence_files":[{"path":"xss.js","sha256":"decdf14c9d0d7a053b21540e05b7942fbf60f9a8a52e643b072b88bf3a667756","tlsh":"45b0"}],
			"package_integrity":[{"filename":"0ctf-chalweb-1.0.0.tgz","hashes":{"sha1":"a34b8ff67ffc25f08f9a056a9763db1dd8bb4e44",
			"sha512_sri":"sha512-ACz+EB+WV8ZplIt3nj9pYKFQc6k/aq5tOlet20uPBE7Qonlx7NKwDLUWCKXloMy6lI1Y/LPuz85wlJZFZTqnLA=="}}]}}`,
			[]string{"sha1:a34b8ff67ffc25f08f9a056a9763db1dd8bb4e44",
				"sha512:002cfe101f9657c669948b779e3f6960a15073a93f6aae6d3a57addb4b8f044ed0a27971ecd2b00cb51608a5e5a0ccba948d58fcb3eecfce70949645653aa72c"}, 0},
		// https://github.com/ossf/malicious-packages/blob/main/osv/malicious/pypi/textwrap-toolkit-stager/MAL-2026-5722.json
		{"Amazon Inspector on PyPI", `{"indicators":{"evidence_files":[{"path":"textwrap_toolkit_stager/__init__.py","sha256":"0163c7181d983fb82872ed6df0aef6fd8b845daf246928b6bcf0a349bc9c91ec"}],
			"package_integrity":[{"filename":"textwrap_toolkit_stager-1.0.0-py3-none-any.whl","hashes":{"blake2b_256":"9c9304c208527fcf24d0219b142d81c720c4f8e2ae6f5ca88ee9faa5fba92dee",
			"md5":"a49be0a2da95fdca72beab0cc43b201b","sha256":"855223031b298c40bae7def9ed5bc20cc4425ba7599c15425629845dfb578ef8"}},
			{"filename":"textwrap_toolkit_stager-1.0.0.tar.gz","hashes":{"sha256":"0e78a23feb3e7b01e4a0cc6ba2ad7b5350740cc5c9487d906396a614d2b16b37"}}]}}`,
			[]string{"md5:a49be0a2da95fdca72beab0cc43b201b", "sha256:0e78a23feb3e7b01e4a0cc6ba2ad7b5350740cc5c9487d906396a614d2b16b37",
				"sha256:855223031b298c40bae7def9ed5bc20cc4425ba7599c15425629845dfb578ef8"}, 0},
		{"what is no digest is counted", `{"digests":["sha256:00",7,"` + sum(1) + `"],"indicators":{"package_integrity":[{"hashes":{"sha1":"no","sha256":null}}]}}`, []string{"sha256:" + sum(1)}, 4},
		{"a mistake in one member loses no other", `{"digests":"sha256","indicators":{"package_integrity":[{"hashes":{"sha256":"` + sum(3) + `"}}]}}`, []string{"sha256:" + sum(3)}, 1},
		{"indicators of another shape", `{"digests":["` + sum(1) + `"],"indicators":["package_integrity"]}`, []string{"sha256:" + sum(1)}, 0},
		{"package_integrity of another shape", `{"indicators":{"package_integrity":{"sha256":"` + sum(1) + `"}}}`, nil, 1},
		{"no object", `["digests"]`, nil, 1},
	} {
		got, bad := ecosystem.RecordArchives([]byte(tt.json))
		var texts []string
		for _, d := range got {
			texts = append(texts, ecosystem.DigestText(d))
		}
		if !slices.Equal(texts, tt.want) || bad != tt.bad {
			t.Errorf("%s:\n got %q, %d bad\nwant %q, %d bad", tt.name, texts, bad, tt.want, tt.bad)
		}
	}
	many := []byte(`{"digests":["` + sum(0))
	for i := range ecosystem.MaxArchives + 5 {
		many = append(many, `","`+sum(i)...)
	}
	if got, bad := ecosystem.RecordArchives(append(many, `"]}`...)); len(got) != ecosystem.MaxArchives || bad != 5 {
		t.Errorf("of %d digests %d are kept, %d are bad", ecosystem.MaxArchives+5, len(got), bad)
	}
}

func FuzzRecordArchives(f *testing.F) {
	f.Add([]byte(`{"digests":["sha256:00"],"indicators":{"package_integrity":[{"hashes":{"sha1":"a34b8ff67ffc25f08f9a056a9763db1dd8bb4e44"}}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := ecosystem.RecordArchives(b)
		for i, d := range got {
			if again, ok := ecosystem.ArchiveDigest("", ecosystem.DigestText(d)); !ok || again != d || i > 0 && got[i-1] == d {
				t.Fatalf("%+v in %+v", d, got)
			}
		}
	})
}
