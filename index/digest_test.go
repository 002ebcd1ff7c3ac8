package index_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/osv"
)

// digested gives a record the digests of archives.
func digested(r *osv.Record, digests ...rapsheet.Digest) *osv.Record {
	var texts []string
	for _, d := range digests {
		texts = append(texts, `"`+ecosystem.DigestText(d)+`"`)
	}
	r.Affected[0].DatabaseSpecific = jsontext.Value(`{"digests":[` + strings.Join(texts, ",") + `]}`)
	return r
}

// sum256 and sum1 are digests that tell which one they are.
func sum256(n int) rapsheet.Digest {
	return rapsheet.Digest{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", n)}
}

func sum1(n int) rapsheet.Digest {
	return rapsheet.Digest{Algorithm: "sha1", Hex: fmt.Sprintf("%040x", n)}
}

func named(recs []rapsheet.Record) string {
	var out []string
	for _, r := range recs {
		out = append(out, r.Ecosystem+"/"+r.Name+" "+r.ID)
	}
	return strings.Join(out, ", ")
}

func TestLookupDigest(t *testing.T) {
	recs := []*osv.Record{
		digested(record("MAL-2024-1", "npm", "evil", nil), sum256(1), sum1(1)),
		digested(record("MAL-2024-2", "npm", "evil", nil), sum256(2)),
		digested(record("MAL-2024-3", "PyPI", "Other_Evil", nil), sum256(1), sum256(3)),
		digested(record("MAL-2024-4", "npm", "gone", func(r *osv.Record) { r.Withdrawn = "2024-02-01T00:00:00Z" }), sum256(4)),
		record("MAL-2024-5", "npm", "no-digest", nil),
		// One record about two packages: the digest is of the second's archive.
		record("MAL-2024-6", "npm", "twin", func(r *osv.Record) {
			r.Affected = append(r.Affected, osv.Affected{Package: osv.Package{Ecosystem: "NuGet", Name: "Evil.Twin"}, Versions: []string{"1.0"},
				DatabaseSpecific: jsontext.Value(`{"digests":["sha256:` + sum256(6).Hex + `"]}`)})
		}),
		digested(record("MAL-2024-7", "Atari 2600", "pitfall", nil), sum256(7)), // cannot be looked up
		// Amazon Inspector's spelling; the digest of a file in the archive is none of the archive.
		record("MAL-2024-8", "npm", "inspected", func(r *osv.Record) {
			r.Affected[0].DatabaseSpecific = jsontext.Value(`{"indicators":{"evidence_files":[{"path":"x.js","sha256":"` + sum256(80).Hex + `"}],
				"package_integrity":[{"filename":"inspected-1.0.0.tgz","hashes":{"sha1":"` + sum1(8).Hex + `"}}]}}`)
			r.DatabaseSpecific = jsontext.Value(`{"iocs":{"files":[{"path":"y.js","source":"package-archive","digests":{"sha256":"` + sum256(81).Hex + `"}}]},
				"malicious-packages-origins":[{"source":"a","sha256":"` + sum256(82).Hex + `"}]}`)
		}),
	}
	ix := open(t, build(t, recs))
	if err := ix.Verify(); err != nil {
		t.Fatal(err)
	}
	if n := ix.Meta().Digests; n != 7 || !ix.HasDigests() {
		t.Errorf("%d digests, want 7", n)
	}
	for _, tt := range []struct {
		d    rapsheet.Digest
		want string
	}{
		{sum256(1), "PyPI/Other_Evil MAL-2024-3, npm/evil MAL-2024-1"},
		{sum1(1), "npm/evil MAL-2024-1"},
		{sum256(2), "npm/evil MAL-2024-2"},
		{sum256(3), "PyPI/Other_Evil MAL-2024-3"},
		{sum256(4), "npm/gone MAL-2024-4"},
		{sum256(6), "NuGet/Evil.Twin MAL-2024-6"},
		{sum256(7), ""},
		{sum1(8), "npm/inspected MAL-2024-8"},
		{sum256(80), ""}, {sum256(81), ""}, {sum256(82), ""},
		{sum256(0), ""}, {sum256(5), ""}, {sum1(2), ""},
		{rapsheet.Digest{Algorithm: "sha512", Hex: sum256(1).Hex}, ""},
		{rapsheet.Digest{Algorithm: "SHA256", Hex: sum256(1).Hex}, ""},
		{rapsheet.Digest{Algorithm: "sha256", Hex: sum256(1).Hex[:62]}, ""},
		{rapsheet.Digest{Algorithm: "sha256", Hex: sum256(1).Hex[1:]}, ""},
		{rapsheet.Digest{Algorithm: "sha256", Hex: strings.Replace(sum256(1).Hex, "0", "g", 1)}, ""},
		{rapsheet.Digest{Algorithm: "sha256", Hex: strings.Repeat("0", 1000)}, ""},
		{rapsheet.Digest{Algorithm: "sha256"}, ""},
		{rapsheet.Digest{}, ""},
	} {
		got, err := ix.LookupDigest(tt.d)
		if err != nil || named(got) != tt.want {
			t.Errorf("%+v: %s, %v; want %s", tt.d, named(got), err, tt.want)
		}
		for _, r := range got {
			if doc, err := ix.Document(r); err != nil || doc.ID != r.ID {
				t.Errorf("%+v: the document of %s: %v", tt.d, r.ID, err)
			}
		}
	}
}

// A snapshot without a digest has no table of them: its bytes are those of the time before there was one.
func TestNoDigests(t *testing.T) {
	recs := slices.DeleteFunc(mixed(), func(r *osv.Record) bool { return r.ID == "GHSA-2222-3333-4444" })
	data := build(t, recs)
	old, err := index.Open(filepath.Join("testdata", "v1.idx"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for name, ix := range map[string]*index.Index{"none has one": open(t, data), "an old file": old} {
		recs, err := ix.LookupDigest(sum256(7))
		if err != nil || recs != nil || ix.HasDigests() || ix.Meta().Digests != 0 {
			t.Errorf("%s: %+v, %v", name, recs, err)
		}
	}
	if bytes.Contains(data, []byte("DGST")) || bytes.Contains(data, []byte(`"digests"`)) {
		t.Error("there is something about digests in it")
	}
}

// many gives records with digests of all algorithms, each of its own.
func many(n int) []*osv.Record {
	recs := slices.Collect(corpus.Records(9, n))
	for i, r := range recs {
		a, b := sha1.Sum(fmt.Append(nil, i)), sha512.Sum512(fmt.Append(nil, i))
		digested(r, rapsheet.Digest{Algorithm: "sha1", Hex: hex.EncodeToString(a[:])}, rapsheet.Digest{Algorithm: "sha512", Hex: hex.EncodeToString(b[:])})
	}
	return recs
}

func TestLookupDigestAll(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 1000
	}
	recs := many(n)
	ix := open(t, build(t, recs))
	if err := ix.Verify(); err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		digests, _ := ecosystem.RecordArchives(r.Affected[0].DatabaseSpecific)
		if len(digests) != 2 {
			t.Fatal(digests)
		}
		for _, d := range digests {
			if got, err := ix.LookupDigest(d); err != nil || len(got) != 1 || got[0].ID != r.ID {
				t.Fatalf("%+v of %s: %s, %v", d, r.ID, named(got), err)
			}
			for _, other := range []string{d.Hex[:len(d.Hex)-1] + "x", "0" + d.Hex[1:len(d.Hex)-1] + "0", d.Hex + "00", d.Hex[2:]} {
				if got, err := ix.LookupDigest(rapsheet.Digest{Algorithm: d.Algorithm, Hex: other}); err != nil || other != d.Hex && got != nil {
					t.Fatalf("%s: %s, %v", other, named(got), err)
				}
			}
		}
	}
}

func TestLookupDigestMiss(t *testing.T) {
	ix := open(t, build(t, many(500)))
	d := rapsheet.Digest{Algorithm: "sha512", Hex: strings.Repeat("ab", 64)}
	if n := testing.AllocsPerRun(100, func() {
		if recs, err := ix.LookupDigest(d); err != nil || recs != nil {
			t.Fatal(recs, err)
		}
	}); n != 0 {
		t.Errorf("a miss allocates %v times", n)
	}
}

// A digest on a thousand packages leads to some, those in force before those that were taken back.
func TestManyHolders(t *testing.T) {
	var recs []*osv.Record
	for i := range 1000 {
		recs = append(recs, digested(record(fmt.Sprintf("MAL-2024-%d", i+1), "npm", fmt.Sprintf("evil-%d", i), func(r *osv.Record) {
			if i != 999 {
				r.Withdrawn = "2024-02-01T00:00:00Z"
			}
		}), sum256(1)))
	}
	got, err := open(t, build(t, recs)).LookupDigest(sum256(1))
	if err != nil || len(got) != 256 || !strings.Contains(named(got), "MAL-2024-1000") {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// The table of digests is the same whether records were made ready, taken over or only their date is new.
func TestDigestsKept(t *testing.T) {
	recs := many(800)
	data := build(t, recs)
	prev := open(t, data)
	var b index.Builder
	if err := b.Keep(prev); err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		it, err := index.Prepare(r)
		if err != nil {
			t.Fatal(err)
		}
		modified, err := r.Modified.Time()
		if err != nil {
			t.Fatal(err)
		}
		same, ok := b.Same(r.ID, r.Affected[0].Package.Ecosystem, uint64(len(it.JSON())), modified, r.IsWithdrawn())
		if !ok {
			t.Fatalf("%s is not there", r.ID)
		}
		b.Add(same)
	}
	var kept, redated bytes.Buffer
	if err := b.WriteTo(&kept, index.Meta{Source: "test"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept.Bytes(), data) {
		t.Error("records that are taken over give other bytes")
	}
	if err := prev.Redate(&redated, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	ix := open(t, redated.Bytes())
	if err := ix.Verify(); err != nil || ix.Meta().Digests != prev.Meta().Digests || !ix.HasDigests() {
		t.Errorf("with a new date: %v, %+v", err, ix.Meta())
	}
}

// Every byte flipped and every length but the whole is an error or gives the very same answers.
func TestDigestDamage(t *testing.T) {
	data := build(t, []*osv.Record{
		digested(record("MAL-2024-1", "npm", "evil", nil), sum256(1), sum256(2)),
		digested(record("MAL-2024-2", "PyPI", "evil", nil), sum256(2), sum1(3)),
	})
	keys := []rapsheet.Key{{Ecosystem: "npm", Name: "evil"}, {Ecosystem: "PyPI", Name: "evil"}}
	want, err := answers(open(t, data), keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, bad []byte) {
		ix, err := index.New(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			return
		}
		if ix.Verify() == nil {
			t.Fatalf("%s: verified", what)
		}
		if got, err := answers(ix, keys, nil); err == nil && got != want {
			t.Fatalf("%s: other answers and no error", what)
		}
	}
	for at := range data {
		for bit := range 8 {
			bad := bytes.Clone(data)
			bad[at] ^= 1 << bit
			check(fmt.Sprintf("bit %d of byte %d", bit, at), bad)
		}
		check(fmt.Sprintf("cut to %d bytes", at), data[:at])
	}
}

// What the author of a file makes of it is not taken for "not on record" either.
func TestDigestLies(t *testing.T) {
	data := build(t, []*osv.Record{
		digested(record("MAL-2024-1", "npm", "evil", nil), sum256(1)),
		record("MAL-2024-2", "npm", "other", nil),
	})
	edit := func(old, new string) []byte {
		at := bytes.LastIndex(data, []byte(old))
		if at < 0 {
			t.Fatalf("no %q", old)
		}
		return index.Reseal(slices.Concat(data[:at], []byte(new), data[at+len(old):]))
	}
	payload := "\x01\x00\x04evil"
	for name, bad := range map[string][]byte{
		"no directory":                 edit("DGSD", "XXXX"),
		"no chunks":                    edit("DGST", "XXXX"),
		"a package that is not there":  edit(payload, "\x01\x00\x04evix"),
		"an ecosystem that is unknown": edit(payload, "\x01\x07\x04evil"),
		"more packages than there are": edit(payload, "\x02\x00\x04evil"),
		"fewer packages":               edit(payload, "\x00\x00\x04evil"),
		"a name beyond the end":        edit(payload, "\x01\x00\x05evil"),
	} {
		ix, err := index.New(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			_, err = ix.LookupDigest(sum256(1))
		}
		if !errors.Is(err, index.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if bad := edit(`"digests":1`, `"digests":2`); open(t, bad).Verify() == nil {
		t.Error("a wrong number of digests is verified")
	}
}

// FuzzLookupDigest compares a lookup with a walk over the records.
func FuzzLookupDigest(f *testing.F) {
	recs := append(many(300), digested(record("MAL-2024-1", "npm", "evil", nil), sum256(1), sum1(1)))
	on := map[rapsheet.Digest]string{}
	for _, r := range recs {
		digests, _ := ecosystem.RecordArchives(r.Affected[0].DatabaseSpecific)
		for _, d := range digests {
			on[d] = r.ID
		}
	}
	ix := open(f, build(f, recs))
	for d := range on {
		f.Add(d.Algorithm, d.Hex)
		if len(d.Hex) == 64 {
			f.Add("sha1", d.Hex[:40])
		}
	}
	f.Fuzz(func(t *testing.T, algorithm, value string) {
		d := rapsheet.Digest{Algorithm: algorithm, Hex: value}
		got, err := ix.LookupDigest(d)
		if err != nil || len(got) > 1 || (len(got) == 1) != (on[d] != "") || len(got) == 1 && got[0].ID != on[d] {
			t.Fatalf("%+v: %s, %v; want %q", d, named(got), err, on[d])
		}
	})
}
