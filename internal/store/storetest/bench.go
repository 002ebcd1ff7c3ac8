package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// Sizes of the benchmarks: the worst day (144,000 packages in one campaign) in batches of
// 10,000, and the records of everything known.
const (
	worstDay = 144_000
	batch    = 10_000
)

// Bench measures the worst day, the scans over it, and look-ups of 5,000 packages. open gives
// a new, empty store and registers its closing.
func Bench(b *testing.B, open func(b *testing.B) store.Store) {
	b.Run("WorstDay", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s := open(b)
			b.StartTimer()
			fillWorstDay(b, s)
		}
	})
	s := open(b)
	fillWorstDay(b, s)
	b.Run("ImportAgain", func(b *testing.B) {
		for b.Loop() {
			fillWorstDay(b, s)
		}
	})
	keys := make([]rapsheet.Key, 5000)
	ids := make([]string, len(keys))
	for i := range keys {
		n := i * 28_657 % worstDay
		keys[i], ids[i] = benchKey(n), benchID(n)
	}
	for _, c := range []struct {
		name string
		want int
		read func(ctx context.Context, r store.Reader) (int, error)
	}{
		{"Records", worstDay, func(ctx context.Context, r store.Reader) (int, error) { return count(r.Records(ctx)) }},
		{"Stamps", worstDay, func(ctx context.Context, r store.Reader) (int, error) { return count(r.Stamps(ctx, "list")) }},
		{"Members", worstDay, func(ctx context.Context, r store.Reader) (int, error) { return count(r.Members(ctx, "worst-day")) }},
		{"Claims5000", len(keys), func(ctx context.Context, r store.Reader) (int, error) {
			got, err := r.Claims(ctx, keys)
			return len(got), err
		}},
		{"RecordsOf5000", len(keys), func(ctx context.Context, r store.Reader) (int, error) {
			got, err := r.RecordsOf(ctx, keys)
			return len(got), err
		}},
		{"RecordsByID5000", len(keys), func(ctx context.Context, r store.Reader) (int, error) {
			got, err := r.RecordsByID(ctx, ids)
			return len(got), err
		}},
		{"Sources", 1, func(ctx context.Context, r store.Reader) (int, error) {
			got, err := r.Sources(ctx)
			return len(got), err
		}},
		{"Campaigns", 1, func(ctx context.Context, r store.Reader) (int, error) {
			got, err := r.Campaigns(ctx)
			return len(got), err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				err := s.View(b.Context(), func(r store.Reader) error {
					n, err := c.read(b.Context(), r)
					if err == nil && n != c.want {
						err = fmt.Errorf("%d rows, want %d", n, c.want)
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// count ranges over a sequence without keeping anything of it.
func count[V any](seq iter.Seq2[V, error]) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func benchKey(n int) rapsheet.Key {
	return rapsheet.Key{Ecosystem: "NuGet", Name: fmt.Sprintf("free.robux.generator.%x.%d", n*2654435761%(1<<32), n)}
}

func benchID(n int) string { return fmt.Sprintf("MAL-0000-bench-%06d", n) }

// fillWorstDay is one Update: the CSV, a claim of about 400 bytes and a record of about 900 for each line.
func fillWorstDay(b *testing.B, s store.Store) {
	b.Helper()
	csv := bytes.Repeat([]byte("NuGet,free.robux.generator.0123456789abcdef,1.0.0,https://example.org/\n"), 10<<20/71)
	ctx := b.Context()
	err := s.Update(ctx, func(tx store.Tx) error {
		if err := errors.Join(
			tx.PutDocuments(ctx, []store.Document{{Source: "list", Digest: digest("csv"), Name: "list.csv", Data: csv, Received: at(0)}}),
			tx.PutSource(ctx, store.Source{Name: "list", Kind: "list", Imported: at(0)}),
			tx.PutCampaign(ctx, store.Campaign{Name: "worst-day", Started: at(0)}),
		); err != nil {
			return err
		}
		for from := 0; from < worstDay; from += batch {
			var claims []store.Claim
			var records []store.Record
			for n := from; n < min(from+batch, worstDay); n++ {
				key := benchKey(n)
				c := newClaim("list", key.Ecosystem+":"+key.Name, key)
				c.Document = digest("csv")
				c.Details = strings.Repeat("d", 220)
				claims = append(claims, sign(c))
				rec := newRecord(benchID(n), key)
				rec.Campaign = "worst-day"
				rec.JSON = []byte(`{"id":"` + rec.ID + `","details":"` + strings.Repeat("d", 850) + `"}`)
				records = append(records, rec)
			}
			if err := errors.Join(tx.PutClaims(ctx, claims), tx.PutRecords(ctx, records)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
