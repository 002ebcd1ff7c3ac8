package catalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet/internal/store"
)

// Status is what a store holds, counted.
type Status struct {
	Org         string
	Records     map[store.State]int
	Sources     []store.Source
	Held        map[string]int // open holds by guard
	HeldClaims  int
	Campaigns   []store.Campaign
	Inputs      []store.Input
	Quarantined int
	Quarantine  []store.Quarantined // the newest
	Releases    []store.Release     // the newest
	Audit       []store.AuditEntry  // the newest
}

// Status counts what is in the store; of logs it gives the newest entries, at most limit.
func (c *Catalog) Status(ctx context.Context, limit int) (st Status, err error) {
	err = c.Store.View(ctx, func(r store.Reader) error {
		if st.Org, err = c.Org(ctx, r); err != nil {
			return err
		}
		if st.Records, err = r.CountRecords(ctx); err != nil {
			return err
		}
		if st.Sources, err = r.Sources(ctx); err != nil {
			return err
		}
		holds, err := r.Holds(ctx, store.HoldOpen)
		if err != nil {
			return err
		}
		st.Held = map[string]int{}
		claims := map[string]bool{}
		for _, h := range holds {
			st.Held[h.Guard]++
			claims[handle(h.Source, h.Ref)] = true
		}
		st.HeldClaims = len(claims)
		if st.Campaigns, err = r.Campaigns(ctx); err != nil {
			return err
		}
		if st.Inputs, err = r.Inputs(ctx); err != nil {
			return err
		}
		if st.Quarantined, err = r.CountQuarantine(ctx); err != nil {
			return err
		}
		if st.Quarantine, err = r.Quarantine(ctx, limit); err != nil {
			return err
		}
		if st.Releases, err = r.Releases(ctx, limit); err != nil {
			return err
		}
		st.Audit, err = r.Audit(ctx, limit)
		return err
	})
	return st, err
}

// NewInput makes an input of lines, and checks that guards can read it.
func NewInput(kind, name string, lines []string, now time.Time) (store.Input, error) {
	in := store.Input{Kind: kind, Name: name, Data: []byte(strings.Join(lines, "\n")), Added: now.UTC()}
	return in, NewFacts().Add(in)
}

// putInput keeps an input, in place of what stood under its kind and name. Nothing that stands is held for it;
// what is held or new is guarded with it.
func (c *Catalog) putInput(ctx context.Context, tx store.Tx, in store.Input) error {
	old, ok, err := tx.Input(ctx, in.Kind, in.Name)
	if err != nil || ok && bytes.Equal(old.Data, in.Data) {
		return err
	}
	if err := tx.PutInput(ctx, in); err != nil {
		return err
	}
	lines := bytes.Count(in.Data, []byte("\n")) + 1
	return tx.AddAudit(ctx, store.AuditEntry{Time: in.Added, Actor: c.Actor, Action: "guard input", Detail: fmt.Sprintf("%s %s: %d lines", in.Kind, in.Name, lines)})
}

// EditCampaign sets what is given of a campaign and adds references and indicators to those it has.
func (c *Catalog) EditCampaign(ctx context.Context, change store.Campaign) (out store.Campaign, err error) {
	err = c.Store.Update(ctx, func(tx store.Tx) error {
		all, err := tx.Campaigns(ctx)
		if err != nil {
			return err
		}
		out = store.Campaign{Name: change.Name}
		for _, k := range all {
			if k.Name == change.Name {
				out = k
			}
		}
		for _, t := range []struct{ to, from *time.Time }{{&out.Started, &change.Started}, {&out.Ended, &change.Ended}} {
			if !t.from.IsZero() {
				*t.to = *t.from
			}
		}
		if change.Summary != "" {
			out.Summary = change.Summary
		}
		for _, l := range []struct{ to, from *[]string }{{&out.References, &change.References}, {&out.Indicators, &change.Indicators}} {
			*l.to = append(slices.Clone(*l.to), *l.from...)
			slices.Sort(*l.to)
			*l.to = slices.Compact(*l.to)
		}
		if err := tx.PutCampaign(ctx, out); err != nil {
			return err
		}
		return tx.AddAudit(ctx, store.AuditEntry{Time: c.Now().UTC(), Actor: c.Actor, Action: "campaign", Detail: out.Name})
	})
	return out, err
}

// Org is the block that own ids are taken from.
func (c *Catalog) Org(ctx context.Context, r store.Reader) (string, error) {
	org, err := r.Setting(ctx, settingOrg)
	if org == "" {
		org = DefaultOrg
	}
	return org, err
}
