package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// coverage is what the claims of one record say about versions, joined.
type coverage struct {
	versions []string
	ranges   []osv.Range
	// all means every version; versions and ranges are empty then.
	all bool
	// disputed names the origins (or sources) of open ranges that gave way to another claim's versions.
	disputed []string
}

// semverTypes are the ecosystems whose ranges are of type SEMVER
// (https://ossf.github.io/osv-schema/#affectedrangestype-field, and the validator of ossf/malicious-packages).
var semverTypes = []string{"Bitnami", "crates.io", "Go", "Hex", "npm", "SwiftURL"}

func rangeType(eco string) string {
	base, _, _ := strings.Cut(eco, ":")
	if slices.Contains(semverTypes, base) {
		return osv.RangeSemver
	}
	return osv.RangeEcosystem
}

// cover joins what claims say, each by its own meaning:
//
//   - exact versions and ranges with a beginning or an end are joined, because either suffices under OSV;
//   - a claim that says in so many words that every version is malicious covers all;
//   - an open range (from 0, no end) of one claim gives way to exact versions or bounded ranges of
//     another, and is named as disputed: sources write it for want of versions, and it would
//     swallow the clean versions of a package that was taken over. A claim that has both
//     itself means both.
//
// A narrowing, if any, stands for every open range and every "all".
// Versions under which a registry only holds a name are left out, unless nothing else is left.
func cover(eco string, claims []*store.Claim, narrowed []string) coverage {
	var c coverage
	e, _ := ecosystem.Find(eco)
	exact := false
	for _, cl := range claims {
		if !cl.Open() && !cl.All && (len(cl.Versions) > 0 || len(cl.Ranges) > 0) {
			exact = true
		}
	}
	var open []string
	for _, cl := range claims {
		whole := cl.All || cl.Open()
		switch {
		case whole && len(narrowed) > 0:
			continue
		case cl.All, cl.Open() && len(cl.Versions) > 0:
			c.all = true
		case cl.Open():
			open = append(open, finders(cl)...)
			continue
		}
		c.versions = append(c.versions, cl.Versions...)
		c.ranges = append(c.ranges, cl.Ranges...)
	}
	c.versions = append(c.versions, narrowed...)
	switch {
	case c.all:
	case len(open) > 0 && !exact && len(c.versions) == 0:
		c.all = true
	case len(open) > 0:
		slices.Sort(open)
		c.disputed = slices.Compact(open)
	}
	if c.all {
		c.versions, c.ranges = nil, nil
		return c
	}
	c.versions = distinct(e, c.versions)
	c.ranges = distinctRanges(c.ranges)
	return c
}

// finders names who found it, or, where the claim does not say, through which source it came.
func finders(c *store.Claim) []string {
	if len(c.Origins) > 0 {
		return c.Origins
	}
	return []string{c.Source}
}

// distinct sorts versions, drops those that the ecosystem holds for equal (keeping the
// spelling that sorts first) and holding versions beside real ones.
func distinct(e *ecosystem.Ecosystem, versions []string) []string {
	slices.Sort(versions)
	versions = slices.Compact(versions)
	if e == nil {
		return versions
	}
	slices.SortStableFunc(versions, func(a, b string) int {
		va, vb := e.ValidVersion(a), e.ValidVersion(b)
		switch {
		case va && vb:
			if c := e.Compare(a, b); c != 0 {
				return c
			}
			return strings.Compare(a, b)
		case va:
			return -1
		case vb:
			return 1
		}
		return strings.Compare(a, b)
	})
	versions = slices.CompactFunc(versions, e.EqualVersion)
	if real := slices.DeleteFunc(slices.Clone(versions), e.HoldingVersion); len(real) > 0 {
		versions = real
	}
	return versions
}

func distinctRanges(in []osv.Range) []osv.Range {
	slices.SortFunc(in, func(a, b osv.Range) int { return strings.Compare(rangeText(a), rangeText(b)) })
	return slices.CompactFunc(in, func(a, b osv.Range) bool { return rangeText(a) == rangeText(b) })
}

// rangeText spells what a range means, for order and equality.
func rangeText(g osv.Range) string {
	var b strings.Builder
	b.WriteString(g.Type)
	b.WriteByte(' ')
	b.WriteString(g.Repo)
	for _, e := range g.Events {
		b.WriteByte(0)
		b.WriteString(e.Introduced)
		b.WriteByte(1)
		b.WriteString(e.Fixed)
		b.WriteByte(1)
		b.WriteString(e.LastAffected)
		b.WriteByte(1)
		b.WriteString(e.Limit)
	}
	return b.String()
}

// exactRanges gives for each version the range that holds it and nothing else, for readers that look at ranges
// alone (govulncheck): up to the next version there can be, which is the version with ".0" added where it
// is a pre-release, else the lowest pre-release of the next patch (https://semver.org/#spec-item-11).
func exactRanges(versions []string) []osv.Range {
	var out []osv.Range
	for _, v := range versions {
		v = strings.TrimPrefix(v, "v")
		core, _, _ := strings.Cut(v, "+")
		next := core + ".0"
		if !strings.Contains(core, "-") {
			i := strings.LastIndexByte(core, '.')
			patch, err := strconv.ParseUint(core[i+1:], 10, 64)
			if err != nil || strings.Count(core, ".") != 2 {
				continue
			}
			next = fmt.Sprintf("%s%d-0", core[:i+1], patch+1)
		}
		out = append(out, osv.Range{Type: osv.RangeSemver, Events: []osv.Event{{Introduced: core}, {Fixed: next}}})
	}
	return out
}
