package ecosystem

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
)

const (
	maxIntegrity = 64 << 10 // bytes read of one integrity text
	maxDigests   = 64       // values kept of one integrity text
)

// Integrity reads a digest in the spellings that lockfiles use: Subresource
// Integrity ("sha512-<base64> sha1-…", options after "?" dropped), "sha256:<hex>",
// "sha256=<hex>", several separated by white space or commas. "h1:" is not an
// archive digest and is skipped, and so is a value without an algorithm. Unknown
// algorithms and malformed values, those of a wrong length among them, are left
// out. Input beyond 64 KiB and values beyond the 64th are not read.
//
// Sources: https://www.w3.org/TR/SRI/#the-integrity-attribute; pip's --hash,
// https://pip.pypa.io/en/stable/topics/secure-installs/; the checksum qualifier of
// https://github.com/package-url/purl-spec.
func Integrity(raw string) []rapsheet.Digest {
	if len(raw) > maxIntegrity {
		raw = raw[:maxIntegrity]
	}
	var digests []rapsheet.Digest
	for token := range strings.FieldsFuncSeq(raw, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == ','
	}) {
		d, ok := parseDigest(strings.TrimPrefix(token, "--hash="))
		if ok && !slices.Contains(digests, d) {
			digests = append(digests, d)
		}
		if len(digests) == maxDigests {
			break
		}
	}
	return digests
}

// algorithms are the digests that records know, with their length in bytes.
var algorithms = [...]struct {
	name string
	size int
}{
	{"sha512", 64}, {"sha256", 32}, {"sha384", 48}, {"sha1", 20}, {"md5", 16},
}

// parseDigest reads "<algorithm><separator><value>". CycloneDX and SPDX spell
// the algorithm "SHA-256" or "SHA256".
func parseDigest(token string) (rapsheet.Digest, bool) {
	token, _, _ = strings.Cut(token, "?")
	if len(token) > 3 && lowerASCII(token[:4]) == "sha-" {
		token = "sha" + token[4:]
	}
	i := strings.IndexAny(token, "-:=")
	if i < 0 {
		return rapsheet.Digest{}, false
	}
	name, value := lowerASCII(token[:i]), token[i+1:]
	for _, a := range algorithms {
		if a.name != name {
			continue
		}
		if len(value) == hex.EncodedLen(a.size) {
			if _, err := hex.DecodeString(value); err == nil {
				return rapsheet.Digest{Algorithm: name, Hex: lowerASCII(value)}, true
			}
		}
		sum, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil || len(sum) != a.size {
			return rapsheet.Digest{}, false
		}
		return rapsheet.Digest{Algorithm: name, Hex: hex.EncodeToString(sum)}, true
	}
	return rapsheet.Digest{}, false
}
