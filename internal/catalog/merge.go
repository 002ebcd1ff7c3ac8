package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// Material is all that is known about one package.
type Material struct {
	Key       rapsheet.Key
	Claims    []store.Claim
	Decisions []store.Decision
	// Records are what the package has already; only their ids matter to Merge.
	Records []store.Record
	// Taken, if not nil, reports whether an id is another package's: it names no record here and stays an alias.
	Taken func(id string) bool
}

func (m *Material) taken(id string) bool { return m.Taken != nil && m.Taken(id) }

// Draft is a record in the making: which claims it rests on and what state they put it in.
// An empty ID asks for one of the catalog's own.
type Draft struct {
	ID  string
	Key rapsheet.Key
	// Claims are those that the record's content is rendered from, in a fixed order.
	Claims []*store.Claim
	State  store.State
	// Since and Reason explain a state other than active; a zero Since is "now".
	Since  time.Time
	Reason string
	// SupersededBy is the id of the record that took over. Without Claims the old record's content stays.
	SupersededBy string
	Aliases      []string
	coverage     coverage
	narrowed     *store.Decision
}

// Merge makes the records of one package from its claims and the decisions about it.
//
// It is pure, and does not depend on the order of claims or records, nor on the same statement
// coming twice through one source. Every claim that stands, and every one that its source took
// back, is in one draft; claims that are held or rejected are in none.
//
// Claims belong to one record when they share an id, an alias or the id of their origin. Claims
// that no MAL id is tied to belong to the record with the best one, or, where there is none,
// together to a record that keeps the unassigned id it has, or gets one of the catalog's own.
//
// Every id of the public list under which a source publishes the package gets a record, whichever source came first:
// the best one is that of the claims together, the others are superseded by it and say what the claims under them
// say. The other reading, under which an id that came second is an alias and nothing else, would lose the record whose
// source came late. A record whose id no claim carries any more is superseded, or disputed when nothing took over.
func Merge(m Material) []Draft {
	var used []*store.Claim
	for i := range m.Claims {
		if c := &m.Claims[i]; c.Status == store.Standing || c.Status == store.Gone {
			used = append(used, c)
		}
	}
	slices.SortFunc(used, func(a, b *store.Claim) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Ref, b.Ref))
	})
	groups := group(used, m.taken)
	var drafts, over []Draft
	by := map[string]string{} // id or alias → the id of its record
	for _, g := range groups {
		d := Draft{ID: g.id, Key: m.Key, Claims: g.claims}
		if d.ID == "" {
			d.ID = unassignedID(&m, g.claims)
		}
		d.Aliases = g.aliases(d.ID)
		d.narrowed = latest(m.Decisions, "", "narrow")
		d.state(m.Decisions)
		drafts = append(drafts, d)
		over = append(over, g.superseded(&d, m.taken)...)
	}
	for _, d := range drafts {
		for _, a := range d.Aliases {
			by[a] = d.ID
		}
	}
	for _, d := range slices.Concat(drafts, over) {
		by[d.ID] = d.ID
	}
	left := leftBehind(m, drafts, by)
	return slices.Concat(drafts, over, left)
}

// superseded gives a draft for every id of the group's claims that d, the group's record, does not bear.
func (g *claimGroup) superseded(d *Draft, taken func(string) bool) []Draft {
	under := map[string][]*store.Claim{}
	for _, c := range g.claims {
		if named(c.ID) && c.ID != d.ID && !taken(c.ID) {
			under[c.ID] = append(under[c.ID], c)
		}
	}
	var out []Draft
	for _, id := range sortedKeys(under) {
		x := Draft{ID: id, Key: d.Key, Claims: under[id], SupersededBy: d.ID, Aliases: g.aliases(id), narrowed: d.narrowed}
		x.State, x.Reason = store.Withdrawn, "superseded by "+d.ID
		x.coverage = cover(d.Key.Ecosystem, x.Claims, d.narrowing())
		out = append(out, x)
	}
	return out
}

// leftBehind gives a draft for every record whose id no claim carries any more, and tells the
// drafts that took over of the old id.
func leftBehind(m Material, drafts []Draft, by map[string]string) []Draft {
	var out []Draft
	ids := make([]string, 0, len(m.Records))
	for _, r := range m.Records {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	for _, id := range ids {
		now, known := by[id]
		if now == id && known {
			continue
		}
		d := Draft{ID: id, Key: m.Key}
		switch {
		case known:
			d.SupersededBy = now
		case !assigned(id) && len(drafts) > 0:
			d.SupersededBy = drafts[0].ID
			drafts[0].Aliases = insert(drafts[0].Aliases, id)
		}
		if d.SupersededBy != "" {
			d.State, d.Reason = store.Withdrawn, "superseded by "+d.SupersededBy
		} else {
			d.State, d.Reason = store.Disputed, "no source states it any more"
		}
		out = append(out, d)
	}
	return out
}

func insert(sorted []string, s string) []string {
	if i, found := slices.BinarySearch(sorted, s); !found {
		sorted = slices.Insert(slices.Clone(sorted), i, s)
	}
	return sorted
}

// claimGroup is the claims of one record.
type claimGroup struct {
	id     string // the best id of the public list, "" for none
	names  map[string]bool
	claims []*store.Claim
}

// aliases are the group's other ids.
func (g *claimGroup) aliases(id string) []string {
	var out []string
	for n := range g.names {
		if n != id {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// names are the ids by which a claim is tied to others.
func claimNames(c *store.Claim) []string {
	out := make([]string, 0, 2+len(c.Aliases))
	out = append(out, c.Aliases...)
	if c.ID != "" {
		out = append(out, c.ID)
	}
	if strings.HasPrefix(c.OriginID, "GHSA-") || strings.HasPrefix(c.OriginID, "MAL-") {
		out = append(out, c.OriginID)
	}
	return out
}

// group ties claims together by their ids. The group with the best id comes first and has
// taken in the claims without an assigned one.
func group(claims []*store.Claim, taken func(id string) bool) []*claimGroup {
	var groups []*claimGroup
	var loose []*store.Claim
	for _, c := range claims {
		names := claimNames(c)
		if !slices.ContainsFunc(names, assigned) {
			loose = append(loose, c)
			continue
		}
		into := &claimGroup{names: map[string]bool{}}
		// Everything that shares a name with the claim becomes one group.
		rest := groups[:0]
		for _, g := range groups {
			if slices.ContainsFunc(names, func(n string) bool { return assigned(n) && g.names[n] }) {
				for n := range g.names {
					into.names[n] = true
				}
				into.claims = append(into.claims, g.claims...)
			} else {
				rest = append(rest, g)
			}
		}
		for _, n := range names {
			into.names[n] = true
		}
		into.claims = append(into.claims, c)
		groups = append(rest, into)
	}
	for _, g := range groups {
		// The id is one under which a source publishes a record about this package; an alias
		// alone may be an id that nobody here has a record of. Ids of other databases stay
		// aliases: clients tell a malicious package by "MAL-".
		for _, c := range g.claims {
			if named(c.ID) && !taken(c.ID) && (g.id == "" || compareIDs(c.ID, g.id) < 0) {
				g.id = c.ID
			}
		}
	}
	slices.SortFunc(groups, func(a, b *claimGroup) int {
		if (a.id == "") != (b.id == "") {
			return cmp.Compare(len(b.id), len(a.id))
		}
		return cmp.Or(compareIDs(a.id, b.id), strings.Compare(a.aliasText(), b.aliasText()))
	})
	// Groups that only have aliases, and claims that have nothing, go with the first.
	var first *claimGroup
	kept := groups[:0]
	for _, g := range groups {
		switch {
		case first == nil:
			first = g
			kept = append(kept, g)
		case g.id == "":
			first.claims = append(first.claims, g.claims...)
			for n := range g.names {
				first.names[n] = true
			}
		default:
			kept = append(kept, g)
		}
	}
	if first == nil && len(loose) > 0 {
		first = &claimGroup{names: map[string]bool{}}
		kept = append(kept, first)
	}
	for _, c := range loose {
		first.claims = append(first.claims, c)
		for _, n := range claimNames(c) {
			first.names[n] = true
		}
	}
	for _, g := range kept {
		slices.SortFunc(g.claims, func(a, b *store.Claim) int {
			return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Ref, b.Ref))
		})
	}
	return kept
}

func (g *claimGroup) aliasText() string { return strings.Join(g.aliases(""), " ") }

// unassignedID gives the id of a group that no database has named: the one that was given before,
// else a draft id of the source, else none.
func unassignedID(m *Material, claims []*store.Claim) string {
	id := ""
	for _, r := range m.Records {
		if !assigned(r.ID) && (id == "" || r.ID < id) && r.State != store.Withdrawn {
			id = r.ID
		}
	}
	if id == "" {
		for _, r := range m.Records {
			if !assigned(r.ID) && (id == "" || r.ID < id) {
				id = r.ID
			}
		}
	}
	if id != "" {
		return id
	}
	for _, c := range claims {
		if c.ID != "" && !assigned(c.ID) && !m.taken(c.ID) && (id == "" || c.ID < id) {
			id = c.ID
		}
	}
	return id
}

// latest gives the last decision about a record among kinds; an id of "" is any decision of the package.
func latest(decisions []store.Decision, id string, kinds ...string) *store.Decision {
	var out *store.Decision
	for i := range decisions {
		d := &decisions[i]
		if slices.Contains(kinds, d.Kind) && (id == "" || d.ID == id) && (out == nil || d.Seq > out.Seq) {
			out = d
		}
	}
	return out
}

// state decides what state the draft is in and which of its claims its content comes from.
//
// A named decision wins. Else the record is in force while a claim stands that is independent of
// every claim that was taken back; a claim that only repeats the origins of a withdrawn one
// makes it disputed. With nothing standing it is withdrawn when a source withdrew it in so
// many words, and disputed when its sources merely dropped it.
func (d *Draft) state(decisions []store.Decision) {
	var standing, withdrawn, gone []*store.Claim
	for _, c := range d.Claims {
		switch {
		case c.Status == store.Gone:
			gone = append(gone, c)
		case !c.Withdrawn.IsZero():
			withdrawn = append(withdrawn, c)
		default:
			standing = append(standing, c)
		}
	}
	content := standing
	switch {
	case len(standing) > 0 && (len(withdrawn) == 0 || independent(standing, withdrawn)):
		d.State = store.Active
	case len(standing) > 0:
		d.State = store.Disputed
		d.Reason = "withdrawn by " + sources(withdrawn) + "; what still stands repeats the same origin"
		d.Since = lastWithdrawn(withdrawn)
	case len(withdrawn) > 0:
		content = withdrawn
		d.State = store.Withdrawn
		d.Reason = "withdrawn by " + sources(withdrawn)
		d.Since = lastWithdrawn(withdrawn)
	default:
		content = gone
		d.State = store.Disputed
		d.Reason = "dropped by " + sources(gone)
	}
	d.Claims = content
	if len(standing) == 0 && len(withdrawn) > 0 && len(gone) > 0 {
		d.Claims = append(slices.Clone(withdrawn), gone...)
	}
	ids := append([]string{d.ID}, d.Aliases...)
	var last *store.Decision
	for _, id := range ids {
		if id == "" {
			continue
		}
		if x := latest(decisions, id, "withdraw", "dispute", "restore"); x != nil && (last == nil || x.Seq > last.Seq) {
			last = x
		}
	}
	if last != nil {
		d.Since, d.Reason = last.Time, last.Reason
		switch last.Kind {
		case "withdraw":
			d.State = store.Withdrawn
		case "dispute":
			d.State = store.Disputed
		case "restore":
			d.State, d.Since, d.Reason = store.Active, time.Time{}, ""
		}
	}
	d.coverage = cover(d.Key.Ecosystem, d.Claims, d.narrowing())
}

// narrowing gives the versions that a decision put in place of "every version".
func (d *Draft) narrowing() []string {
	if d.narrowed == nil {
		return nil
	}
	return d.narrowed.Versions
}

// independent reports whether one of the claims has an origin that none of the others has.
func independent(claims, of []*store.Claim) bool {
	known := origins(of)
	for o := range origins(claims) {
		if !known[o] {
			return true
		}
	}
	return false
}

// origins gives who found what the claims say. A claim that says nothing of versions, because it carries
// what belongs to the record as a whole or because curators took its versions away, finds nothing.
func origins(claims []*store.Claim) map[string]bool {
	out := map[string]bool{}
	for _, c := range claims {
		if len(c.Versions)+len(c.Ranges) == 0 && !c.All {
			continue
		}
		for _, o := range c.Origins {
			out[o] = true
		}
	}
	return out
}

func sources(claims []*store.Claim) string {
	var out []string
	for _, c := range claims {
		out = append(out, c.Source)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

func lastWithdrawn(claims []*store.Claim) time.Time {
	var t time.Time
	for _, c := range claims {
		if c.Withdrawn.After(t) {
			t = c.Withdrawn
		}
	}
	return t
}
