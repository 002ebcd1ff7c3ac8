package catalog_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/internal/source/list"
)

// What a list says is what the catalog made of it says: reconciling the two finds no difference.
func TestAdHoc(t *testing.T) {
	var csv bytes.Buffer
	if err := corpus.WriteCampaign(&csv, 1, 500); err != nil {
		t.Fatal(err)
	}
	lines := "npm:evil:1.0.0\nnpm:evil:1.0.1\npypi:other:*\n"
	for name, text := range map[string]string{"campaign": csv.String(), "lines": lines} {
		t.Run(name, func(t *testing.T) {
			l, err := list.New([]byte(text), list.Options{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			var claims []claim.Claim
			for doc, err := range l.Fetch(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := l.Parse(doc)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range parsed.Claims {
					c.Source = name
					claims = append(claims, c)
				}
			}
			now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
			b, records, err := catalog.AdHoc(claims, now)
			if err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			if err := b.WriteTo(&buf, index.Meta{Source: name}); err != nil {
				t.Fatal(err)
			}
			ix, err := index.New(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
			if err != nil {
				t.Fatal(err)
			}
			defer ix.Close()
			diffs, same, err := catalog.Reconcile(claims, ix.Lookup, nil, nil)
			if err != nil || len(diffs) > 0 || same != records || records == 0 {
				t.Errorf("%d records, %d the same, %v, %+v", records, same, err, diffs)
			}
			if name == "lines" && records != 2 {
				t.Errorf("%d records, want evil and other", records)
			}
		})
	}
}
