package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// Guards, by the names under which they hold a claim.
const (
	GuardPURL       = "purl-disagrees"       // the purl names another package
	GuardScope      = "lost-scope"           // the document speaks of @scope/name, the claim of name
	GuardListing    = "version-never-listed" // the registry never had the version
	GuardPopularAll = "popular-all-versions" // every version of a popular package
	GuardPopularOne = "popular-one-origin"   // versions of a popular package, and only one origin says so
	GuardOwnAll     = "own-all-versions"     // every version of a package that the user has
	GuardLookalike  = "name-normalises"      // the name reads like another, known good one
	GuardIDReused   = "id-reused"            // the id is another package's
	GuardMoved      = "reference-moved"      // the source's reference was about another package before
	GuardCopy       = "withdrawn-repeated"   // the record was withdrawn, and the claim only repeats it
	GuardDecided    = "decided-withdrawn"    // a named decision withdrew or disputed the record
	GuardUnfit      = "unpublishable"        // no release may have the record that it makes
	GuardHolding    = "holding-version"      // only versions under which the registry holds the name
	GuardArchive    = "archive-of-another"   // a digest of an archive that another package has
)

// Objection is why a guard holds a claim.
type Objection struct{ Guard, Reason string }

// Scene is what a guard may look at beside the claim.
type Scene struct {
	Facts *Facts
	// Others are all claims about the package, the one in question too, whatever their status.
	Others []*store.Claim
	// Records are the package's records, without those that another one took over.
	Records []store.Record
	// Decisions are those about the package.
	Decisions []store.Decision
	// Owner gives the package that an id belongs to already, if another than the claim's.
	Owner func(id string) (rapsheet.Key, bool)
	// Archives are the digests of archives that the package's own records in force have; OnRecord those of all records
	// in force, and Claimed those of the statements that come with the claim.
	Archives          []string
	OnRecord, Claimed archiveOwners
}

// Guard gives every objection to a claim that is new or changed. It is pure. A claim that takes
// something back passes: it can accuse nobody.
func Guard(c *store.Claim, s Scene) []Objection {
	if !c.Withdrawn.IsZero() {
		return nil
	}
	var out []Objection
	object := func(guard, format string, args ...any) {
		out = append(out, Objection{guard, fmt.Sprintf(format, args...)})
	}
	e, known := ecosystem.Find(c.Ecosystem)
	if c.PURL != "" && known {
		if p, _, err := ecosystem.ParsePURL(c.PURL); err != nil {
			object(GuardPURL, "the purl %q cannot be read: %v", c.PURL, err)
		} else if k, ok := ecosystem.KeyOf(p); !ok || k != c.Key {
			object(GuardPURL, "the purl %q is about %s of %s, the claim about %s", c.PURL, p.Name, p.Ecosystem, c.Name)
		}
	}
	if c.Hint != "" {
		object(GuardScope, "the claim is about %s, but its document speaks of %s", c.Name, c.Hint)
	}
	if listed := s.Facts.listing[c.Key]; len(listed) > 0 && known {
		if never := neverListed(e, c.Versions, listed); len(never) > 0 {
			object(GuardListing, "the registry never had %s", shortList(never))
		}
	}
	whole := c.All || c.Open()
	rank := s.Facts.rank[c.Key]
	switch {
	case rank == 0:
	case whole:
		object(GuardPopularAll, "every version of %s, number %d in the list of popular packages of %s", c.Name, rank, c.Key.Ecosystem)
	case len(c.Versions)+len(c.Ranges) > 0:
		if lone := oneOrigin(e, c, s.Others); lone != "" {
			object(GuardPopularOne, "only %s says so of %s, and %s is number %d in the list of popular packages of %s: a second independent origin releases it",
				strings.Join(finders(c), ", "), lone, c.Name, rank, c.Key.Ecosystem)
		}
	}
	if n := s.Facts.inventory[c.Key]; n > 0 && whole {
		object(GuardOwnAll, "every version of %s, which you have (in %d of your inventories)", c.Name, n)
	}
	if good := s.Facts.folded[rapsheet.Key{Ecosystem: c.Key.Ecosystem, Name: fold(c.Key.Name)}]; good != "" && good != c.Key.Name && rank == 0 {
		object(GuardLookalike, "%q reads like %q, which is a package you know or a popular one", c.Name, good)
	}
	if assigned(c.ID) {
		if other, taken := s.Owner(c.ID); taken {
			object(GuardIDReused, "%s is the id of a record about %s of %s", c.ID, other.Name, other.Ecosystem)
		}
	}
	if reason := repeats(c, s); reason.Guard != "" {
		out = append(out, reason)
	}
	if o := anothersArchive(c, s); o.Guard != "" {
		out = append(out, o)
	}
	if known && len(c.Versions) > 0 && len(c.Ranges) == 0 && !c.All && !slices.ContainsFunc(c.Versions, func(v string) bool { return !e.HoldingVersion(v) }) {
		object(GuardHolding, "%s is only how the registry holds the name of a removed package", shortList(c.Versions))
	}
	return out
}

// neverListed gives the versions that a registry's listing does not have.
func neverListed(e *ecosystem.Ecosystem, versions, listed []string) []string {
	var out []string
	for _, v := range versions {
		if !slices.ContainsFunc(listed, func(l string) bool { return e.EqualVersion(v, l) }) {
			out = append(out, v)
		}
	}
	return out
}

// oneOrigin gives the versions or ranges of a claim that fewer than two origins call malicious, in
// words; "" when there are none. Origins of claims that are held count: each needs the other.
func oneOrigin(e *ecosystem.Ecosystem, c *store.Claim, others []*store.Claim) string {
	counts := func(o *store.Claim) bool {
		return o.Status != store.Rejected && !past(o.Status) && o.Withdrawn.IsZero()
	}
	var lone []string
	for _, v := range c.Versions {
		by := map[string]bool{}
		for _, o := range others {
			if counts(o) && slices.ContainsFunc(o.Versions, func(w string) bool { return v == w || e != nil && e.EqualVersion(v, w) }) {
				for _, name := range o.Origins {
					by[name] = true
				}
			}
		}
		if len(by) < 2 {
			lone = append(lone, v)
		}
	}
	for _, g := range c.Ranges {
		by := map[string]bool{}
		for _, o := range others {
			if counts(o) && slices.ContainsFunc(o.Ranges, func(h osv.Range) bool { return rangeText(g) == rangeText(h) }) {
				for _, name := range o.Origins {
					by[name] = true
				}
			}
		}
		if len(by) < 2 {
			lone = append(lone, "a range of versions")
		}
	}
	return shortList(lone)
}

// repeats objects to a claim about a record that was taken back: always after a named decision, else
// when the claim comes through another source from no other origin than the claims that were
// withdrawn. A source may take back its own withdrawal.
func repeats(c *store.Claim, s Scene) Objection {
	for _, r := range s.Records {
		if d := latest(s.Decisions, r.ID, "withdraw", "dispute", "restore"); d != nil && d.Kind != "restore" && r.State != store.Active {
			if strings.HasPrefix(d.Reason, "superseded") {
				continue
			}
			return Objection{GuardDecided, fmt.Sprintf("%s was put to %q by %s: %s", r.ID, d.Kind, d.Actor, d.Reason)}
		}
	}
	var back []*store.Claim
	for _, o := range s.Others {
		if o.Status == store.Standing && !o.Withdrawn.IsZero() && o.Source != c.Source {
			back = append(back, o)
		}
	}
	withdrawn := slices.ContainsFunc(s.Records, func(r store.Record) bool { return r.State == store.Withdrawn })
	if withdrawn && len(back) > 0 && !independent([]*store.Claim{c}, back) {
		return Objection{GuardCopy, fmt.Sprintf("the record was withdrawn by %s, and this repeats the same origin (%s)", sources(back), strings.Join(finders(c), ", "))}
	}
	return Objection{}
}

// shortList joins at most five words.
func shortList(words []string) string {
	if len(words) > 5 {
		return strings.Join(words[:5], ", ") + fmt.Sprintf(" and %d more", len(words)-5)
	}
	return strings.Join(words, ", ")
}
