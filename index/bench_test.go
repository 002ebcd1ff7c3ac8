package index_test

import (
	"bytes"
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
