package sqlite

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/storetest"
)

// open opens the store in a file and closes it after the test.
func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func(*testing.T) store.Store) {
		path := filepath.Join(t.TempDir(), "catalog.db")
		return open(t, path), func(t *testing.T) store.Store { return open(t, path) }
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) store.Store { return open(b, filepath.Join(b.TempDir(), "catalog.db")) })
}
