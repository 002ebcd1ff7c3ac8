package ecosystem

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// asPublished is the canonical form where every difference in spelling is a
// difference of packages.
func asPublished(name string) string { return name }

// lowerASCII maps A to Z to lower case and leaves everything else alone, the
// letters that Unicode would lower into ASCII (U+212A KELVIN SIGN, U+0130)
// included. It does not allocate when there is nothing to change.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// foldCase maps letters to lower case where that is the reverse of mapping them
// to upper case. So a Cyrillic letter meets its own capital, and no two letters
// that only look alike are joined: U+212A KELVIN SIGN does not become k,
// U+212B ANGSTROM SIGN does not become å, U+0130 does not become i.
func foldCase(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return lowerASCII(s)
}

func foldRune(r rune) rune {
	if l := unicode.ToLower(r); l != r && unicode.ToUpper(l) == r {
		return l
	}
	return r
}
