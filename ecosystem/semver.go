package ecosystem

import "strings"

// release is a version of the SemVer family taken apart; its strings point into the version.
type release struct {
	numbers [4]string
	pre     string
	build   string
}

// numberRule says which spellings of a number are allowed.
type numberRule bool

const (
	noLeadingZeros numberRule = false
	leadingZeros   numberRule = true
)

// parseRelease reads 1 to maxNumbers dot-separated numbers, "-" and a
// pre-release, "+" and build metadata (https://semver.org/spec/v2.0.0.html,
// items 2, 9 and 10). Fewer than three numbers are not SemVer, and every tool of
// the family takes them somewhere: OSV itself writes "0" for the beginning, Go
// tags are "v1.2", actions are "v4". The missing ones count as 0.
func parseRelease(v string, maxNumbers int, rule numberRule) (r release, ok bool) {
	v, r.build, ok = strings.Cut(v, "+")
	if ok && !identifiers(r.build, leadingZeros) {
		return r, false
	}
	v, r.pre, ok = strings.Cut(v, "-")
	if ok && !identifiers(r.pre, rule) {
		return r, false
	}
	for i := 0; i < maxNumbers; i++ {
		r.numbers[i], v, ok = strings.Cut(v, ".")
		if !number(r.numbers[i], rule) {
			return r, false
		}
		if !ok {
			return r, true
		}
	}
	return r, false
}

// identifiers reports whether s is dot-separated identifiers of SemVer's items 9 and 10.
func identifiers(s string, rule numberRule) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" {
			return false
		}
		for i := 0; i < len(id); i++ {
			if !isAlnum(id[i]) && id[i] != '-' {
				return false
			}
		}
		if digits(id) && !number(id, rule) {
			return false
		}
	}
	return true
}

// number reports whether s is a decimal number under rule.
func number(s string, rule numberRule) bool {
	return digits(s) && (rule == leadingZeros || len(s) == 1 || s[0] != '0')
}

// digits reports whether s is one or more ASCII digits.
func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

// compareNumbers orders decimal numbers of any length; "" is 0.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// compareReleases orders by numbers, then pre-release (SemVer's item 11).
func compareReleases(a, b *release) int {
	for i := range a.numbers {
		if c := compareNumbers(a.numbers[i], b.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case a.pre == b.pre:
		return 0
	case a.pre == "":
		return 1
	case b.pre == "":
		return -1
	}
	return compareIdentifiers(a.pre, b.pre)
}

// compareIdentifiers orders dot-separated identifiers: numbers as numbers and
// below words, words in ASCII order, a longer list above its own beginning.
// An identifier such as "-5" is a word: only digits make a number.
func compareIdentifiers(a, b string) int {
	for {
		var x, y string
		var moreA, moreB bool
		x, a, moreA = strings.Cut(a, ".")
		y, b, moreB = strings.Cut(b, ".")
		xn, yn := digits(x), digits(y)
		c := 0
		switch {
		case xn && yn:
			c = compareNumbers(x, y)
		case xn:
			c = -1
		case yn:
			c = 1
		default:
			c = strings.Compare(x, y)
		}
		switch {
		case c != 0:
			return c
		case !moreA && !moreB:
			return 0
		case !moreA:
			return -1
		case !moreB:
			return 1
		}
	}
}

// validSemver is SemVer 2.0.0 with a "v" allowed in front and 1 to 3 numbers.
func validSemver(v string) bool {
	_, ok := parseRelease(strings.TrimPrefix(v, "v"), 3, noLeadingZeros)
	return ok
}

// compareSemver is the precedence of SemVer's item 11; build metadata has no part in it.
func compareSemver(a, b string) (int, bool) {
	x, okA := parseRelease(strings.TrimPrefix(a, "v"), 3, noLeadingZeros)
	y, okB := parseRelease(strings.TrimPrefix(b, "v"), 3, noLeadingZeros)
	return compareReleases(&x, &y), okA && okB
}

// dotted reports whether v is decimal numbers separated by one of the bytes in seps.
func dotted(v, seps string, rule numberRule) bool {
	for {
		i := strings.IndexAny(v, seps)
		if i < 0 {
			return number(v, rule)
		}
		if !number(v[:i], rule) {
			return false
		}
		v = v[i+1:]
	}
}

// compareDotted orders lists of numbers separated by one of the bytes in seps,
// element by element; a longer list is above its own beginning.
func compareDotted(a, b, seps string) int {
	for {
		i, j := strings.IndexAny(a, seps), strings.IndexAny(b, seps)
		x, y := a, b
		if i >= 0 {
			x = a[:i]
		}
		if j >= 0 {
			y = b[:j]
		}
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
		switch {
		case i < 0 && j < 0:
			return 0
		case i < 0:
			return -1
		case j < 0:
			return 1
		}
		a, b = a[i+1:], b[j+1:]
	}
}
