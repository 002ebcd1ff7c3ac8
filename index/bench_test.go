package index_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/corpus"
)

const benchRecords = 230_000

// large is a snapshot of the benchmark's size, built once per run.
var large = sync.OnceValues(func() ([]byte, []rapsheet.Key) {
	var b index.Builder
	var keys []rapsheet.Key
	for r := range corpus.Records(1, benchRecords) {
		it, err := index.Prepare(r)
		if err != nil {
			panic(err)
		}
		b.Add(it)
		k, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name})
		keys = append(keys, rapsheet.Key{Ecosystem: k.Ecosystem, Name: strings.Clone(k.Name)})
	}
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, index.Meta{Source: "benchmark"}); err != nil {
		panic(err)
	}
	return buf.Bytes(), keys
})

func BenchmarkLookup(b *testing.B) {
	data, keys := large()
	ix := open(b, data)
	var misses []rapsheet.Key
	for _, k := range keys[:20000] {
		misses = append(misses, rapsheet.Key{Ecosystem: k.Ecosystem, Name: k.Name + "x"})
	}
	hits := slices.Clone(keys[:20000])
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if recs, err := ix.Lookup(misses[i%len(misses)]); err != nil || recs != nil {
				b.Fatal(recs, err)
			}
		}
	})
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if recs, err := ix.Lookup(hits[i%len(hits)]); err != nil || recs == nil {
				b.Fatal(err)
			}
		}
	})
}

// digested100k is a snapshot of 100,000 records with a SHA-1 and a SHA-512 each, as Amazon Inspector's have them, built once per run.
var digested100k = sync.OnceValue(func() []byte {
	var b index.Builder
	for _, r := range many(100_000) {
		it, err := index.Prepare(r)
		if err != nil {
			panic(err)
		}
		b.Add(it)
	}
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, index.Meta{Source: "benchmark"}); err != nil {
		panic(err)
	}
	return buf.Bytes()
})

func BenchmarkLookupDigest(b *testing.B) {
	ix := open(b, digested100k())
	var hits, misses []rapsheet.Digest
	for i := range 20_000 {
		a, other := sha512.Sum512(fmt.Append(nil, i)), sha512.Sum512(fmt.Append(nil, "x", i))
		hits = append(hits, rapsheet.Digest{Algorithm: "sha512", Hex: hex.EncodeToString(a[:])})
		misses = append(misses, rapsheet.Digest{Algorithm: "sha512", Hex: hex.EncodeToString(other[:])})
	}
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if recs, err := ix.LookupDigest(misses[i%len(misses)]); err != nil || recs != nil {
				b.Fatal(recs, err)
			}
		}
	})
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if recs, err := ix.LookupDigest(hits[i%len(hits)]); err != nil || len(recs) != 1 {
				b.Fatal(recs, err)
			}
		}
	})
	data, _ := large()
	none := open(b, data)
	b.Run("none in the catalog", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if recs, err := none.LookupDigest(misses[i%len(misses)]); err != nil || recs != nil {
				b.Fatal(recs, err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	data, _ := large()
	b.ReportAllocs()
	for b.Loop() {
		open(b, data)
	}
}

// BenchmarkSize reports how large a snapshot of benchRecords records is: the
// whole file, and what matching needs when compressed for transport.
func BenchmarkSize(b *testing.B) {
	data, _ := large()
	ix := open(b, data)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		b.Fatal(err)
	}
	var packed int
	for b.Loop() {
		packed = len(enc.EncodeAll(index.Keys(ix), nil))
	}
	b.ReportMetric(float64(len(data))/1e6, "MB/file")
	b.ReportMetric(float64(len(index.Keys(ix)))/1e6, "MB/matching")
	b.ReportMetric(float64(packed)/1e6, "MB/matching-packed")
}

func BenchmarkBuild(b *testing.B) {
	recs := slices.Collect(corpus.Records(1, 23_000))
	for b.Loop() {
		var bl index.Builder
		for _, r := range recs {
			it, err := index.Prepare(r)
			if err != nil {
				b.Fatal(err)
			}
			bl.Add(it)
		}
		if err := bl.WriteTo(io.Discard, index.Meta{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(recs))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
