package list

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Errors about a document that is no list at all.
var (
	ErrEmpty  = errors.New("empty list")
	ErrHTML   = errors.New("HTML page, not a list")
	ErrBinary = errors.New("binary file, not a list")
	ErrUTF16  = errors.New("UTF-16 text: save the list as UTF-8")
)

// errTooMany is about a list beyond the limits of what is kept in memory.
var errTooMany = fmt.Errorf("more than %d lines or entries, or %d cells", maxEntries, maxCells)

// format is a way to write a list.
type format string

const (
	formatCSV       format = "csv"
	formatLines     format = "lines"
	formatJSON      format = "json"
	formatJSONLines format = "json lines"
	formatMarkdown  format = "markdown"
)

// decode checks that data is text that a list can be in and gives it without a byte
// order mark, with line breaks that include "\n".
func decode(data []byte) (string, error) {
	if len(data) > maxSize {
		return "", fmt.Errorf("a list of %d bytes: the limit is %d", len(data), int64(maxSize))
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return "", ErrUTF16
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	head := data[:min(len(data), 4096)]
	for _, magic := range [...]struct{ prefix, what string }{
		{"PK\x03\x04", "a zip archive or spreadsheet"}, {"%PDF", "a PDF file"}, {"\x1f\x8b", "gzip in gzip"}, {"\x28\xb5\x2f\xfd", "zstd in gzip or zstd"},
		{"\x89PNG", "an image"}, {"\xd0\xcf\x11\xe0", "an old spreadsheet"},
	} {
		if bytes.HasPrefix(head, []byte(magic.prefix)) {
			return "", fmt.Errorf("%w: %s; save the list as CSV", ErrBinary, magic.what)
		}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		// Every other byte of ASCII text in UTF-16 is NUL.
		if zeros := bytes.Count(head, []byte{0}); zeros*3 > len(head) {
			return "", ErrUTF16
		}
		return "", fmt.Errorf("%w: NUL in line %d", ErrBinary, 1+bytes.Count(data[:i], []byte("\n")))
	}
	if odd := oddBytes(head); odd*10 > len(head) {
		return "", ErrBinary
	}
	trimmed := bytes.TrimSpace(head)
	if len(trimmed) == 0 && len(bytes.TrimSpace(data)) == 0 {
		return "", ErrEmpty
	}
	low := strings.ToLower(string(trimmed[:min(len(trimmed), 512)]))
	for strings.HasPrefix(low, "<!--") { // a comment before the page
		_, after, ok := strings.Cut(low, "-->")
		if !ok {
			break
		}
		low = strings.TrimSpace(after)
	}
	for _, tag := range [...]string{"<!doctype", "<html", "<head", "<body", "<script", "<meta", "<title", "<table", "<div", "<p>"} {
		if strings.HasPrefix(low, tag) {
			return "", ErrHTML
		}
	}
	if strings.HasPrefix(low, "<?xml") || strings.HasPrefix(low, "<rss") || strings.HasPrefix(low, "<svg") {
		return "", errors.New("XML document, not a list")
	}
	if n := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")); n > 2*maxEntries {
		return "", errTooMany
	}
	text := string(data)
	if strings.IndexByte(text, '\n') < 0 {
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	return text, nil
}

// oddBytes counts what is not text: control characters and broken UTF-8.
func oddBytes(b []byte) int {
	n := 0
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 && utf8.FullRune(b[i:]) || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			n++
		}
		i += size
	}
	return n
}

// lines splits text at "\n" and takes "\r" off the ends.
func lines(text string) []string {
	out := make([]string, 0, 1+strings.Count(text, "\n"))
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, strings.TrimSuffix(line, "\r"))
	}
	// What follows the last line break is no line if there is nothing.
	if n := len(out); n > 0 && out[n-1] == "" {
		out = out[:n-1]
	}
	return out
}

// isComment reports whether a line is a comment of a list.
func isComment(trimmed string) bool {
	return strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "//") || strings.HasPrefix(trimmed, ";") ||
		strings.HasPrefix(trimmed, "<!--") && strings.HasSuffix(trimmed, "-->") || strings.Trim(trimmed, "-=*_~") == "" && len(trimmed) > 2
}

// sniff tells the format of a list by its content. delimiter, if not 0, makes it CSV.
func sniff(text string, delimiter byte) format {
	if delimiter != 0 {
		return formatCSV
	}
	trimmed := strings.TrimLeft(text, " \t\r\n")
	switch {
	case strings.HasPrefix(trimmed, "{"):
		if jsonLines(trimmed) {
			return formatJSONLines
		}
		return formatJSON
	case strings.HasPrefix(trimmed, "["):
		// "[" begins a Markdown link too, and an INI heading: "[npm]".
		inner := strings.TrimLeft(trimmed[1:], " \t\r\n")
		if inner != "" && strings.IndexByte("\"{[]", inner[0]) >= 0 {
			if jsonLines(trimmed) {
				return formatJSONLines
			}
			return formatJSON
		}
	}
	ls := lines(text)
	if looksMarkdown(ls) {
		return formatMarkdown
	}
	if sniffDelimiter(ls) != 0 {
		return formatCSV
	}
	return formatLines
}

// jsonLines reports whether the text is one JSON object per line: the first line is whole and
// the next begins another.
func jsonLines(trimmed string) bool {
	first, rest, ok := strings.Cut(trimmed, "\n")
	first = strings.TrimSpace(first)
	rest = strings.TrimLeft(rest, " \t\r\n")
	return ok && strings.HasPrefix(first, "{") && strings.HasSuffix(first, "}") && strings.HasPrefix(rest, "{")
}
