package catalog

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/store"
)

// Settings of a store that the catalog keeps.
const (
	settingOrg     = "org"      // whose block own ids are from
	settingNextOwn = "next-own" // the number of the next own id
)

// DefaultOrg is the block of a store for which none was named.
const DefaultOrg = "local"

// pendingMark ends the reference of a changed statement that a guard holds: what stood before stays in
// force under the reference itself. References of sources do not end in it.
const pendingMark = "\u203d"

// settleBatch is how many packages are merged and written at once.
const settleBatch = 4000

// settler brings the records of packages in line with their claims, within one Update. It is where
// guards and merge meet the store: nothing else writes records.
type settler struct {
	tx      store.Tx
	now     time.Time
	facts   *Facts
	org     string
	nextOwn uint64
	// additive says that a new statement of a source adds to its earlier one.
	additive bool
	// gone are references of source that it no longer has.
	source string
	gone   map[string]bool
	// moved gives, for references that now speak of another package, the one before.
	moved map[string]rapsheet.Key
	// firstOf gives the package that an id is first claimed for in this run.
	firstOf map[string]rapsheet.Key
	// claimed are the archives of the new statements, onRecord those of all records; the latter is read when it is first needed.
	claimed, onRecord archiveOwners

	effect *Effect
	check  func(document []byte) []string
	// changed counts claims that were written.
	changed  int
	progress func(packages int)
}

func newSettler(ctx context.Context, tx store.Tx, now time.Time, facts *Facts, check func([]byte) []string) (*settler, error) {
	s := &settler{tx: tx, now: now, check: check, facts: facts, effect: &Effect{Held: map[string]int{}}, org: DefaultOrg, nextOwn: 1}
	org, err := tx.Setting(ctx, settingOrg)
	if err != nil {
		return nil, err
	}
	if org != "" {
		s.org = org
	}
	next, err := tx.Setting(ctx, settingNextOwn)
	if err != nil {
		return nil, err
	}
	if next != "" {
		if s.nextOwn, err = strconv.ParseUint(next, 10, 64); err != nil {
			return nil, fmt.Errorf("setting %s of the store: %w", settingNextOwn, err)
		}
	}
	return s, nil
}

// place is one package being settled.
type place struct {
	key       rapsheet.Key
	claims    []store.Claim // as they will be
	put       []int         // those of claims to write
	fresh     map[int]bool  // those of claims to guard
	statuses  []store.Claim // written with another status only
	holds     []store.Hold  // as stored
	putHolds  []store.Hold
	dropHolds []store.Hold
	decisions []store.Decision
	records   []store.Record
	drafts    []Draft
	out       []store.Record
	changed   []bool
	replaced  []replacement
	unfit     string // why a record cannot be published
	err       error
}

// replacement is a released statement and what it took the place of.
type replacement struct {
	pending, base int
	before        store.Claim
}

// settle brings packages in line: candidates are the new statements about them, by package.
func (s *settler) settle(ctx context.Context, keys []rapsheet.Key, candidates map[rapsheet.Key][]store.Claim) error {
	slices.SortFunc(keys, store.CompareKeys)
	keys = slices.Compact(keys)
	s.claimed = archiveOwners{}
	for key, claims := range candidates {
		for i := range claims {
			if !claims[i].Withdrawn.IsZero() {
				continue
			}
			for _, d := range claimArchives(&claims[i]) {
				s.claimed.add(d, key)
			}
		}
	}
	done := 0
	for batch := range slices.Chunk(keys, settleBatch) {
		if err := s.batch(ctx, batch, candidates); err != nil {
			return err
		}
		done += len(batch)
		if s.progress != nil {
			s.progress(done)
		}
	}
	s.effect.sort()
	return s.tx.SetSetting(ctx, settingNextOwn, strconv.FormatUint(s.nextOwn, 10))
}

func (s *settler) batch(ctx context.Context, keys []rapsheet.Key, candidates map[rapsheet.Key][]store.Claim) error {
	places, owners, err := s.load(ctx, keys, candidates)
	if err != nil {
		return err
	}
	parallel(places, func(p *place) { s.overlay(p, candidates[p.key]) })
	if s.onRecord == nil && slices.ContainsFunc(places, (*place).freshArchives) {
		if s.onRecord, err = archivesOnRecord(ctx, s.tx); err != nil {
			return err
		}
	}
	parallel(places, func(p *place) { p.err = s.guard(p, owners) })
	for _, p := range places {
		if p.err != nil {
			return p.err
		}
		p.take(owners)
	}
	parallel(places, func(p *place) { s.merge(p, owners) })
	if err := s.name(ctx, places, owners); err != nil {
		return err
	}
	parallel(places, func(p *place) { p.err = s.render(p) })
	for _, p := range places {
		if p.err == nil && p.unfit != "" {
			p.err = s.holdUnfit(ctx, p, owners)
		}
		if p.err != nil {
			return p.err
		}
	}
	return s.write(ctx, places)
}

// holdUnfit holds the claims that made a record no release may have, and merges the package again
// without them.
func (s *settler) holdUnfit(ctx context.Context, p *place, owners map[string]rapsheet.Key) error {
	reason := p.unfit
	for _, r := range p.replaced {
		p.claims[r.base] = r.before
		p.put = slices.DeleteFunc(p.put, func(i int) bool { return i == r.base })
		p.claims[r.pending].Status = store.Standing
	}
	p.replaced = nil
	for i := range p.claims {
		c := &p.claims[i]
		if !p.fresh[i] || c.Status != store.Standing {
			continue
		}
		c.Status = store.Held
		if !slices.Contains(p.put, i) {
			p.put = append(p.put, i)
		}
		p.putHolds = append(p.putHolds, store.Hold{
			Source: c.Source, Ref: c.Ref, Guard: GuardUnfit, Key: c.Key, Digest: c.Digest,
			Reason: reason, Raised: s.now, State: store.HoldOpen,
		})
	}
	s.merge(p, owners)
	if err := s.name(ctx, []*place{p}, owners); err != nil {
		return err
	}
	p.unfit = ""
	if err := s.render(p); err != nil {
		return err
	}
	if p.unfit != "" {
		return fmt.Errorf("%s of %s: the record cannot be published: %s", p.key.Name, p.key.Ecosystem, p.unfit)
	}
	return nil
}

// parallel calls f for every place, on all cores.
func parallel(places []*place, f func(*place)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(places); i += workers {
				f(places[i])
			}
		})
	}
	wg.Wait()
}

// load reads what the store has about the packages. owners gives the package of every id that a claim or a
// candidate carries and a record has.
func (s *settler) load(ctx context.Context, keys []rapsheet.Key, candidates map[rapsheet.Key][]store.Claim) ([]*place, map[string]rapsheet.Key, error) {
	places := make([]*place, len(keys))
	at := make(map[rapsheet.Key]*place, len(keys))
	for i, k := range keys {
		places[i] = &place{key: k, fresh: map[int]bool{}}
		at[k] = places[i]
	}
	claims, err := s.tx.Claims(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, c := range claims {
		p := at[c.Key]
		p.claims = append(p.claims, c)
		if c.ID != "" {
			ids = append(ids, c.ID)
		}
	}
	for _, k := range keys {
		for _, c := range candidates[k] {
			if c.ID != "" {
				ids = append(ids, c.ID)
			}
		}
	}
	holds, err := s.tx.HoldsOf(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range holds {
		at[h.Key].holds = append(at[h.Key].holds, h)
	}
	decisions, err := s.tx.Decisions(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range decisions {
		at[d.Key].decisions = append(at[d.Key].decisions, d)
	}
	records, err := s.tx.RecordsOf(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range records {
		at[r.Key].records = append(at[r.Key].records, r)
	}
	slices.Sort(ids)
	taken, err := s.tx.RecordsByID(ctx, slices.Compact(ids))
	if err != nil {
		return nil, nil, err
	}
	owners := make(map[string]rapsheet.Key, len(taken))
	for _, r := range taken {
		owners[r.ID] = r.Key
	}
	return places, owners, nil
}

// overlay puts new statements and what is gone over what the store has.
func (s *settler) overlay(p *place, candidates []store.Claim) {
	byRef := map[[2]string]int{}
	for i := range p.claims {
		c := &p.claims[i]
		byRef[[2]string{c.Source, c.Ref}] = i
		if c.Source == s.source && s.gone[c.Ref] && !past(c.Status) {
			if strings.HasSuffix(c.Ref, pendingMark) || c.Status != store.Standing {
				// What never counted leaves nothing behind.
				c.Status = store.Dropped
			} else {
				c.Status = store.Gone
			}
			p.statuses = append(p.statuses, *c)
		}
	}
	for i := range p.claims {
		if p.claims[i].Status == store.Held {
			p.fresh[i] = true
		}
	}
	for _, c := range candidates {
		c.Status = store.Standing
		i, there := byRef[[2]string{c.Source, c.Ref}]
		if from, moved := s.moved[c.Ref]; moved {
			p.putHolds = append(p.putHolds, store.Hold{
				Source: c.Source, Ref: c.Ref + pendingMark, Guard: GuardMoved, Key: c.Key, Digest: c.Digest, Raised: s.now, State: store.HoldOpen,
				Reason: fmt.Sprintf("%s was about %s of %s before", c.Ref, from.Name, from.Ecosystem),
			})
		}
		if there && s.additive && !p.claims[i].Open() && !p.claims[i].All {
			add(&c, &p.claims[i])
		}
		switch {
		case there && p.claims[i].Digest == c.Digest && !past(p.claims[i].Status):
			continue
		case there && p.claims[i].Digest == c.Digest:
			// It is back as it was.
			p.claims[i].Status = store.Standing
			p.put = append(p.put, i)
			p.fresh[i] = true
			continue
		case there && p.claims[i].Status != store.Standing:
			// Nothing in force to keep: the new statement takes its place.
			p.claims[i] = c
			p.put = append(p.put, i)
			p.fresh[i] = true
			continue
		case there || s.moved[c.Ref] != (rapsheet.Key{}):
			c.Ref += pendingMark
			if j, again := byRef[[2]string{c.Source, c.Ref}]; again {
				if p.claims[j].Digest == c.Digest && !past(p.claims[j].Status) {
					continue
				}
				p.claims[j] = c
				p.put = append(p.put, j)
				p.fresh[j] = true
				continue
			}
		}
		p.claims = append(p.claims, c)
		byRef[[2]string{c.Source, c.Ref}] = len(p.claims) - 1
		p.put = append(p.put, len(p.claims)-1)
		p.fresh[len(p.claims)-1] = true
	}
}

// past reports whether a claim's source no longer makes it.
func past(s store.Status) bool { return s == store.Gone || s == store.Dropped }

// add joins the versions that a list named before to those it names now.
func add(c, old *store.Claim) {
	if c.All || c.Open() {
		return
	}
	c.Versions = append(slices.Clone(c.Versions), old.Versions...)
	for _, g := range old.Ranges {
		c.Ranges = append(slices.Clone(c.Ranges), g)
	}
	c.Ranges = distinctRanges(c.Ranges)
	c.Origins = append(slices.Clone(c.Origins), old.Origins...)
	c.Normalise()
	if len(c.Ranges) == 0 {
		c.Ranges = nil
	}
	if b, err := c.Marshal(); err == nil {
		c.Digest = claim.Digest(b)
	}
}

// freshArchives reports whether a claim to guard has digests of archives.
func (p *place) freshArchives() bool {
	for i := range p.fresh {
		if len(claimArchives(&p.claims[i])) > 0 {
			return true
		}
	}
	return false
}

// guard decides for every fresh claim whether it stands.
func (s *settler) guard(p *place, owners map[string]rapsheet.Key) error {
	if len(p.fresh) == 0 {
		return nil
	}
	scene := Scene{Facts: s.facts, Decisions: p.decisions, OnRecord: s.onRecord, Claimed: s.claimed}
	for _, r := range p.records {
		if !superseded(&r) {
			scene.Records = append(scene.Records, r)
		}
		digests, err := recordArchives(&r)
		if err != nil {
			return err
		}
		scene.Archives = append(scene.Archives, digests...)
	}
	for i := range p.claims {
		scene.Others = append(scene.Others, &p.claims[i])
	}
	scene.Owner = func(id string) (rapsheet.Key, bool) { return s.owner(p, id, owners) }
	fresh := make([]int, 0, len(p.fresh))
	for i := range p.fresh {
		fresh = append(fresh, i)
	}
	slices.Sort(fresh)
	for _, i := range fresh {
		c := &p.claims[i]
		before := c.Status
		s.judge(p, c, p.kept(c, Guard(c, scene)))
		switch {
		case c.Status == store.Standing && strings.HasSuffix(c.Ref, pendingMark):
			p.replace(i)
		case c.Status != before && !slices.Contains(p.put, i):
			p.put = append(p.put, i)
		}
	}
	return nil
}

// kept adds to the objections to a statement those that only the import that brought it could see: that it came under another
// package's reference, and that another package was given the same archive. They stay until they are decided.
func (p *place) kept(c *store.Claim, objections []Objection) []Objection {
	for _, guard := range []string{GuardMoved, GuardArchive} {
		for _, h := range slices.Concat(p.putHolds, p.holds) {
			if h.Guard == guard && h.Source == c.Source && h.Ref == c.Ref && h.Digest == c.Digest {
				objections = slices.DeleteFunc(objections, func(o Objection) bool { return o.Guard == guard })
				objections = append(objections, Objection{h.Guard, h.Reason})
				break
			}
		}
	}
	return objections
}

// judge sets the status of a claim from the objections to it and what was decided about them.
func (s *settler) judge(p *place, c *store.Claim, objections []Objection) {
	c.Status = store.Standing
	stored := map[string]store.Hold{}
	for _, h := range p.holds {
		if h.Source == c.Source && h.Ref == c.Ref {
			stored[h.Guard] = h
		}
	}
	objected := map[string]bool{}
	for _, o := range objections {
		objected[o.Guard] = true
		h, known := stored[o.Guard]
		switch {
		case known && h.Digest == c.Digest && h.State == store.HoldAccepted:
			continue
		case known && h.Digest == c.Digest && h.State == store.HoldRejected:
			c.Status = store.Rejected
			continue
		}
		if c.Status == store.Standing {
			c.Status = store.Held
		}
		if known && h.Digest == c.Digest && h.State == store.HoldOpen && h.Reason == o.Reason {
			continue
		}
		raised := s.now
		if known && h.State == store.HoldOpen {
			raised = h.Raised
		}
		p.putHolds = append(p.putHolds, store.Hold{
			Source: c.Source, Ref: c.Ref, Guard: o.Guard, Key: c.Key, Digest: c.Digest,
			Reason: o.Reason, Raised: raised, State: store.HoldOpen,
		})
	}
	for guard, h := range stored {
		if h.State == store.HoldOpen && !objected[guard] {
			p.dropHolds = append(p.dropHolds, h)
		}
	}
}

// replace puts a released statement in the place of the one that stood while it was held.
func (p *place) replace(i int) {
	released := p.claims[i]
	released.Ref = strings.TrimSuffix(released.Ref, pendingMark)
	j := slices.IndexFunc(p.claims, func(c store.Claim) bool { return c.Source == released.Source && c.Ref == released.Ref })
	if j < 0 {
		p.claims = append(p.claims, released)
		j = len(p.claims) - 1
	} else {
		p.replaced = append(p.replaced, replacement{pending: i, base: j, before: p.claims[j]})
	}
	p.claims[j] = released
	if !slices.Contains(p.put, j) {
		p.put = append(p.put, j)
	}
	p.claims[i].Status = store.Dropped
	switch k := slices.Index(p.put, i); {
	case k >= 0 && !p.heldBefore(i):
		p.put = slices.Delete(p.put, k, k+1)
	case k < 0:
		p.put = append(p.put, i)
	}
}

// heldBefore reports whether the store has the claim already.
func (p *place) heldBefore(i int) bool {
	c := p.claims[i]
	return slices.ContainsFunc(p.holds, func(h store.Hold) bool { return h.Source == c.Source && h.Ref == c.Ref })
}

// owner gives the package, another than p's, whose id it is.
func (s *settler) owner(p *place, id string, owners map[string]rapsheet.Key) (rapsheet.Key, bool) {
	k, ok := owners[id]
	if !ok {
		k, ok = s.firstOf[id]
	}
	return k, ok && k != p.key
}

// take makes the package the owner of every id that its claims bring and no package has.
func (p *place) take(owners map[string]rapsheet.Key) {
	for i := range p.claims {
		c := &p.claims[i]
		if _, owned := owners[c.ID]; c.ID != "" && !owned && (c.Status == store.Standing || c.Status == store.Gone) {
			owners[c.ID] = p.key
		}
	}
}

func (s *settler) merge(p *place, owners map[string]rapsheet.Key) {
	p.drafts = Merge(Material{Key: p.key, Claims: p.claims, Decisions: p.decisions, Records: p.records, Taken: func(id string) bool {
		_, taken := s.owner(p, id, owners)
		return taken
	}})
}

// name gives drafts without an id one of the catalog's own that nothing has: a source can bring ids of the same block.
func (s *settler) name(ctx context.Context, places []*place, owners map[string]rapsheet.Key) error {
	var nameless []*Draft
	for _, p := range places {
		for i := range p.drafts {
			if p.drafts[i].ID == "" {
				nameless = append(nameless, &p.drafts[i])
			}
		}
	}
	for len(nameless) > 0 {
		ids := make([]string, len(nameless))
		for i := range ids {
			ids[i] = OwnID(s.org, s.nextOwn)
			s.nextOwn++
		}
		taken, err := s.tx.RecordsByID(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			_, owned := owners[id]
			_, claimed := s.firstOf[id]
			if owned || claimed || slices.ContainsFunc(taken, func(r store.Record) bool { return r.ID == id }) {
				continue
			}
			nameless[0].ID = id
			nameless = nameless[1:]
		}
	}
	return nil
}

func (s *settler) render(p *place) error {
	p.out = make([]store.Record, len(p.drafts))
	p.changed = make([]bool, len(p.drafts))
	for i := range p.drafts {
		var err error
		if p.out[i], p.changed[i], err = Render(&p.drafts[i], p.record(p.drafts[i].ID), s.now); err != nil {
			return err
		}
		if p.changed[i] && s.check != nil {
			if problems := s.check(p.out[i].JSON); len(problems) > 0 {
				p.unfit = strings.Join(problems, "; ")
			}
		}
	}
	return nil
}

func (p *place) record(id string) *store.Record {
	for i := range p.records {
		if p.records[i].ID == id {
			return &p.records[i]
		}
	}
	return nil
}

// write puts a batch into the store, in the order of packages.
func (s *settler) write(ctx context.Context, places []*place) error {
	var claims []store.Claim
	var records []store.Record
	var put, drop []store.Hold
	type target struct {
		source string
		status store.Status
	}
	status := map[target][]string{}
	for _, p := range places {
		for _, i := range p.put {
			claims = append(claims, p.claims[i])
		}
		for _, c := range p.statuses {
			to := target{c.Source, c.Status}
			status[to] = append(status[to], c.Ref)
		}
		put = append(put, p.putHolds...)
		drop = append(drop, p.dropHolds...)
		held := map[string][]store.Hold{}
		for _, h := range p.putHolds {
			held[h.Ref] = append(held[h.Ref], h)
		}
		for _, ref := range sortedKeys(held) {
			s.effect.hold(held[ref])
		}
		for i := range p.out {
			if p.changed[i] {
				records = append(records, p.out[i])
				old := p.record(p.out[i].ID)
				s.effect.record(&p.out[i], old, p.drafts[i].coverage.all, s.facts)
			}
		}
	}
	s.changed += len(claims)
	if err := s.tx.PutClaims(ctx, claims); err != nil {
		return err
	}
	for to, refs := range status {
		if err := s.tx.SetClaimStatus(ctx, to.source, refs, to.status); err != nil {
			return err
		}
		s.changed += len(refs)
	}
	if err := s.tx.DropHolds(ctx, drop); err != nil {
		return err
	}
	if err := s.tx.PutHolds(ctx, put); err != nil {
		return err
	}
	return s.tx.PutRecords(ctx, records)
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
