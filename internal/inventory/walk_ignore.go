package inventory

import (
	"bytes"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Limits of one .gitignore.
const (
	maxIgnoreSize     = 1 << 20
	maxIgnorePatterns = 10_000
)

// ignoreRules are the patterns of one .gitignore, in front of those of the directories above.
// Rules: gitignore(5), "PATTERN FORMAT".
type ignoreRules struct {
	dir      string // "." is the root
	patterns []ignorePattern
	above    *ignoreRules
}

type ignorePattern struct {
	segments []string // of the path below dir; "**" stands for any number
	negate   bool
	dirOnly  bool
}

func parseIgnore(r io.Reader, dir string, above *ignoreRules) (*ignoreRules, error) {
	b, err := bounded.ReadAll(r, maxIgnoreSize, ".gitignore")
	if err != nil {
		return nil, err
	}
	rules := &ignoreRules{dir: dir, above: above}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	for line := range strings.SplitSeq(string(b), "\n") {
		p, ok := parseIgnorePattern(strings.TrimSuffix(line, "\r"))
		if !ok {
			continue
		}
		if len(rules.patterns) == maxIgnorePatterns {
			return nil, errors.New("too many patterns")
		}
		rules.patterns = append(rules.patterns, p)
	}
	return rules, nil
}

func parseIgnorePattern(line string) (p ignorePattern, ok bool) {
	if strings.HasPrefix(line, "#") {
		return p, false
	}
	// Trailing spaces do not count unless quoted with a backslash.
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	line, p.negate = strings.CutPrefix(line, "!")
	line, p.dirOnly = strings.CutSuffix(line, "/")
	if line == "" {
		return p, false
	}
	// A slash at the beginning or in the middle ties the pattern to its directory.
	if !strings.Contains(line, "/") {
		line = "**/" + line
	}
	p.segments = strings.Split(strings.TrimPrefix(line, "/"), "/")
	for i, s := range p.segments {
		// path.Match spells the negated class of fnmatch(3) with a caret.
		p.segments[i] = strings.ReplaceAll(s, "[!", "[^")
	}
	return p, true
}

// match reports whether the entry rel (below the walk's root) is excluded. The
// last pattern that matches decides, the deepest .gitignore first.
func (r *ignoreRules) match(rel string, isDir bool) bool {
	for ; r != nil; r = r.above {
		below := rel
		if r.dir != "." {
			below = strings.TrimPrefix(rel, r.dir+"/")
		}
		segments := strings.Split(below, "/")
		for i := len(r.patterns) - 1; i >= 0; i-- {
			p := &r.patterns[i]
			if (!p.dirOnly || isDir) && matchSegments(p.segments, segments) {
				return !p.negate
			}
		}
	}
	return false
}

// matchSegments matches a path against segments with "**". Only the last "**"
// ever needs to be tried again, so the time is at most the product of the lengths.
func matchSegments(pattern, name []string) bool {
	star, retry := -1, 0
	i, j := 0, 0
	for j < len(name) {
		switch {
		case i < len(pattern) && pattern[i] == "**":
			if i == len(pattern)-1 {
				return true // everything inside
			}
			star, retry = i, j
			i++
		case i < len(pattern) && matchSegment(pattern[i], name[j]):
			i++
			j++
		case star >= 0:
			retry++
			i, j = star+1, retry
		default:
			return false
		}
	}
	return i == len(pattern)
}

func matchSegment(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
