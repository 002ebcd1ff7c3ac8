package ecosystem

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
)

// MaxArchives is how many digests of archives one package of a record, or one claim, may have.
const MaxArchives = 10_000

// nothing are the digests of an empty file, in the order of algorithms. A download that failed has one of them, and no
// archive does.
var nothing = [len(algorithms)]string{
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
	"da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"d41d8cd98f00b204e9800998ecf8427e",
}

// digestNames are the algorithms' names.
var digestNames = []string{"md5", "sha1", "sha256", "sha384", "sha512"}

// ArchiveDigest reads one digest of an archive, as [Integrity] does and without an algorithm in the value: then it is
// that of the given algorithm, in hexadecimal or base64, or, where none is given (""), the one that has hexadecimal
// digits in this number. ok is false for what is no digest, for one of another algorithm than the given, and for that of an
// empty file.
func ArchiveDigest(algorithm, value string) (d rapsheet.Digest, ok bool) {
	if len(value) > 1024 {
		return d, false
	}
	value = strings.TrimSpace(value)
	d, ok = parseDigest(value)
	switch {
	case ok && algorithm != "" && d.Algorithm != algorithm:
		return rapsheet.Digest{}, false
	case !ok && algorithm != "":
		d, ok = parseDigest(algorithm + ":" + value)
	case !ok:
		for _, a := range algorithms {
			if len(value) == hex.EncodedLen(a.size) {
				d, ok = parseDigest(a.name + ":" + value)
			}
		}
	}
	if !ok || slices.Contains(nothing[:], d.Hex) {
		return rapsheet.Digest{}, false
	}
	return d, true
}

// DigestText spells a digest the way records of ours do: "sha256:<hex>".
func DigestText(d rapsheet.Digest) string { return d.Algorithm + ":" + d.Hex }

// RecordArchives reads the digests of malicious archives out of the affected[].database_specific of an OSV record, sorted
// by algorithm and value, each once. These members have them:
//
//   - digests, a list of texts that [ArchiveDigest] reads, is ours (docs/catalog.md);
//   - indicators.package_integrity, a list of {"filename": …, "hashes": {"sha1": …, "sha512_sri": …}}, is that of Amazon
//     Inspector's records in ossf/malicious-packages, of which MAL-2026-3667 and MAL-2026-5722 are two. The names of
//     hashes are md5, sha1, sha256, sha512_sri and blake2b_256, which is not known here and left out.
//
// Digests of files are no digests of archives, and are not read: indicators.evidence_files, and the record's own
// database_specific.iocs.files, whose source "package-archive" means files in the archive
// (https://github.com/ossf/malicious-packages/pull/1459).
//
// bad counts values that should be digests and are none. Of more than [MaxArchives] digests the rest counts as bad.
func RecordArchives(databaseSpecific []byte) (digests []rapsheet.Digest, bad int) {
	if !bytes.Contains(databaseSpecific, []byte(`"digests"`)) && !bytes.Contains(databaseSpecific, []byte(`"package_integrity"`)) {
		return nil, 0
	}
	add := func(algorithm string, value jsontext.Value) {
		var text string
		if json.Unmarshal(value, &text) != nil {
			bad++
			return
		}
		d, ok := ArchiveDigest(algorithm, text)
		if !ok {
			bad++
			return
		}
		digests = append(digests, d)
	}
	// Each part is read on its own: a mistake in one loses no other.
	var db struct {
		Digests    jsontext.Value `json:"digests"`
		Indicators jsontext.Value `json:"indicators"`
	}
	if json.Unmarshal(databaseSpecific, &db) != nil {
		return nil, 1
	}
	var own []jsontext.Value
	if len(db.Digests) > 0 && json.Unmarshal(db.Digests, &own) != nil {
		bad++
	}
	for _, v := range own {
		add("", v)
	}
	var indicators struct {
		Packages jsontext.Value `json:"package_integrity"`
	}
	if len(db.Indicators) > 0 && db.Indicators.Kind() == jsontext.KindBeginObject && json.Unmarshal(db.Indicators, &indicators) != nil {
		bad++
	}
	var packages []struct {
		Hashes map[string]jsontext.Value `json:"hashes"`
	}
	if len(indicators.Packages) > 0 && json.Unmarshal(indicators.Packages, &packages) != nil {
		bad++
	}
	for _, p := range packages {
		for name, v := range p.Hashes {
			algorithm := strings.TrimSuffix(name, "_sri")
			if slices.Contains(digestNames, algorithm) {
				add(algorithm, v)
			}
		}
	}
	digests = SortDigests(digests)
	if over := len(digests) - MaxArchives; over > 0 {
		digests, bad = digests[:MaxArchives], bad+over
	}
	return digests, bad
}

// SortDigests sorts digests by algorithm and value, in place, and drops repeats.
func SortDigests(digests []rapsheet.Digest) []rapsheet.Digest {
	slices.SortFunc(digests, func(a, b rapsheet.Digest) int {
		return cmp.Or(strings.Compare(a.Algorithm, b.Algorithm), strings.Compare(a.Hex, b.Hex))
	})
	return slices.Compact(digests)
}
