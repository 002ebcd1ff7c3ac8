package advisory

import "slices"

// Merged gives all that a covers as spans, ascending and apart from one another; an exact version is a span from and
// through itself. Versions that the ecosystem cannot order are left out, and so are those that can, which is
// the format's, refuses; a span goes with either of its ends. Nothing is left of an advisory that the format cannot say.
func (a *Advisory) Merged(can func(version string) bool) []Span {
	if a.All {
		return []Span{{}}
	}
	fits := func(v string) bool { return a.Ordered(v) && can(v) }
	all := make([]Span, 0, len(a.Versions)+len(a.Spans))
	for _, v := range a.Versions {
		if fits(v) {
			all = append(all, Span{From: v, To: v, Including: true})
		}
	}
	for _, s := range a.Spans {
		if (s.From == "" || fits(s.From)) && (s.To == "" || fits(s.To)) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(s, t Span) int { return a.compareFrom(s.From, t.From) })
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && a.reaches(merged[n-1], s.From) {
			merged[n-1] = a.longer(merged[n-1], s)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// Outside gives the comparisons that hold for exactly the versions in none of spans, which are as [Advisory.Merged] gives
// them: one text for each run between them, for formats that name what is not affected. A run has one comparison or two, joined by and.
func Outside(spans []Span, spell func(version string) string, and string) []string {
	var out []string
	after := "" // the comparison that begins the run
	for i, s := range spans {
		switch {
		case s.From != "" && after != "":
			out = append(out, after+and+"< "+spell(s.From))
		case s.From != "" && i == 0:
			out = append(out, "< "+spell(s.From))
		}
		switch {
		case s.To == "":
			return out
		case s.Including:
			after = "> " + spell(s.To)
		default:
			after = ">= " + spell(s.To)
		}
	}
	if after != "" {
		out = append(out, after)
	}
	return out
}
