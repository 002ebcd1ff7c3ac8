package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// HeldClaim is a claim that waits for a decision.
type HeldClaim struct {
	// Handle names it in commands: twelve hex digits.
	Handle string
	Claim  store.Claim
	Holds  []store.Hold
	// Records are those of the package now.
	Records []store.Record
}

// handle names a claim briefly. Source and reference are what it is stored under.
func handle(source, ref string) string {
	sum := sha256.Sum256([]byte(source + "\x00" + ref))
	return hex.EncodeToString(sum[:6])
}

// Filter selects held claims; empty members select all.
type Filter struct {
	Handles []string
	Keys    []rapsheet.Key
	Guard   string
	Source  string
}

func (f Filter) wants(h store.Hold) bool {
	return (len(f.Handles) == 0 || slices.Contains(f.Handles, handle(h.Source, h.Ref))) &&
		(len(f.Keys) == 0 || slices.Contains(f.Keys, h.Key)) &&
		(f.Guard == "" || f.Guard == h.Guard) && (f.Source == "" || f.Source == h.Source)
}

// Held gives the claims that wait, by package.
func (c *Catalog) Held(ctx context.Context, f Filter) (out []HeldClaim, err error) {
	err = c.Store.View(ctx, func(r store.Reader) error {
		out, err = held(ctx, r, f)
		return err
	})
	return out, err
}

func held(ctx context.Context, r store.Reader, f Filter) ([]HeldClaim, error) {
	holds, err := r.Holds(ctx, store.HoldOpen)
	if err != nil {
		return nil, err
	}
	type place struct{ source, ref string }
	wanted := map[place]bool{}
	var keys []rapsheet.Key
	for _, h := range holds {
		if f.wants(h) {
			wanted[place{h.Source, h.Ref}] = true
			keys = append(keys, h.Key)
		}
	}
	slices.SortFunc(keys, store.CompareKeys)
	keys = slices.Compact(keys)
	var out []HeldClaim
	for batch := range slices.Chunk(keys, settleBatch) {
		claims, err := r.Claims(ctx, batch)
		if err != nil {
			return nil, err
		}
		records, err := r.RecordsOf(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, cl := range claims {
			if !wanted[place{cl.Source, cl.Ref}] || cl.Status != store.Held {
				continue
			}
			x := HeldClaim{Handle: handle(cl.Source, cl.Ref), Claim: cl}
			for _, h := range holds {
				if h.Source == cl.Source && h.Ref == cl.Ref {
					x.Holds = append(x.Holds, h)
				}
			}
			for _, rec := range records {
				if rec.Key == cl.Key {
					x.Records = append(x.Records, rec)
				}
			}
			out = append(out, x)
		}
	}
	return out, nil
}

// Verdicts on held claims and on records.
const (
	Accept   = "accept"   // release the claim
	Reject   = "reject"   // refuse it, as long as its source says the same
	Narrow   = "narrow"   // release it with versions in place of "every version"
	Note     = "note"     // write something down
	Withdraw = "withdraw" // take a record back
	Dispute  = "dispute"  // doubt it: shown, and no reason to fail a build
	Restore  = "restore"  // put it back in force
)

// ErrNothingHeld says that a decision found nothing to decide.
var ErrNothingHeld = errors.New("nothing that waits for a decision is meant by this")

// Decide carries out one decision about every held claim that the filter selects, and gives what it changed.
// Narrowing needs versions.
func (c *Catalog) Decide(ctx context.Context, f Filter, verdict string, versions []string, reason string) (decided []HeldClaim, effect *Effect, err error) {
	if verdict == Narrow && len(versions) == 0 {
		return nil, nil, errors.New("a narrowing needs versions")
	}
	err = c.Store.Update(ctx, func(tx store.Tx) error {
		if decided, err = held(ctx, tx, f); err != nil {
			return err
		}
		if len(decided) == 0 {
			return ErrNothingHeld
		}
		now := c.Now().UTC()
		var put []store.Hold
		var rejected = map[string][]string{}
		var keys, left []rapsheet.Key
		for _, h := range decided {
			d := store.Decision{Time: now, Actor: c.Actor, Kind: verdict, Key: h.Claim.Key, Source: h.Claim.Source, Ref: h.Claim.Ref, Reason: reason}
			if verdict == Narrow {
				d.Versions = versions
			}
			seq, err := tx.AddDecision(ctx, d)
			if err != nil {
				return err
			}
			if err := tx.AddAudit(ctx, store.AuditEntry{Time: now, Actor: c.Actor, Action: verdict, Detail: fmt.Sprintf("%s %s (%s): %s", h.Claim.Key.Ecosystem, h.Claim.Name, strings.TrimSuffix(h.Claim.Ref, pendingMark), reason)}); err != nil {
				return err
			}
			for _, hold := range h.Holds {
				switch verdict {
				case Accept, Narrow:
					hold.State, hold.Decision = store.HoldAccepted, seq
				case Reject:
					hold.State, hold.Decision = store.HoldRejected, seq
				default:
					continue
				}
				put = append(put, hold)
			}
			if verdict == Reject {
				rejected[h.Claim.Source] = append(rejected[h.Claim.Source], h.Claim.Ref)
			}
			keys = append(keys, h.Claim.Key)
			for _, hold := range h.Holds {
				if hold.Guard == GuardMoved && verdict != Note {
					from, err := keyOf(ctx, tx, h.Claim.Source, strings.TrimSuffix(h.Claim.Ref, pendingMark))
					if err != nil {
						return err
					}
					left = append(left, from)
				}
			}
		}
		if err := tx.PutHolds(ctx, put); err != nil {
			return err
		}
		for source, refs := range rejected {
			if err := tx.SetClaimStatus(ctx, source, refs, store.Rejected); err != nil {
				return err
			}
		}
		// What moved leaves its old package only after it has arrived at the new one.
		effect, err = c.resettle(ctx, tx, keys, left)
		return err
	})
	return decided, effect, err
}

// resettle brings packages in line, group after group.
func (c *Catalog) resettle(ctx context.Context, tx store.Tx, groups ...[]rapsheet.Key) (*Effect, error) {
	facts, err := LoadFacts(ctx, tx)
	if err != nil {
		return nil, err
	}
	s, err := newSettler(ctx, tx, c.Now().UTC(), facts, c.Check)
	if err != nil {
		return nil, err
	}
	for _, keys := range groups {
		if len(keys) == 0 {
			continue
		}
		if err := s.settle(ctx, keys, nil); err != nil {
			return nil, err
		}
	}
	return s.effect, nil
}

func keyOf(ctx context.Context, r store.Reader, source, ref string) (rapsheet.Key, error) {
	for st, err := range r.Stamps(ctx, source) {
		if err != nil {
			return rapsheet.Key{}, err
		}
		if st.Ref == ref {
			return st.Key, nil
		}
	}
	return rapsheet.Key{}, fmt.Errorf("source %s has no claim %s", source, ref)
}

// ErrNoRecord says that no record has the id.
var ErrNoRecord = errors.New("no record has this id")

// StandsError says that a record is not withdrawn because independent origins stand by it.
type StandsError struct {
	ID      string
	Origins []string
}

func (e *StandsError) Error() string {
	return fmt.Sprintf("%s rests on %d independent origins (%s), which have not taken it back", e.ID, len(e.Origins), strings.Join(e.Origins, ", "))
}

// DecideRecord puts a record into another state, or narrows it, by a named decision.
//
// A withdrawal goes by way of dispute: the first makes a record that is in force disputed, the second
// withdraws it; while two or more independent origins stand by it, it is refused with [*StandsError]. With
// now set it is withdrawn at once. The record given back is the one after the decision.
func (c *Catalog) DecideRecord(ctx context.Context, id, verdict string, versions []string, reason string, now bool) (rec store.Record, effect *Effect, err error) {
	if strings.TrimSpace(reason) == "" && verdict != Note {
		return rec, nil, errors.New("a decision needs a reason")
	}
	err = c.Store.Update(ctx, func(tx store.Tx) error {
		records, err := tx.RecordsByID(ctx, []string{id})
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("%s: %w", id, ErrNoRecord)
		}
		old := records[0]
		kind := verdict
		if verdict == Withdraw && !now && old.State == store.Active {
			claims, err := tx.Claims(ctx, []rapsheet.Key{old.Key})
			if err != nil {
				return err
			}
			if by := standing(claims); len(by) > 1 {
				return &StandsError{id, by}
			}
			kind = Dispute
		}
		at := c.Now().UTC()
		if _, err := tx.AddDecision(ctx, store.Decision{Time: at, Actor: c.Actor, Kind: kind, Key: old.Key, ID: id, Versions: versions, Reason: reason}); err != nil {
			return err
		}
		if err := tx.AddAudit(ctx, store.AuditEntry{Time: at, Actor: c.Actor, Action: kind, Detail: id + ": " + reason}); err != nil {
			return err
		}
		if effect, err = c.resettle(ctx, tx, []rapsheet.Key{old.Key}); err != nil {
			return err
		}
		records, err = tx.RecordsByID(ctx, []string{id})
		if err != nil {
			return err
		}
		rec = records[0]
		return nil
	})
	return rec, effect, err
}

// standing lists the origins of the claims in force, sorted.
func standing(claims []store.Claim) []string {
	names := map[string]bool{}
	for i := range claims {
		if cl := &claims[i]; cl.Status == store.Standing && cl.Withdrawn.IsZero() {
			for _, o := range cl.Origins {
				names[o] = true
			}
		}
	}
	return sortedKeys(names)
}
