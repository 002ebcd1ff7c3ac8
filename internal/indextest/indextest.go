// Package indextest builds snapshots for the tests of what reads them.
package indextest

import (
	"bytes"
	"testing"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/osv"
)

// Records parses documents.
func Records(t testing.TB, docs ...string) []*osv.Record {
	t.Helper()
	out := make([]*osv.Record, len(docs))
	for i, d := range docs {
		var err error
		if out[i], _, err = osv.Parse([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Snapshot is the file of a snapshot of records.
func Snapshot(t testing.TB, meta index.Meta, records ...*osv.Record) []byte {
	t.Helper()
	var b index.Builder
	for _, r := range records {
		it, err := index.Prepare(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Add(it)
	}
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, meta); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// New is a snapshot of records, in memory.
func New(t testing.TB, meta index.Meta, records ...*osv.Record) *index.Index {
	t.Helper()
	data := Snapshot(t, meta, records...)
	ix, err := index.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return ix
}
