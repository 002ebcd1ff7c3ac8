package ecosystem

import "strings"

// Maven: names are "group:artifact", case-sensitive; a purl has the group as
// namespace (https://github.com/package-url/purl-spec/blob/main/types-doc/maven-definition.md).
var maven = Ecosystem{
	Name:     "Maven",
	PURLType: "maven",
	Hosts: []string{
		"repo.maven.apache.org", "repo1.maven.org", "repo2.maven.org", "central.maven.org", "uk.maven.org",
		"central.sonatype.com", "search.maven.org", "maven-central.storage.googleapis.com",
		"maven-central.storage-download.googleapis.com", "maven-central-eu.storage-download.googleapis.com",
		"maven-central-asia.storage-download.googleapis.com",
		// Public mirrors of Maven Central.
		"maven.aliyun.com", "mirrors.cloud.tencent.com", "repo.huaweicloud.com", "mirrors.huaweicloud.com",
	},
	canonical: asPublished,
	join: func(namespace, name string) string {
		if namespace == "" {
			return name
		}
		return namespace + ":" + name
	},
	split: func(name string) (string, string) {
		group, artifact, ok := strings.Cut(name, ":")
		if !ok {
			return "", name
		}
		return group, artifact
	},
	// Every text is a version (https://maven.apache.org/pom.html#version-order-specification).
	valid:        plausible,
	compare:      compareMaven,
	registryPath: func(path string) bool { return mavenLayout(path) || !archivePath(path) },
}

// mavenLayout reports whether path ends in artifact/version/artifact-version….ext,
// the default repository layout (https://maven.apache.org/repository/layout.html).
func mavenLayout(path string) bool {
	file := strings.LastIndexByte(path, '/')
	if file < 0 {
		return false
	}
	version := strings.LastIndexByte(path[:file], '/')
	if version < 0 {
		return false
	}
	artifact := path[strings.LastIndexByte(path[:version], '/')+1 : version]
	rest, ok := strings.CutPrefix(path[file+1:], artifact)
	return ok && strings.HasPrefix(rest, "-"+path[version+1:file])
}

// mavenToken is a number or a qualifier with the separator before it.
type mavenToken struct {
	dot    bool // the separator is a dot; always false for a qualifier
	number bool
	text   string
}

// null reports whether the token says nothing at the end of a version.
func (t mavenToken) null() bool {
	if t.number {
		return strings.Trim(t.text, "0") == ""
	}
	return t.text == ""
}

// mavenTokens splits a version at dots, hyphens and changes between digits and
// other characters, which count as hyphens, and takes off the tokens that say
// nothing at the end and before each hyphen. A dot before a qualifier is as good
// as a hyphen (".qualifier" = "-qualifier" in the specification).
func mavenTokens(v string) []mavenToken {
	v = lowerASCII(v)
	tokens := make([]mavenToken, 0, 8)
	dot := true
	for i := 0; ; {
		j := i
		for j < len(v) && v[j] != '.' && v[j] != '-' && (j == i || isDigit(v[j]) == isDigit(v[i])) {
			j++
		}
		t := mavenToken{dot: dot, number: true, text: v[i:j]}
		if j > i && !isDigit(v[i]) {
			followed := j < len(v) && isDigit(v[j])
			t = mavenToken{text: mavenQualifier(v[i:j], followed)}
		}
		if !t.dot {
			tokens = dropNulls(tokens)
		}
		tokens = append(tokens, t)
		if j == len(v) {
			return dropNulls(tokens)
		}
		dot = v[j] == '.'
		if dot || v[j] == '-' {
			j++
		}
		i = j
	}
}

// dropNulls takes tokens that say nothing off the end; the first token stays.
func dropNulls(tokens []mavenToken) []mavenToken {
	for len(tokens) > 1 && tokens[len(tokens)-1].null() {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}

// mavenQualifier gives the one spelling of a qualifier; beforeNumber says that a digit follows at once.
func mavenQualifier(s string, beforeNumber bool) string {
	switch s {
	case "ga", "final", "release":
		return ""
	case "cr":
		return "rc"
	}
	if beforeNumber {
		switch s {
		case "a":
			return "alpha"
		case "b":
			return "beta"
		case "m":
			return "milestone"
		}
	}
	return s
}

// mavenRank orders the known qualifiers; unknown ones come after them.
func mavenRank(qualifier string) int {
	switch qualifier {
	case "alpha":
		return 0
	case "beta":
		return 1
	case "milestone":
		return 2
	case "rc":
		return 3
	case "snapshot":
		return 4
	case "":
		return 5
	case "sp":
		return 6
	}
	return 7
}

// compareMaven is the "version order specification" of
// https://maven.apache.org/pom.html#version-order-specification: token by token,
// the shorter version padded with what says nothing.
func compareMaven(a, b string) (int, bool) {
	if !plausible(a) || !plausible(b) {
		return 0, false
	}
	x, y := mavenTokens(a), mavenTokens(b)
	for i := 0; i < len(x) || i < len(y); i++ {
		var s, t mavenToken
		switch {
		case i >= len(x):
			t = y[i]
			s = mavenPadding(t)
		case i >= len(y):
			s = x[i]
			t = mavenPadding(s)
		default:
			s, t = x[i], y[i]
		}
		if c := s.compare(t); c != 0 {
			return c, true
		}
	}
	return 0, true
}

// mavenPadding is what an absent token counts as against t: 0 after a dot, else the empty qualifier.
func mavenPadding(t mavenToken) mavenToken {
	return mavenToken{dot: t.dot, number: t.dot}
}

// compare orders tokens: qualifiers, numbers after a hyphen, numbers after a dot.
func (t mavenToken) compare(u mavenToken) int {
	if t.number != u.number {
		return above(t.number)
	}
	if t.number {
		if t.dot != u.dot {
			return above(t.dot)
		}
		return compareNumbers(t.text, u.text)
	}
	if c := mavenRank(t.text) - mavenRank(u.text); c != 0 {
		return c
	}
	return strings.Compare(t.text, u.text)
}
