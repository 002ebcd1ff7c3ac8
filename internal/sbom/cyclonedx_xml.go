package sbom

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of one XML tag.
const maxAttributes = 256

// errDTD refuses every document type definition: entities and external subsets
// are how XML reads files and fetches URLs.
var errDTD = errors.New("DTD not allowed")

// xmlReader walks CycloneDX XML token by token. Elements are known by local
// name; one with a default namespace of something else is skipped with all in it.
type xmlReader struct {
	ctx   context.Context
	dec   *xml.Decoder
	src   *source
	sink  *sink
	start int64 // offset of the token that is being read
	line  int   // its line

	open       []string // names of the open elements, with prefix
	prefix     string   // of the root element
	components []*component
	text       []byte
}

func readXML(ctx context.Context, r io.Reader, s *sink) error {
	x := &xmlReader{ctx: ctx, sink: s}
	x.src = &source{r: r, limit: s.opt.Token, consumed: func() int64 { return x.start }}
	x.dec = xml.NewDecoder(x.src)
	err := x.document()
	if err == nil || errors.Is(err, errStop) || ctx.Err() != nil {
		return err
	}
	line, _ := x.dec.InputPos()
	if e, ok := errors.AsType[*xml.SyntaxError](err); ok {
		line, err = e.Line, errors.New("invalid XML: "+reason(e.Msg))
	} else {
		err = errors.New(reason(explain(err).Error()))
	}
	return &placed{line: line, err: err}
}

func (x *xmlReader) document() error {
	for seen := false; ; {
		tok, err := x.next()
		switch {
		case errors.Is(err, io.EOF) && seen:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("invalid XML: no root element")
		case err != nil:
			return err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if seen {
			return errors.New("invalid XML: a second root element")
		}
		seen = true
		if err := x.root(start); err != nil {
			return err
		}
	}
}

func (x *xmlReader) root(start xml.StartElement) error {
	x.prefix = start.Name.Space
	namespace := ""
	for _, a := range start.Attr {
		if x.prefix == "" && a.Name.Space == "" && a.Name.Local == "xmlns" || x.prefix != "" && a.Name.Space == "xmlns" && a.Name.Local == x.prefix {
			namespace = a.Value
		}
	}
	_, version, ok := strings.Cut(namespace, "cyclonedx.org/schema/bom/")
	if start.Name.Local != "bom" || !ok {
		return errUnrecognised
	}
	if !strings.HasPrefix(version, "1.") {
		x.sink.unread(x.line, fmt.Sprintf("CycloneDX %s is not known (1.0 to 1.7 are): components may be missing", printable(version, 20)))
	}
	return x.children(func(name string, _ xml.StartElement) error {
		switch name {
		case "metadata":
			return x.children(func(name string, start xml.StartElement) error {
				if name == "component" {
					return x.component(0, start)
				}
				return x.skip()
			})
		case "components":
			return x.list(0)
		case "formulation":
			return x.children(func(string, xml.StartElement) error {
				return x.children(func(name string, _ xml.StartElement) error {
					if name == "components" {
						return x.list(0)
					}
					return x.skip()
				})
			})
		}
		return x.skip()
	})
}

// list reads the components in a "components" element.
func (x *xmlReader) list(level int) error {
	return x.children(func(name string, start xml.StartElement) error {
		if name == "component" {
			return x.component(level, start)
		}
		return x.skip()
	})
}

func (x *xmlReader) component(level int, start xml.StartElement) error {
	for len(x.components) <= level {
		x.components = append(x.components, &component{})
	}
	c := x.components[level]
	c.reset(x.line)
	keep(&c.kind, []byte(attribute(start, "type")))
	err := x.children(func(name string, _ xml.StartElement) error {
		switch name {
		case "group":
			return x.into(&c.group)
		case "name":
			return x.into(&c.name)
		case "version":
			return x.into(&c.version)
		case "purl":
			return x.into(&c.purl)
		case "hashes":
			return x.children(func(_ string, start xml.StartElement) error {
				if err := x.into(&x.text); err != nil {
					return err
				}
				c.addDigest([]byte(attribute(start, "alg")), x.text)
				return nil
			})
		case "externalReferences":
			return x.children(func(_ string, start xml.StartElement) error {
				wanted := attribute(start, "type") == "distribution" && len(c.url) == 0
				return x.children(func(name string, _ xml.StartElement) error {
					if wanted && name == "url" {
						return x.into(&c.url)
					}
					return x.skip()
				})
			})
		case "components":
			return x.list(level + 1)
		}
		return x.skip()
	})
	if err != nil {
		return err
	}
	return x.sink.component(c)
}

// next gives the next token after checking it against the limits.
func (x *xmlReader) next() (xml.Token, error) {
	x.start = x.dec.InputOffset()
	x.line, _ = x.dec.InputPos()
	tok, err := x.dec.RawToken()
	if errors.Is(err, io.EOF) && len(x.open) > 0 {
		return nil, fmt.Errorf("invalid XML: the file ends inside %s", printable(x.open[len(x.open)-1], 60))
	}
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case xml.Directive:
		return nil, errDTD
	case xml.StartElement:
		if len(t.Attr) > maxAttributes {
			return nil, &limitError{what: "attributes in one tag", limit: maxAttributes, unit: "attributes"}
		}
		if len(x.open) >= x.sink.opt.Nesting {
			return nil, &limitError{what: "nesting", limit: int64(x.sink.opt.Nesting), unit: "levels"}
		}
		x.open = append(x.open, qualified(t.Name))
	case xml.EndElement:
		name := qualified(t.Name)
		if len(x.open) == 0 || x.open[len(x.open)-1] != name {
			return nil, fmt.Errorf("invalid XML: unexpected end of %s", printable(name, 60))
		}
		x.open = x.open[:len(x.open)-1]
	}
	return tok, nil
}

func qualified(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// children calls element for every child element of the one that was just
// opened, up to its end. element reads the child to its end. Children of
// another namespace are skipped.
func (x *xmlReader) children(element func(name string, start xml.StartElement) error) error {
	for {
		tok, err := x.next()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if x.foreign(t) {
				err = x.skip()
			} else {
				err = element(t.Name.Local, t)
			}
			if err != nil {
				return err
			}
		}
	}
}

func (x *xmlReader) foreign(start xml.StartElement) bool {
	if start.Name.Space != x.prefix {
		return true
	}
	for _, a := range start.Attr {
		if a.Name.Space == "" && a.Name.Local == "xmlns" && !strings.Contains(a.Value, "cyclonedx.org/schema/bom/") {
			return true
		}
	}
	return false
}

// skip reads to the end of the element that was just opened.
func (x *xmlReader) skip() error {
	for depth := len(x.open); len(x.open) >= depth; {
		if _, err := x.next(); err != nil {
			return err
		}
	}
	return nil
}

// into reads the text of the element that was just opened, without the white
// space around it, cut where its length still shows.
func (x *xmlReader) into(buf *[]byte) error {
	*buf = (*buf)[:0]
	for depth := len(x.open); len(x.open) >= depth; {
		tok, err := x.next()
		if err != nil {
			return err
		}
		if t, ok := tok.(xml.CharData); ok && len(x.open) == depth {
			if len(*buf) == 0 {
				t = bytes.TrimLeft(t, " \t\r\n")
			}
			*buf = append(*buf, t[:min(len(t), maxURL+1-min(len(*buf), maxURL+1))]...)
		}
	}
	*buf = bytes.TrimRight(*buf, " \t\r\n")
	return nil
}

func attribute(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
