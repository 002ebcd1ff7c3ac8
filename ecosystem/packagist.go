package ecosystem

import (
	"regexp"
	"strings"
)

// Packagist: names are case-insensitive; Composer lowers them
// (https://getcomposer.org/doc/04-schema.md#name).
//
// Packagist serves no archives: the dists of a public package are archives of its
// repository at the forge, so the forges' archive hosts are the public registry.
// A private repository at the same forge cannot be told apart by the host alone.
var packagist = Ecosystem{
	Name:     "Packagist",
	PURLType: "composer",
	Hosts: []string{
		"packagist.org", "repo.packagist.org", "www.packagist.org",
		"api.github.com", "codeload.github.com", "github.com", "gitlab.com", "bitbucket.org",
		"mirrors.aliyun.com", "mirrors.cloud.tencent.com", "repo.huaweicloud.com", "mirrors.huaweicloud.com", "packagist.phpcomposer.com",
	},
	canonical: foldCase,
	spell:     lowerASCII,
	valid:     func(v string) bool { _, ok := parseComposer(v); return ok },
	compare:   compareComposer,
	// https://getcomposer.org/doc/05-repositories.md: packages.json and /p2/; Satis and
	// private Packagist keep dists at /dist/ and /dists/.
	registryPath: func(path string) bool {
		return strings.Contains(path, "/dist/") || strings.Contains(path, "/dists/") ||
			strings.Contains(path, "/p2/") || strings.HasSuffix(path, "/packages.json")
	},
	forge: true,
}

// composer is a version taken apart by Composer's rules.
type composer struct {
	numbers string // separated by any byte that is not a digit
	padded  bool   // up to four numbers, missing ones are 0; a date is not padded
	rank    int
	phase   string // numbers of the pre-release or patch
	dev     bool
}

// Ranks of PHP's version_compare: dev < alpha < beta < RC < none < patch.
const (
	composerDev = iota
	composerAlpha
	composerBeta
	composerCandidate
	composerStable
	composerPatch
)

// The forms that Composer\Semver\VersionParser::normalize takes
// (https://getcomposer.org/doc/articles/versions.md): up to four numbers or a
// date, then a stability with numbers, then "dev"; build metadata is dropped.
// Numeric branches ("1.x-dev") have 9999999 for the open places.
var (
	composerTail   = `[._-]?(?:(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?[0-9]+)*)?)?([.-]?dev)?(?:\+[^\s,]+)?$`
	composerPlain  = regexp.MustCompile(`^v?([0-9]{1,5}(?:\.[0-9]+){0,3})` + composerTail)
	composerDate   = regexp.MustCompile(`^v?([0-9]{4}(?:[.:-]?[0-9]{2}){1,6}(?:[.:-]?[0-9]{1,3}){0,2})` + composerTail)
	composerBranch = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+){0,2})((?:\.[x*]){1,3})-dev$`)
)

// parseComposer reads a version that has an order; branches by name ("dev-main") have none.
func parseComposer(v string) (c composer, ok bool) {
	v = lowerASCII(v)
	if m := composerBranch.FindStringSubmatch(v); m != nil {
		n := strings.Count(m[1], ".") + 1
		return composer{numbers: m[1] + strings.Repeat(".9999999", 4-n), padded: true, rank: composerDev, dev: true},
			n+strings.Count(m[2], ".") <= 4
	}
	m := composerPlain.FindStringSubmatch(v)
	c.padded = m != nil
	if m == nil {
		m = composerDate.FindStringSubmatch(v)
	}
	if m == nil {
		return c, false
	}
	c.numbers, c.phase, c.dev = m[1], strings.TrimLeft(m[3], ".-"), m[4] != ""
	switch m[2] {
	case "alpha", "a":
		c.rank = composerAlpha
	case "beta", "b":
		c.rank = composerBeta
	case "rc":
		c.rank = composerCandidate
	case "patch", "pl", "p":
		c.rank = composerPatch
	default:
		// "stable" and what follows it are dropped.
		c.rank, c.phase = composerStable, ""
		if c.dev && m[2] == "" {
			c.rank = composerDev
		} else {
			c.dev = false
		}
	}
	return c, true
}

// compareComposer is PHP's version_compare on normalised versions
// (https://www.php.net/manual/function.version-compare.php).
func compareComposer(v, w string) (int, bool) {
	a, okV := parseComposer(v)
	b, okW := parseComposer(w)
	if !okV || !okW {
		return 0, false
	}
	return a.compare(b), true
}

func (a composer) compare(b composer) int {
	c := 0
	if a.padded && b.padded {
		c = comparePadded(a.numbers, b.numbers)
	} else {
		c = compareDotted(a.fourNumbers(), b.fourNumbers(), ".:-")
	}
	if c != 0 {
		return c
	}
	if a.rank != b.rank {
		return a.rank - b.rank
	}
	switch {
	case a.phase == "" && b.phase != "":
		return -1
	case a.phase != "" && b.phase == "":
		return 1
	case a.phase != b.phase:
		if c := compareDotted(a.phase, b.phase, ".-"); c != 0 {
			return c
		}
	}
	if a.dev != b.dev {
		return above(b.dev)
	}
	return 0
}

func (a composer) fourNumbers() string {
	if !a.padded {
		return a.numbers
	}
	return a.numbers + strings.Repeat(".0", 3-strings.Count(a.numbers, "."))
}
