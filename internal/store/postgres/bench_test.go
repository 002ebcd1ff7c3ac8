package postgres_test

import (
	"testing"

	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
	"github.com/rapsheet/rapsheet/internal/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) store.Store { return open(b, pgtest.Start(b)) })
}
