package ecosystem

import "strings"

// PyPI: names are compared after PEP 503's normalisation, runs of "-", "_" and
// "." to one "-" and lower case (https://peps.python.org/pep-0503/#normalized-names).
// Names are ASCII (PEP 508), so only ASCII is lowered: a name with U+212A KELVIN
// SIGN in it is another name.
var pypi = Ecosystem{
	Name:     "PyPI",
	PURLType: "pypi",
	Hosts: []string{
		"pypi.org", "files.pythonhosted.org", "pypi.python.org", "www.pypi.org", "pythonhosted.org",
		// Public mirrors, which serve the same projects.
		"pypi.tuna.tsinghua.edu.cn", "mirrors.tuna.tsinghua.edu.cn", "mirrors.aliyun.com",
		"pypi.doubanio.com", "pypi.douban.com", "mirrors.cloud.tencent.com", "mirrors.tencent.com",
		"repo.huaweicloud.com", "mirrors.huaweicloud.com", "pypi.mirrors.ustc.edu.cn", "mirrors.ustc.edu.cn",
	},
	canonical: normalizePyPI,
	// The purl type wants lower case and "-" for "_", and keeps "."
	// (https://github.com/package-url/purl-spec/blob/main/types-doc/pypi-definition.md).
	spell:   func(name string) string { return strings.ReplaceAll(lowerASCII(name), "_", "-") },
	valid:   func(v string) bool { _, ok := parsePEP440(v); return ok },
	compare: comparePEP440,
	// PEP 503 indexes live at /simple/; files at /packages/<two levels of hash>/ on
	// PyPI, devpi, Nexus and Artifactory (/api/pypi/<repository>/packages/…).
	registryPath: func(path string) bool {
		return strings.Contains(path, "/simple/") || strings.HasSuffix(path, "/simple") ||
			strings.Contains(path, "/packages/") || strings.Contains(path, "/api/pypi/") ||
			strings.Contains(path, "/pypi/")
	},
}

func normalizePyPI(name string) string {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' || c == '_' || c == '.' || c == '-' && i > 0 && name[i-1] == '-' {
			return rewritePyPI(name, i)
		}
	}
	return name
}

// rewritePyPI normalises name, of which the first n bytes are normal.
func rewritePyPI(name string, n int) string {
	b := append(make([]byte, 0, len(name)), name[:n]...)
	for i := n; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '-' || c == '_' || c == '.':
			if len(b) == 0 || b[len(b)-1] != '-' {
				b = append(b, '-')
			}
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// pep440 is a version taken apart by https://peps.python.org/pep-0440/.
type pep440 struct {
	epoch   string
	release string // dotted numbers
	// pre ranks the pre-release phase: before all phases, a, b, rc, no pre-release.
	pre              int
	preNumber        string
	hasPost, hasDev  bool
	post, dev, local string
}

const (
	phaseDev = iota // a developmental release of the final release: below its alphas
	phaseAlpha
	phaseBeta
	phaseCandidate
	phaseFinal
)

// The words of PEP 440, longest first among those that share a beginning. Its
// "normalization" section lists the spellings.
var (
	preWords = [...]struct {
		word  string
		phase int
	}{
		{"alpha", phaseAlpha}, {"a", phaseAlpha}, {"beta", phaseBeta}, {"b", phaseBeta},
		{"preview", phaseCandidate}, {"pre", phaseCandidate}, {"rc", phaseCandidate}, {"c", phaseCandidate},
	}
	postWords = [...]string{"post", "rev", "r"}
)

// parsePEP440 reads any spelling that PEP 440 allows, except white space around it.
func parsePEP440(v string) (p pep440, ok bool) {
	lower := lowerASCII(v)
	n, s := cutDigits(strings.TrimPrefix(lower, "v"))
	if rest, ok := strings.CutPrefix(s, "!"); ok {
		if n == "" {
			return p, false
		}
		p.epoch = n
		n, s = cutDigits(rest)
	}
	if n == "" {
		return p, false
	}
	start := len(lower) - len(s) - len(n)
	for len(s) > 1 && s[0] == '.' && isDigit(s[1]) {
		_, s = cutDigits(s[1:])
	}
	p.release = lower[start : len(lower)-len(s)]

	p.pre = phaseFinal
	for _, w := range preWords {
		if rest, ok := strings.CutPrefix(afterSeparator(s), w.word); ok {
			p.pre = w.phase
			p.preNumber, s = cutDigits(afterSeparator(rest))
			break
		}
	}
	if len(s) > 1 && s[0] == '-' && isDigit(s[1]) {
		p.hasPost = true
		p.post, s = cutDigits(s[1:])
	} else {
		for _, w := range postWords {
			if rest, ok := strings.CutPrefix(afterSeparator(s), w); ok {
				p.hasPost = true
				p.post, s = cutDigits(afterSeparator(rest))
				break
			}
		}
	}
	if rest, ok := strings.CutPrefix(afterSeparator(s), "dev"); ok {
		p.hasDev = true
		p.dev, s = cutDigits(afterSeparator(rest))
	}
	if p.hasDev && !p.hasPost && p.pre == phaseFinal {
		p.pre = phaseDev
	}
	if s == "" {
		return p, true
	}
	p.local, ok = strings.CutPrefix(s, "+")
	if !ok || p.local == "" {
		return p, false
	}
	separated := true
	for i := 0; i < len(p.local); i++ {
		c := p.local[i]
		sep := c == '.' || c == '-' || c == '_'
		if sep && separated || !sep && !isAlnum(c) {
			return p, false
		}
		separated = sep
	}
	return p, !separated
}

func cutDigits(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// afterSeparator drops one of PEP 440's optional separators.
func afterSeparator(s string) string {
	if s != "" && (s[0] == '.' || s[0] == '-' || s[0] == '_') {
		return s[1:]
	}
	return s
}

// comparePEP440 is the order of PEP 440, "summary of permitted suffixes and
// relative ordering" and, for local versions, "local version identifiers".
func comparePEP440(v, w string) (int, bool) {
	a, okV := parsePEP440(v)
	b, okW := parsePEP440(w)
	if !okV || !okW {
		return 0, false
	}
	return a.compare(&b), true
}

func (a *pep440) compare(b *pep440) int {
	if c := compareNumbers(a.epoch, b.epoch); c != 0 {
		return c
	}
	if c := comparePadded(a.release, b.release); c != 0 {
		return c
	}
	if a.pre != b.pre {
		return a.pre - b.pre
	}
	if c := compareNumbers(a.preNumber, b.preNumber); c != 0 {
		return c
	}
	if a.hasPost != b.hasPost {
		return above(a.hasPost)
	}
	if c := compareNumbers(a.post, b.post); c != 0 {
		return c
	}
	if a.hasDev != b.hasDev {
		return above(b.hasDev)
	}
	if c := compareNumbers(a.dev, b.dev); c != 0 {
		return c
	}
	return compareLocal(a.local, b.local)
}

func above(yes bool) int {
	if yes {
		return 1
	}
	return -1
}

// comparePadded orders dotted numbers; the shorter is padded with zeros.
func comparePadded(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareLocal orders local version labels: none lowest, words below numbers, a
// longer one above its own beginning.
func compareLocal(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = cutLocal(a)
		y, b = cutLocal(b)
		xn, yn := digits(x), digits(y)
		c := 0
		switch {
		case xn && yn:
			c = compareNumbers(x, y)
		case xn != yn:
			return above(xn)
		default:
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

func cutLocal(s string) (segment, rest string) {
	if i := strings.IndexAny(s, "._-"); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
