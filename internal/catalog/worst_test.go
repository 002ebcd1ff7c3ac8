package catalog_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/internal/source/list"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
	"github.com/rapsheet/rapsheet/internal/store/postgres"
	"github.com/rapsheet/rapsheet/internal/store/sqlite"
)

// engines open an empty store of each kind.
func engines(t testing.TB) map[string]func() store.Store {
	quiet := slog.New(slog.DiscardHandler)
	open := func(s store.Store, err error) store.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	return map[string]func() store.Store{
		"sqlite": func() store.Store {
			return open(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), quiet))
		},
		"postgres": func() store.Store {
			return open(postgres.Open(t.Context(), pgtest.Start(t), quiet))
		},
	}
}

// The worst day: one list of 144,000 packages.
func BenchmarkWorstDay(b *testing.B) {
	var csv bytes.Buffer
	if err := corpus.WriteCampaign(&csv, 1, 144_000); err != nil {
		b.Fatal(err)
	}
	for name, open := range engines(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				c := &catalog.Catalog{Store: open(), Now: time.Now, Actor: "bench"}
				b.StartTimer()
				for i, want := range []int{144_000, 0} {
					l, err := list.New(csv.Bytes(), list.Options{Name: "campaign"})
					if err != nil {
						b.Fatal(err)
					}
					start := time.Now()
					r, err := c.Import(b.Context(), l, catalog.ImportOptions{Campaign: "worst-day"})
					if err != nil || r.Effect.Total() != want {
						b.Fatalf("%d records changed, %v", r.Effect.Total(), err)
					}
					b.ReportMetric(time.Since(start).Seconds(), []string{"s/first", "s/again"}[i])
				}
			}
		})
	}
}
