package catalog

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// Difference is one package about which a list and a catalog disagree.
type Difference struct {
	Key  rapsheet.Key
	Kind DifferenceKind
	// Records are the catalog's, in force or not.
	Records []string
	// OnlyList are versions that only the list calls malicious, OnlyCatalog those that only the catalog does.
	OnlyList, OnlyCatalog []string
	// Detail says more in words.
	Detail string
}

// DifferenceKind is how they disagree.
type DifferenceKind string

// Ways to disagree.
const (
	Missing   DifferenceKind = "missing"   // the list has it, the catalog has no record
	TakenBack DifferenceKind = "withdrawn" // the list has it, the catalog's record is withdrawn or disputed
	Waiting   DifferenceKind = "held"      // the list has it, and a guard holds the claims about it
	Versions  DifferenceKind = "versions"  // both have it, with other versions
	Extra     DifferenceKind = "extra"     // the catalog has it, the list has not
)

// Reconcile compares what a list claims with what a catalog says. lookup gives the
// catalog's records about a package; held, if not nil, whether claims about it wait for a decision;
// scope are the packages of which the catalog's knowledge is to be in the list (a campaign's
// members), without which nothing is extra. Differences come in the order of packages;
// same counts the packages on which both agree.
func Reconcile(claims []claim.Claim, lookup func(rapsheet.Key) ([]rapsheet.Record, error), held func(rapsheet.Key) bool, scope []rapsheet.Key) (diffs []Difference, same int, err error) {
	byKey := map[rapsheet.Key][]*claim.Claim{}
	for i := range claims {
		key, ok := claims[i].Key()
		if !ok {
			key = rapsheet.Key{Ecosystem: claims[i].Ecosystem, Name: claims[i].Name}
		}
		byKey[key] = append(byKey[key], &claims[i])
	}
	for key, cs := range byKey {
		records, err := lookup(key)
		if err != nil {
			return nil, 0, err
		}
		d := compare(key, cs, records)
		if d.Kind != "" && held != nil && held(key) {
			d.Kind = Waiting
		}
		if d.Kind == "" {
			same++
			continue
		}
		diffs = append(diffs, d)
	}
	for _, key := range scope {
		if byKey[key] != nil {
			continue
		}
		records, err := lookup(key)
		if err != nil {
			return nil, 0, err
		}
		if records = inForce(records); len(records) > 0 {
			diffs = append(diffs, Difference{Key: key, Kind: Extra, Records: recordIDs(records)})
		}
	}
	slices.SortFunc(diffs, func(a, b Difference) int {
		return cmp.Or(store.CompareKeys(a.Key, b.Key), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	return slices.CompactFunc(diffs, func(a, b Difference) bool { return a.Key == b.Key && a.Kind == b.Kind }), same, nil
}

func inForce(records []rapsheet.Record) []rapsheet.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r rapsheet.Record) bool { return r.Withdrawn })
}

func recordIDs(records []rapsheet.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

// compare gives the difference about one package; its Kind is "" when there is none.
func compare(key rapsheet.Key, claims []*claim.Claim, records []rapsheet.Record) Difference {
	d := Difference{Key: key, Records: recordIDs(records)}
	force := inForce(records)
	switch {
	case len(records) == 0:
		d.Kind = Missing
		return d
	case len(force) == 0:
		d.Kind = TakenBack
		return d
	}
	e, _ := ecosystem.Find(key.Ecosystem)
	covers := func(v string) bool {
		sighting := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: key.Ecosystem, Name: claims[0].Name, Version: v}}
		return e != nil && e.HoldingVersion(v) || slices.ContainsFunc(force, func(r rapsheet.Record) bool {
			return match.Judge(&r, &sighting).Verdict != rapsheet.VerdictNone
		})
	}
	whole, catalogWhole := false, false
	var versions []string
	for _, c := range claims {
		whole = whole || c.All || c.Open()
		versions = append(versions, c.Versions...)
	}
	for _, r := range force {
		for _, g := range r.Ranges {
			catalogWhole = catalogWhole || len(g.Events) == 1 && g.Events[0].Version == "0"
		}
	}
	for _, v := range versions {
		if !covers(v) {
			d.OnlyList = append(d.OnlyList, v)
		}
	}
	for _, r := range force {
		for _, v := range r.Versions {
			if !whole && !slices.ContainsFunc(versions, func(w string) bool { return v == w || e != nil && e.EqualVersion(v, w) }) {
				d.OnlyCatalog = append(d.OnlyCatalog, v)
			}
		}
	}
	switch {
	case whole && !catalogWhole:
		d.Detail = "the list means every version, the catalog does not"
	case !whole && catalogWhole:
		d.Detail = "the catalog means every version, the list does not"
	}
	if len(d.OnlyList)+len(d.OnlyCatalog) > 0 || d.Detail != "" {
		d.Kind = Versions
	}
	for _, l := range []*[]string{&d.OnlyList, &d.OnlyCatalog} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return d
}

// Reconcile compares claims with what the store holds; the campaign's members, if one is named, are to be in the list.
func (c *Catalog) Reconcile(ctx context.Context, claims []claim.Claim, campaign string) (diffs []Difference, same int, err error) {
	var keys, scope []rapsheet.Key
	for i := range claims {
		if key, ok := claims[i].Key(); ok {
			keys = append(keys, key)
		}
	}
	b := &index.Builder{Quick: true}
	held := map[rapsheet.Key]bool{}
	err = c.Store.View(ctx, func(r store.Reader) error {
		if campaign != "" {
			for rec, err := range r.Members(ctx, campaign) {
				if err != nil {
					return err
				}
				scope = append(scope, rec.Key)
			}
		}
		keys = append(keys, scope...)
		slices.SortFunc(keys, store.CompareKeys)
		for batch := range slices.Chunk(slices.Compact(keys), settleBatch) {
			if err := known(ctx, r, batch, b, held); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, index.Meta{}); err != nil {
		return nil, 0, err
	}
	ix, err := index.New(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		return nil, 0, err
	}
	return Reconcile(claims, ix.Lookup, func(key rapsheet.Key) bool { return held[key] }, scope)
}

// known adds the records about packages to a snapshot in the making, and notes whose claims wait.
func known(ctx context.Context, r store.Reader, keys []rapsheet.Key, b *index.Builder, held map[rapsheet.Key]bool) error {
	records, err := r.RecordsOf(ctx, keys)
	if err != nil {
		return err
	}
	for _, rec := range records {
		doc, _, err := osv.Parse(rec.JSON)
		if err != nil {
			return fmt.Errorf("record %s in the store: %w", rec.ID, err)
		}
		item, err := index.Prepare(doc)
		if err != nil {
			return fmt.Errorf("record %s in the store: %w", rec.ID, err)
		}
		b.Add(item)
	}
	holds, err := r.HoldsOf(ctx, keys)
	for _, h := range holds {
		held[h.Key] = held[h.Key] || h.State == store.HoldOpen
	}
	return err
}
