package sbom

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine is how much of a line is looked at; the rest of a longer one is skipped.
const maxLine = 64 << 10

// lines reads text line by line in bounded memory.
type lines struct {
	ctx context.Context
	r   *bufio.Reader
	n   int // number of the last line
	buf []byte
}

func newLines(ctx context.Context, r io.Reader) *lines {
	return &lines{ctx: ctx, r: bufio.NewReaderSize(r, maxLine)}
}

// next gives the next line without its end. Of a line longer than maxLine it
// gives the beginning and, so that the end of a text in it is found, the last 64 bytes.
func (l *lines) next() (line, tail []byte, err error) {
	l.n++
	line, err = l.r.ReadSlice('\n')
	if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
		return bytes.TrimRight(line, "\r\n"), nil, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, nil, err
	}
	l.buf = append(l.buf[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		tail = append(tail, line[max(0, len(line)-64):]...)
		tail = tail[max(0, len(tail)-64):]
		line, err = l.r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	tail = append(tail, line[max(0, len(line)-64):]...)
	return l.buf, tail, nil
}

// place says at which line err ended the file.
func (l *lines) place(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil || errors.Is(err, errStop) || l.ctx.Err() != nil {
		return err
	}
	return &placed{line: l.n, err: explain(err)}
}

// readPURLs reads a list of purls: one per line, with blank lines and comments,
// which begin with "#" at the beginning of a line or after white space.
func readPURLs(ctx context.Context, r io.Reader, s *sink) error {
	l := newLines(ctx, r)
	var c component
	for {
		line, _, err := l.next()
		if err != nil {
			return l.place(err)
		}
		for _, comment := range []string{" #", "\t#"} {
			line, _, _ = bytes.Cut(line, []byte(comment))
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		c.reset(l.n)
		c.purl = append(c.purl, line[:min(len(line), maxURL)]...)
		if err := s.component(&c); err != nil {
			return l.place(err)
		}
	}
}

// readTagValue reads SPDX 2.2 and 2.3 tag-value: "Tag: value" lines, values of
// several lines in <text>…</text>. A package lasts from its PackageName to the
// next one, or to the beginning of a file, snippet or license section
// (https://spdx.github.io/spdx-spec/v2.3/conformance/#44-standard-data-format-requirements).
func readTagValue(ctx context.Context, r io.Reader, s *sink) error {
	t := &tagValue{lines: newLines(ctx, r), sink: s}
	err := t.read()
	if errors.Is(err, io.EOF) {
		err = t.flush()
		if err == nil && t.inText {
			err = fmt.Errorf("the file ends inside <text> of line %d", t.textLine)
		}
	}
	return t.lines.place(err)
}

type tagValue struct {
	lines     *lines
	sink      *sink
	c         component
	inPackage bool
	inText    bool
	textLine  int
}

func (t *tagValue) read() error {
	for {
		line, tail, err := t.lines.next()
		if err != nil {
			return err
		}
		if t.inText {
			t.inText = !endsText(line, tail)
			continue
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		tag, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return fmt.Errorf("%s is not a line of the form tag: value", printable(string(line[:min(len(line), 60)]), 60))
		}
		value = bytes.TrimSpace(value)
		if text, ok := bytes.CutPrefix(value, []byte("<text>")); ok {
			t.inText = !endsText(text, tail)
			t.textLine = t.lines.n
			value, _, _ = bytes.Cut(text, []byte("</text>"))
		}
		if err := t.tag(string(tag[:min(len(tag), 64)]), value); err != nil {
			return err
		}
	}
}

func endsText(line, tail []byte) bool {
	return bytes.Contains(line, []byte("</text>")) || bytes.Contains(tail, []byte("</text>"))
}

func (t *tagValue) tag(tag string, value []byte) error {
	switch tag {
	case "SPDXVersion":
		if !bytes.HasPrefix(value, []byte("SPDX-2.")) {
			t.sink.unread(t.lines.n, fmt.Sprintf("SPDX version %s is not known in this format (2.x is): packages may be missing", printable(string(value), 20)))
		}
	case "PackageName":
		if err := t.flush(); err != nil {
			return err
		}
		t.inPackage = true
		t.c.reset(t.lines.n)
		keep(&t.c.name, value)
	case "FileName", "SnippetSPDXID", "SnippetSPDXIdentifier", "LicenseID":
		return t.flush()
	}
	if !t.inPackage {
		return nil
	}
	switch tag {
	case "PackageVersion":
		keep(&t.c.version, value)
	case "PackageDownloadLocation":
		keep(&t.c.url, value)
	case "PrimaryPackagePurpose":
		keep(&t.c.kind, value)
	case "PackageChecksum":
		algorithm, digest, _ := bytes.Cut(value, []byte{':'})
		t.c.addDigest(bytes.TrimSpace(algorithm), bytes.TrimSpace(digest))
	case "ExternalRef":
		// Category, type, locator; the locator may not have white space in it.
		_, rest, _ := strings.Cut(string(value[:min(len(value), 2*maxURL)]), " ")
		kind, locator, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if isPURLReference(kind) {
			return t.c.addPURL([]byte(strings.TrimSpace(locator)))
		}
	}
	return nil
}

// keep copies a value into a buffer, cut where its length still shows.
func keep(buf *[]byte, value []byte) {
	*buf = append((*buf)[:0], value[:min(len(value), maxURL+1)]...)
}

// flush ends the package that is being read.
func (t *tagValue) flush() error {
	if !t.inPackage {
		return nil
	}
	t.inPackage = false
	return t.sink.component(&t.c)
}
