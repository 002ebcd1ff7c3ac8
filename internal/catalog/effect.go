package catalog

import (
	"slices"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// Effect is the blast radius: what a change to the store changes for the readers of the next release.
type Effect struct {
	Added, Changed, Disputed, Withdrawn, Restored int
	// AllVersions counts records that are new or changed and now cover every version.
	AllVersions int
	// Top1000 and Top10000 count records, new or changed and in force, of packages that are this popular.
	Top1000, Top10000 int
	// Popular and Inventory list such records, and those of packages that the user has; at most maxHits each.
	Popular, Inventory []Hit
	// InventoryHits counts what Inventory lists.
	InventoryHits int
	// Held counts claims newly held, by guard; Holds lists at most maxHits of them.
	Held  map[string]int
	Holds []store.Hold
	// HeldClaims counts the claims behind them.
	HeldClaims int
	// Records lists at most maxHits of the changes.
	Records []Change
}

// maxHits is how many examples an Effect keeps of each kind.
const maxHits = 1000

// Hit is a record about a package that matters to more than its attacker.
type Hit struct {
	ID   string
	Key  rapsheet.Key
	Rank int // in the list of popular packages, from 1; 0 when it is not there
	All  bool
}

// Change is one record that is not what it was.
type Change struct {
	ID   string
	Key  rapsheet.Key
	What string // "added", "changed", "disputed", "withdrawn", "restored"
}

// Total counts records that are not what they were.
func (e *Effect) Total() int { return e.Added + e.Changed + e.Disputed + e.Withdrawn + e.Restored }

// record takes in one record that is new or changed. old is nil for a new one.
func (e *Effect) record(rec *store.Record, old *store.Record, all bool, f *Facts) {
	what := "changed"
	switch {
	case rec.State == store.Withdrawn && (old == nil || old.State != store.Withdrawn):
		what = "withdrawn"
		e.Withdrawn++
	case rec.State == store.Disputed && (old == nil || old.State != store.Disputed):
		what = "disputed"
		e.Disputed++
	case old == nil:
		what = "added"
		e.Added++
	case rec.State == store.Active && old.State != store.Active:
		what = "restored"
		e.Restored++
	default:
		e.Changed++
	}
	if len(e.Records) < maxHits {
		e.Records = append(e.Records, Change{rec.ID, rec.Key, what})
	}
	if rec.State != store.Active {
		return
	}
	if all {
		e.AllVersions++
	}
	hit := Hit{ID: rec.ID, Key: rec.Key, Rank: f.rank[rec.Key], All: all}
	if hit.Rank > 0 {
		if hit.Rank <= 1000 {
			e.Top1000++
		}
		if hit.Rank <= 10000 {
			e.Top10000++
		}
		if len(e.Popular) < maxHits {
			e.Popular = append(e.Popular, hit)
		}
	}
	if f.inventory[rec.Key] > 0 {
		e.InventoryHits++
		if len(e.Inventory) < maxHits {
			e.Inventory = append(e.Inventory, hit)
		}
	}
}

func (e *Effect) hold(holds []store.Hold) {
	if e.Held == nil {
		e.Held = map[string]int{}
	}
	e.HeldClaims++
	for _, h := range holds {
		e.Held[h.Guard]++
	}
	e.Holds = append(e.Holds, holds[:min(len(holds), max(0, maxHits-len(e.Holds)))]...)
}

func (e *Effect) sort() {
	slices.SortStableFunc(e.Popular, func(a, b Hit) int { return a.Rank - b.Rank })
}
