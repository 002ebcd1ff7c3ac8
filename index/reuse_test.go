package index_test

import (
	"bytes"
	"testing"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/osv"
)

// A snapshot does not show which one it was made after.
func TestReuse(t *testing.T) {
	n := 6000
	if testing.Short() {
		n = 1500
	}
	var list []*osv.Record
	for r := range corpus.Records(1, n) {
		list = append(list, r)
	}
	write := func(list []*osv.Record, quick bool, prev []byte) []byte {
		t.Helper()
		b := index.Builder{Quick: quick}
		for _, r := range list {
			it, err := index.Prepare(r)
			if err != nil {
				t.Fatal(err)
			}
			b.Add(it)
		}
		if prev != nil {
			ix, err := index.New(bytes.NewReader(prev), int64(len(prev)))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Reuse(ix); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := b.WriteTo(&out, index.Meta{Source: "test"}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	first, quick := write(list, false, nil), write(list, true, nil)
	next := append([]*osv.Record(nil), list[10:]...)
	changed := *next[n/2]
	changed.Details += "More was found.\n"
	next[n/2] = &changed
	want := write(next, false, nil)
	for name, prev := range map[string][]byte{"one before": first, "itself": want, "another level": quick, "an empty one": write(nil, false, nil)} {
		if !bytes.Equal(write(next, false, prev), want) {
			t.Errorf("after %s the bytes differ", name)
		}
	}
	damaged := bytes.Clone(first)
	damaged[len(damaged)-1] ^= 1
	ix, err := index.New(bytes.NewReader(damaged), int64(len(damaged)))
	if err != nil {
		t.Fatal(err)
	}
	var b index.Builder
	if b.Reuse(ix) == nil {
		t.Error("a damaged snapshot was used")
	}
}
