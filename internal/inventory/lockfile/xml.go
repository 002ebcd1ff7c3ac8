package lockfile

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"io"
	"strings"
	"unicode/utf8"
)

// element is an XML start tag where it stands.
type element struct {
	xml.StartElement
	line int
	// parents are the local names of the elements around it, outermost first.
	parents []string
}

// attr gives an attribute by its local name, "" if there is none.
func (e *element) attr(name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// parent is the local name of the element right around, "" for the root.
func (e *element) parent() string {
	if len(e.parents) == 0 {
		return ""
	}
	return e.parents[len(e.parents)-1]
}

// readXML calls start for each element, and end, if not nil, with its text (that
// right inside it, at most 64 KiB) when it closes. A document type declaration
// is refused: these formats have none, and entities are declared there. It gives
// an error for anything but one well-formed element called root.
func readXML(b []byte, root string, start func(e *element) error, end func(name, text string) error) error {
	const maxText = 64 << 10
	dec := xml.NewDecoder(bytes.NewReader(b))
	dec.CharsetReader = charset
	counter := inventory.LineCounter{Text: b}
	var (
		open []string
		text strings.Builder
		seen bool
	)
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if !seen {
				return errors.New("the file is empty")
			}
			return nil
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				return inventory.AtLine(syntax.Line, "%s", syntax.Msg)
			}
			return err
		}
		switch t := t.(type) {
		case xml.Directive:
			return inventory.AtLine(counter.Of(int(dec.InputOffset())), "a document type declaration is not allowed")
		case xml.StartElement:
			if len(open) == 0 && (seen || !strings.EqualFold(t.Name.Local, root)) {
				return fmt.Errorf("the root element is not %s", root)
			}
			seen = true
			if len(open) >= inventory.MaxNesting {
				return inventory.AtLine(counter.Of(int(dec.InputOffset())), "nested deeper than %d", inventory.MaxNesting)
			}
			text.Reset()
			if err := start(&element{StartElement: t, line: counter.Of(int(dec.InputOffset())), parents: open}); err != nil {
				return err
			}
			open = append(open, t.Name.Local)
		case xml.CharData:
			if text.Len()+len(t) <= maxText {
				text.Write(t)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
			if end != nil {
				if err := end(t.Name.Local, strings.TrimSpace(text.String())); err != nil {
					return err
				}
			}
			text.Reset()
		}
	}
}

// charset decodes the encodings that an XML declaration of a build tool names in practice.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-16", "utf-16le", "utf-16be":
		return r, nil // decoded by its byte order mark already
	case "us-ascii", "iso-8859-1", "iso8859-1", "latin1", "windows-1252":
		// Names are ASCII; what differs between these is in comments and texts.
		return &latin1{r: bufio.NewReader(r)}, nil
	}
	return nil, fmt.Errorf("encoding %q is not supported", name)
}

// latin1 reads ISO 8859-1 as UTF-8.
type latin1 struct {
	r    *bufio.Reader
	rest []byte
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		c, err := l.r.ReadByte()
		if err != nil {
			return 0, err
		}
		l.rest = utf8.AppendRune(l.rest, rune(c))
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
