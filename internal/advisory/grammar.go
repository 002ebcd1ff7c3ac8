package advisory

import "strings"

// Grammar is how a format writes which versions are meant: comparisons, joined by "and" and "or".
type Grammar struct {
	Equal, From, Until, Through string // "=", ">=", "<", "<="
	And, Or                     string
	// All is every version.
	All string
}

// Grammars of formats. Each is that of the reader, not of the ecosystem.
var (
	// NPM is that of node-semver (https://github.com/npm/node-semver#ranges).
	NPM = Grammar{"=", ">=", "<", "<=", " ", " || ", "*"}
	// Grype is that of Grype's database, the same for every type of version; everything is no constraint.
	Grype = Grammar{"=", ">=", "<", "<=", ",", " || ", ""}
)

// Terms writes each exact version and each span as one term; a version is affected when one of them holds.
func (g Grammar) Terms(a *Advisory) []string {
	if a.All {
		return []string{g.All}
	}
	out := make([]string, 0, len(a.Versions)+len(a.Spans))
	for _, v := range a.Versions {
		out = append(out, g.Equal+v)
	}
	for _, s := range a.Spans {
		var parts []string
		if s.From != "" {
			parts = append(parts, g.From+s.From)
		}
		switch {
		case s.To != "" && s.Including:
			parts = append(parts, g.Through+s.To)
		case s.To != "":
			parts = append(parts, g.Until+s.To)
		}
		out = append(out, strings.Join(parts, g.And))
	}
	return out
}

// Text writes all terms as one constraint.
func (g Grammar) Text(a *Advisory) string { return strings.Join(g.Terms(a), g.Or) }
