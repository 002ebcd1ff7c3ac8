package registry

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/printable"
)

// shellQuote makes one word of a POSIX shell of s, on one line whatever s is: names and versions are written by
// attackers. What does not print is written in $'…' (POSIX.1-2024, 2.2.4), which bash, ksh and zsh have had for long.
func shellQuote(s string) string {
	plain, prints := s != "", utf8.ValidString(s)
	for _, r := range s {
		if !printable.Rune(r) {
			prints = false
		}
		if r >= utf8.RuneSelf || strings.IndexByte(safeInShell, byte(r)) < 0 {
			plain = false
		}
	}
	switch {
	case plain:
		return s
	case prints:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r == utf8.RuneError && n == 1, !printable.Rune(r):
			for _, c := range []byte(s[i : i+n]) {
				// Three digits: what follows may be one.
				fmt.Fprintf(&b, `\%03o`, c)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	b.WriteString("'")
	return b.String()
}

// safeInShell are the characters that mean nothing to a shell anywhere in a word.
const safeInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,"
