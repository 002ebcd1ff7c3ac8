package ecosystem

import "strings"

// RubyGems: names are case-sensitive. New gems may not differ from others only
// in case, and old ones do, so a name stays as published
// (https://guides.rubygems.org/name-your-gem/).
var rubygems = Ecosystem{
	Name:     "RubyGems",
	PURLType: "gem",
	Hosts: []string{
		"rubygems.org", "index.rubygems.org", "www.rubygems.org", "api.rubygems.org",
		"production.cf.rubygems.org", "fastly.rubygems.org", "bundler.rubygems.org", "rubygems.global.ssl.fastly.net",
		// Public mirrors.
		"gems.ruby-china.com", "mirrors.tuna.tsinghua.edu.cn", "mirrors.aliyun.com", "ruby.taobao.org",
		"mirrors.cloud.tencent.com", "mirrors.ustc.edu.cn",
	},
	canonical: asPublished,
	valid:     validGemVersion,
	compare:   compareGemVersions,
	// Bundler names a source by its base URL; files are at /gems/<name>-<version>.gem.
	registryPath: func(path string) bool { return strings.HasSuffix(path, ".gem") || !archivePath(path) },
}

// validGemVersion is Gem::Version::VERSION_PATTERN: a number, dot-separated
// letters and digits, and after "-" dot-separated letters, digits and hyphens
// (https://docs.ruby-lang.org/en/master/Gem/Version.html). The "-java" of a gem's
// platform fits it too: readers must take platforms off first.
func validGemVersion(v string) bool {
	v, tail, dash := strings.Cut(v, "-")
	for i, first := 0, true; ; first = false {
		seg, rest, more := strings.Cut(v[i:], ".")
		if first && !digits(seg) || seg == "" {
			return false
		}
		for j := 0; j < len(seg); j++ {
			if !isAlnum(seg[j]) {
				return false
			}
		}
		if !more {
			break
		}
		i = len(v) - len(rest)
	}
	return !dash || identifiers(tail, leadingZeros)
}

// compareGemVersions is Gem::Version's order: "-" means ".pre."; runs of digits
// and runs of letters are segments of their own; zeros at the end and before the
// first letter do not count; letters are below numbers.
func compareGemVersions(a, b string) (int, bool) {
	if !validGemVersion(a) || !validGemVersion(b) {
		return 0, false
	}
	x, y := gemSegments(a), gemSegments(b)
	for i := 0; i < len(x) || i < len(y); i++ {
		s, t := "0", "0"
		if i < len(x) {
			s = x[i]
		}
		if i < len(y) {
			t = y[i]
		}
		sn, tn := isDigit(s[0]), isDigit(t[0])
		c := 0
		switch {
		case sn && tn:
			c = compareNumbers(s, t)
		case sn != tn:
			return above(sn), true
		default:
			c = strings.Compare(s, t)
		}
		if c != 0 {
			return c, true
		}
	}
	return 0, true
}

func gemSegments(v string) []string {
	v = strings.ReplaceAll(v, "-", ".pre.")
	segments := make([]string, 0, 8)
	word := -1
	for i := 0; i < len(v); {
		j := i
		switch {
		case isDigit(v[i]):
			for j < len(v) && isDigit(v[j]) {
				j++
			}
		case isLetter(v[i]):
			for j < len(v) && isLetter(v[j]) {
				j++
			}
			if word < 0 {
				segments = dropZeros(segments, 0)
				word = len(segments)
			}
		default:
			i++
			continue
		}
		segments = append(segments, v[i:j])
		i = j
	}
	return dropZeros(segments, max(word, 0))
}

// dropZeros takes the numbers that are zero off the end, down to length least.
func dropZeros(segments []string, least int) []string {
	for len(segments) > least && strings.Trim(segments[len(segments)-1], "0") == "" {
		segments = segments[:len(segments)-1]
	}
	return segments
}
