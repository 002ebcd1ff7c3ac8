package list

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// versionSet is what cells say about versions.
type versionSet struct {
	exact  []string
	ranges []osv.Range
	all    bool
	// stated is false when the cells say nothing: empty, "-", "n/a", "unknown".
	stated bool
	// bad are the parts that were not understood, doubts those that were, with a doubt.
	bad, doubts []string
	// unordered counts those of bad that are ranges of an ecosystem whose order nobody knows here.
	unordered int
}

// onlyUnordered reports whether nothing but the order of versions was missing.
func (s *versionSet) onlyUnordered() bool { return s.unordered == len(s.bad) }

// Words for a whole cell, in lower case.
var (
	noVersion = map[string]bool{
		"": true, "-": true, "--": true, "–": true, "—": true, "n/a": true, "na": true, "n.a.": true, "none": true, "null": true, "nil": true,
		"?": true, "unknown": true, "unspecified": true, "not specified": true, "not stated": true, "tbd": true, "tba": true, "pending": true,
		"not available": true, "[]": true, "\"\"": true,
	}
	everyVersion = map[string]bool{
		"*": true, "all": true, "all versions": true, "any": true, "any version": true, "every version": true, "all releases": true,
		"every": true, "all version": true, "all published versions": true, "all known versions": true, "all of them": true, "(all)": true,
		"(all versions)": true, "every release": true, "entire package": true, "whole package": true,
	}
)

// interval is Maven's and NuGet's notation with one open bracket or a missing bound;
// "[1.0, 1.1]" may as well be a list.
var interval = regexp.MustCompile(`^([\[(])\s*([^\s,\[\]()]*)\s*,\s*([^\s,\[\]()]*)\s*([\])])$`)

// semverRanges are the ecosystems whose ranges are of type SEMVER
// (https://ossf.github.io/osv-schema/#affectedrangestype-field).
var semverRanges = []string{"crates.io", "Go", "Hex", "npm", "SwiftURL"}

// bareVersions are the ecosystems that publish no version with a "v" before it.
var bareVersions = []string{"npm", "PyPI", "RubyGems", "NuGet", "crates.io", "Hex", "Pub"}

// parseVersions reads the cells about the versions of a package of an ecosystem;
// eco may be "" or unknown, which allows no ranges.
func parseVersions(cells []string, eco string) versionSet {
	e, _ := ecosystem.Find(eco)
	p := versionParser{e: e, eco: eco}
	for _, cell := range cells {
		cell = strings.TrimSpace(cell)
		low := strings.ToLower(cell)
		switch {
		case len(low) < 40 && noVersion[low]:
		case len(low) < 40 && everyVersion[low]:
			p.set.all, p.set.stated = true, true
		default:
			p.set.stated = true
			p.cell(cell)
		}
	}
	return p.set
}

type versionParser struct {
	e   *ecosystem.Ecosystem
	eco string
	set versionSet
	// lower is a beginning that waits for its end.
	lower string
}

// token is one piece of a cell.
type token struct {
	kind byte // 'o' operator, 'v' version or word, ',' comma, '|' a separator that ends a range
	text string
}

// tokens takes a cell apart. Quotes, brackets and parentheses only surround.
func tokens(s string) []token {
	var out []token
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case strings.IndexByte(" \t\r\v\f\"'`[](){}", c) >= 0:
			i++
		case c == ',':
			out = append(out, token{',', ","})
			i++
		case c == ';' || c == '|' || c == '\n' || c == '&':
			out = append(out, token{'|', string(c)})
			i++
		case strings.IndexByte("<>=~^", c) >= 0 || c == '!' && i+1 < len(s) && s[i+1] == '=':
			j := i + 1
			for j < len(s) && strings.IndexByte("<>=~", s[j]) >= 0 {
				j++
			}
			out = append(out, token{'o', s[i:j]})
			i = j
		default:
			j := i + strings.IndexAny(s[i:], " \t\r\v\f\n\"'`[](){},;|&<>=")
			if j < i {
				j = len(s)
			}
			text := s[i:j]
			// Spreadsheets and text processors make long dashes: "1.0–1.2".
			if a, b, ok := cutDash(text); ok {
				out = append(out, token{'v', a}, token{'v', "–"}, token{'v', b})
			} else {
				out = append(out, token{'v', text})
			}
			i = j
		}
	}
	return out
}

func cutDash(s string) (a, b string, ok bool) {
	for _, dash := range [...]string{"–", "—", "…"} {
		if a, b, ok = strings.Cut(s, dash); ok && a != "" && b != "" {
			return a, b, true
		}
	}
	return "", "", false
}

func (p *versionParser) cell(s string) {
	if m := interval.FindStringSubmatch(s); m != nil && (m[2] == "" || m[3] == "" || (m[1] == "[") != (m[4] == "]")) {
		p.interval(m[1], m[2], m[3], m[4])
		return
	}
	ts := tokens(s)
	last := "" // the exact version just read, which "to" or "and earlier" may turn into a bound
	for i := 0; i < len(ts); i++ {
		t := ts[i]
		next := func(n int) string {
			if i+n < len(ts) {
				return strings.ToLower(ts[i+n].text)
			}
			return ""
		}
		switch t.kind {
		case ',':
			last = ""
			continue
		case '|':
			p.flush()
			last = ""
			continue
		case 'o':
			if i+1 >= len(ts) || ts[i+1].kind != 'v' {
				p.set.bad = append(p.set.bad, t.text)
				continue
			}
			i++
			last = p.bound(t.text, ts[i].text)
			continue
		}
		word := strings.ToLower(t.text)
		switch word {
		case "version", "versions", "version:", "versions:", "version(s)", "ver", "ver.", "v", "v.", "release", "releases", "and", "or", "s", "plus":
			if word == "and" || word == "or" {
				if kind := next(1); last != "" && (kind == "earlier" || kind == "below" || kind == "lower" || kind == "prior" || kind == "older") {
					p.retake(last)
					p.add("0", "", last)
					last = ""
					i++
				} else if last != "" && (kind == "later" || kind == "above" || kind == "higher" || kind == "newer" || kind == "up") {
					p.retake(last)
					p.add(last, "", "")
					last = ""
					i++
				}
			}
			continue
		case "-", "–", "—", "…", "..", "...", "to", "through", "thru":
			if last != "" && i+1 < len(ts) && ts[i+1].kind == 'v' && p.plausible(ts[i+1].text) {
				p.retake(last)
				i++
				p.add(last, "", p.exactly(ts[i].text))
				last = ""
				continue
			}
		case "before", "below", "since", "from":
			if i+1 < len(ts) && ts[i+1].kind == 'v' {
				op := "<"
				switch {
				case word == "since":
					op = ">="
				case word == "from" && next(2) != "to" && next(2) != "through" && next(2) != "-":
					op = ">="
				case word == "from": // "from A to B": the range is made at "to"
					continue
				}
				i++
				last = p.bound(op, ts[i].text)
				continue
			}
		case "up":
			if next(1) == "to" && i+2 < len(ts) && ts[i+2].kind == 'v' {
				i += 2
				last = p.bound("<=", ts[i].text)
				continue
			}
		}
		last = p.bound("=", t.text)
	}
	p.flush()
}

func (p *versionParser) interval(open, lo, hi, shut string) {
	switch {
	case lo == "" && hi == "", open == "(" && lo != "":
		p.set.bad = append(p.set.bad, open+lo+","+hi+shut)
	case hi == "":
		p.add(lo, "", "")
	case shut == ")":
		p.add(lo, hi, "")
	default:
		p.add(lo, "", hi)
	}
}

// bound reads an operator and a version; it gives the version back when it is an exact one.
func (p *versionParser) bound(op, v string) string {
	if !p.plausible(v) {
		p.set.bad = append(p.set.bad, strings.TrimPrefix(op, "=")+v)
		return ""
	}
	switch op {
	case "=", "==", "===":
		p.flush()
		v = p.exactly(v)
		p.set.exact = append(p.set.exact, v)
		if a, b, ok := strings.Cut(v, "-"); ok && strongVersion(a) && strings.Contains(b, ".") && strongVersion(b) {
			p.set.doubts = append(p.set.doubts, "taken as one version, not a range: "+v)
		}
		return v
	case ">=", "=>":
		p.flush()
		p.lower = p.exactly(v)
	case "<", "<=", "=<":
		lo := p.lower
		p.lower = ""
		if op == "<" {
			p.add(lo, p.exactly(v), "")
		} else {
			p.add(lo, "", p.exactly(v))
		}
	default:
		// OSV has no event for "after this version", and what ^ and ~ mean is each package manager's own.
		p.flush()
		p.set.bad = append(p.set.bad, op+v)
	}
	return ""
}

// flush ends a range that has no end.
func (p *versionParser) flush() {
	if p.lower != "" {
		lo := p.lower
		p.lower = ""
		p.add(lo, "", "")
	}
}

// retake takes back the exact version that turned out to be a bound.
func (p *versionParser) retake(v string) {
	if n := len(p.set.exact); n > 0 && p.set.exact[n-1] == v {
		p.set.exact = p.set.exact[:n-1]
	}
}

// add adds a range, if the ecosystem can order its ends. lo "" is the beginning.
func (p *versionParser) add(lo, fixed, last string) {
	if lo == "" {
		lo = "0"
	}
	hi := fixed + last
	shown := ">=" + lo
	if fixed != "" {
		shown += " <" + fixed
	} else if last != "" {
		shown += " <=" + last
	}
	typ := osv.RangeEcosystem
	if slices.Contains(semverRanges, p.eco) {
		typ = osv.RangeSemver
		lo, fixed, last, hi = unV(lo), unV(fixed), unV(last), unV(hi)
	}
	switch {
	case p.e == nil:
		p.set.bad = append(p.set.bad, shown+" (no order of versions is known)")
		p.set.unordered++
		return
	case lo != "0" && !p.e.ValidVersion(lo), hi != "" && !p.e.ValidVersion(hi):
		p.set.bad = append(p.set.bad, shown)
		return
	case hi != "" && lo != "0" && (p.e.Compare(lo, hi) > 0 || fixed != "" && p.e.Compare(lo, hi) == 0):
		p.set.bad = append(p.set.bad, shown+" (it ends before it begins)")
		return
	case zero(lo):
		lo = "0"
	}
	events := []osv.Event{{Introduced: lo}}
	if fixed != "" {
		events = append(events, osv.Event{Fixed: fixed})
	} else if last != "" {
		events = append(events, osv.Event{LastAffected: last})
	}
	p.set.ranges = append(p.set.ranges, osv.Range{Type: typ, Events: events})
}

// zero reports whether v is 0, 0.0, 0.0.0, ….
func zero(v string) bool { return strings.Trim(v, "0.") == "" && strings.HasPrefix(v, "0") }

// unV takes a "v" off: versions of SEMVER ranges have none (same page of the schema).
func unV(v string) string {
	if len(v) > 1 && (v[0] == 'v' || v[0] == 'V') && v[1] >= '0' && v[1] <= '9' {
		return v[1:]
	}
	return v
}

// exactly is the spelling of a version that is kept.
func (p *versionParser) exactly(v string) string {
	if slices.Contains(bareVersions, p.eco) {
		return unV(v)
	}
	return v
}

// plausible reports whether v can be a version: it begins with a digit (after "v"),
// or the ecosystem's own grammar takes it and it has a digit somewhere (branches
// like "dev-2.x"). What has a wildcard is a pattern, not a version.
func (p *versionParser) plausible(v string) bool {
	if len(v) > 256 || v == "" {
		return false
	}
	for i := range len(v) {
		if !alphanumeric(v[i]) && strings.IndexByte(".-+_~!:/", v[i]) < 0 {
			return false
		}
	}
	low := strings.ToLower(v)
	if strings.HasSuffix(low, ".x") && p.eco != "Packagist" || strings.Contains(low, ".x.") {
		return false
	}
	d := unV(v)
	if d[0] >= '0' && d[0] <= '9' {
		return !strings.ContainsAny(v, "/:") || p.e != nil && p.e.ValidVersion(v)
	}
	// Every text is a version in Maven, so its grammar proves nothing.
	return p.e != nil && p.eco != "Maven" && p.e.ValidVersion(v) && strings.ContainsAny(v, "0123456789")
}

// strongVersion reports whether s is a version and nothing else, in any ecosystem:
// numbers with a dot, or one number; then anything a version may end in. A name such as
// "02-echo" or "7zip" is none.
func strongVersion(s string) bool {
	s = unV(strings.TrimLeft(s, "="))
	i, dots := 0, 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' && i > 0 && s[i-1] != '.') {
		if s[i] == '.' {
			dots++
		}
		i++
	}
	if i == 0 || len(s) > 256 || i < len(s) && dots == 0 || s[i-1] == '.' {
		return false
	}
	for ; i < len(s); i++ {
		if !alphanumeric(s[i]) && strings.IndexByte(".-+_~!", s[i]) < 0 {
			return false
		}
	}
	return true
}
