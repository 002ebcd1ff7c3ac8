package lockfile

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// document reads one JSON file token by token, knowing its lines. Its methods
// each consume exactly one value; a value of another type than asked for is
// skipped, as the tools that own these files do not agree on which are optional.
type document struct {
	dec   *jsontext.Decoder
	lines inventory.LineCounter
}

// readJSON reads b, which must be one JSON object, giving each member's key to member.
func readJSON(b []byte, member func(d *document, key string) error) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return errors.New("the file is empty")
	}
	d := &document{dec: jsontext.NewDecoder(bytes.NewReader(b)), lines: inventory.LineCounter{Text: b}}
	if kind := d.dec.PeekKind(); kind != '{' {
		if _, err := d.dec.ReadToken(); err != nil {
			return d.fail(err)
		}
		return errors.New("not a JSON object")
	}
	if err := d.object(func(key string) error { return member(d, key) }); err != nil {
		return err
	}
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more than one JSON value")
		}
		return d.fail(err)
	}
	return nil
}

// fail says on which line the text is not what it should be.
func (d *document) fail(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		d.lines = inventory.LineCounter{Text: d.lines.Text} // it may be before the token read last
		return inventory.AtLine(d.lines.Of(int(syntax.ByteOffset)), "%w", syntax.Err)
	}
	return err
}

// line is the line of the token read last.
func (d *document) line() int { return d.lines.Of(int(d.dec.InputOffset())) }

func (d *document) token() (jsontext.Token, error) {
	t, err := d.dec.ReadToken()
	if err != nil {
		return t, d.fail(err)
	}
	if d.dec.StackDepth() > inventory.MaxNesting {
		return t, inventory.AtLine(d.line(), "nested deeper than %d", inventory.MaxNesting)
	}
	return t, nil
}

// skip passes over the next value.
func (d *document) skip() error {
	depth := d.dec.StackDepth()
	for {
		if _, err := d.token(); err != nil {
			return err
		}
		if d.dec.StackDepth() <= depth {
			return nil
		}
	}
}

// object calls member for each member of the next value, which must consume the member's value.
func (d *document) object(member func(key string) error) error {
	if d.dec.PeekKind() != '{' {
		return d.skip()
	}
	if _, err := d.token(); err != nil {
		return err
	}
	for d.dec.PeekKind() != '}' {
		t, err := d.token()
		if err != nil {
			return err
		}
		if err := member(t.String()); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// array calls element for each element of the next value, which must consume it.
func (d *document) array(element func() error) error {
	if d.dec.PeekKind() != '[' {
		return d.skip()
	}
	if _, err := d.token(); err != nil {
		return err
	}
	for d.dec.PeekKind() != ']' {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// text stores the next value in s if it is a string, else leaves s as it is.
func (d *document) text(s *string) error {
	if d.dec.PeekKind() != '"' {
		return d.skip()
	}
	t, err := d.token()
	if err == nil {
		*s = t.String()
	}
	return err
}

// texts gives the strings of the next value, an array; other elements are left out.
func (d *document) texts() ([]string, error) {
	var all []string
	err := d.array(func() error {
		var s string
		if err := d.text(&s); err != nil {
			return err
		}
		if s != "" {
			all = append(all, s)
		}
		return nil
	})
	return all, err
}
