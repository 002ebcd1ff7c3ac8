// Package printable makes hostile text fit for one line of a terminal, a log or
// an error message.
//
// Names, versions, paths and descriptions are written by attackers. A terminal
// obeys what is in them: it clears screens, fills clipboards, draws links over
// other text, turns the direction of reading. The log of a CI job obeys lines that
// look like commands to it ("::add-mask::…", "##vso[…]"). Every sink of the program that is
// not a format with its own escapes prints such text through this package:
// [Line] for any text, [Name] for names of packages, where one letter in place
// of another is the attack, [Cut] for text of any length.
//
// The promise: what comes out is valid UTF-8 on one line, made of characters
// that print and occupy a place of their own, and escaping it again changes
// nothing. Escapes are for eyes and not reversible: a backslash stays as it is.
package printable

import (
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks in a row are printed; ordinary writing
// systems stack no more (Vietnamese two, Thai and Hebrew three).
const maxMarks = 3

// Rune reports whether r prints as itself: it is assigned, has a shape of its
// own, and neither moves the cursor nor changes how its neighbours are shown.
// Combining marks are printable one by one; [Line] counts them.
func Rune(r rune) bool {
	if r < utf8.RuneSelf {
		return 0x20 <= r && r < 0x7f
	}
	// IsPrint leaves out controls, format characters (all bidi controls are
	// among them), separators, private use, surrogates and unassigned code
	// points. The rest has no shape although its category says otherwise:
	// https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
	return unicode.IsPrint(r) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!invisible(r)
}

func invisible(r rune) bool {
	switch r {
	case 0x17b4, 0x17b5, // Khmer inherent vowels: default-ignorable marks
		0x2800,                                 // Braille pattern blank
		0x1d159,                                // musical null notehead
		0x16fe4,                                // Khitan filler
		0x180b, 0x180c, 0x180d, 0x180f, 0x180e: // Mongolian selectors, whatever the table's age
		return true
	}
	return false
}

// harmless reports whether s needs no escape and is ASCII, which nearly all text
// is.
func harmless(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c >= 0x7f, c == '#' && i > 0 && s[i-1] == '#', c == ':' && s[0] <= ':':
			// A colon is decided by the slow path if a command could start with it.
			return false
		}
	}
	return true
}

// Line gives s as one printable line: controls, line breaks, bidi controls,
// characters without a shape, bytes that are not UTF-8, and combining marks
// beyond three in a row become escapes (\n, \x1b, \u202e, \U000e0041). So does the
// second character of "::" at the start and of "##" anywhere, which make commands
// for the logs of GitHub Actions, Azure Pipelines and TeamCity. Other printable
// ASCII is returned as it is, without allocation.
func Line(s string) string {
	if harmless(s) {
		return s
	}
	return string(AppendLine(make([]byte, 0, len(s)+len(s)/2), s))
}

// AppendLine appends [Line](s) to dst.
func AppendLine(dst []byte, s string) []byte {
	var e escaper
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		dst, _ = e.append(dst, s[i:i+n], r)
		i += n
	}
	return dst
}

// escaper knows what of the text so far bears on the next character. Its zero
// value is the start of a text, where a mark would sit on whatever was printed
// before.
type escaper struct {
	marks int  // combining marks since the last base character
	base  bool // there is a base character for a mark to sit on
	last  rune // the last character if it was printed
	begun bool // something other than spaces was printed
	colon bool // the last character is a colon that begins the text
}

// append adds one character, raw being its bytes, and reports whether it was
// printed as it is.
func (e *escaper) append(dst []byte, raw string, r rune) ([]byte, bool) {
	invalid := r == utf8.RuneError && len(raw) == 1
	shown := Rune(r) && !invalid
	switch {
	case shown && unicode.IsMark(r):
		e.marks++
		// A mark after an escape would decorate the escape.
		shown = e.base && e.marks <= maxMarks
	case r == '#' && e.last == '#', r == ':' && e.colon:
		shown = false
		e.marks = 0
	default:
		e.marks = 0
	}
	e.base, e.last = shown, 0
	e.colon = shown && r == ':' && !e.begun
	e.begun = e.begun || r != ' '
	if shown {
		e.last = r
		return append(dst, raw...), true
	}
	switch {
	case invalid:
		return fmt.Appendf(dst, `\x%02x`, raw[0]), false
	case r == '\n':
		return append(dst, `\n`...), false
	case r == '\r':
		return append(dst, `\r`...), false
	case r == '\t':
		return append(dst, `\t`...), false
	case r < utf8.RuneSelf:
		return fmt.Appendf(dst, `\x%02x`, r), false
	case r <= 0xffff:
		return fmt.Appendf(dst, `\u%04x`, r), false
	}
	return fmt.Appendf(dst, `\U%08x`, r), false
}

// Cut gives [Line](s), cut to at most n characters; where something is missing
// it ends in "...". It looks at no more of s than it needs.
func Cut(s string, n int) string {
	const more = "..."
	if n <= len(more) {
		n = len(more)
	}
	if len(s) <= n && harmless(s) {
		return s
	}
	var (
		e    escaper
		dst  []byte
		seen int // characters in dst
		keep int // length of dst that leaves room for more
	)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		before := len(dst)
		var shown bool
		dst, shown = e.append(dst, s[i:i+size], r)
		if shown {
			seen++
		} else {
			seen += len(dst) - before
		}
		if seen > n {
			return string(append(dst[:keep], more...))
		}
		if seen <= n-len(more) {
			keep = len(dst)
		}
		i += size
	}
	return string(dst)
}

// lookAlike are the scripts with letters that pass for ASCII ones. Letters of
// the mathematical and letter-like blocks count as Common.
var lookAlike = []*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Georgian,
	unicode.Cherokee, unicode.Coptic, unicode.Lisu, unicode.Deseret, unicode.Osage,
	unicode.Canadian_Aboriginal, unicode.Vai, unicode.Common,
}

// Name gives the name of a package as [Line] does, and shows what passes for
// something else: where a name has ASCII letters, or letters of a script with
// shapes like them, every character outside ASCII is followed by its code point
// in brackets, "2Cа[U+0430]ptcha.API". Names wholly in a script that looks like
// nothing in ASCII stay readable. ASCII names are returned as they are, without
// allocation.
func Name(s string) string {
	if harmless(s) {
		return s
	}
	if !suspicious(s) {
		return Line(s)
	}
	var e escaper
	dst := make([]byte, 0, 2*len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		var shown bool
		dst, shown = e.append(dst, s[i:i+n], r)
		if shown && r >= utf8.RuneSelf {
			dst = fmt.Appendf(dst, "[U+%04X]", r)
			// The bracket is what a mark would sit on next.
			e.base = false
		}
		i += n
	}
	return string(dst)
}

func suspicious(s string) bool {
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				return true
			}
		case unicode.IsLetter(r) && unicode.In(r, lookAlike...):
			return true
		}
	}
	return false
}

// Lines gives the lines of a text, each as [Line] does, without their ends.
func Lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if !yield(Line(strings.TrimRight(line, "\r\n"))) {
				return
			}
		}
	}
}
