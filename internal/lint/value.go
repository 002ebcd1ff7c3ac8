package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// value is a JSON value as the document has it. The zero value and nil stand for a
// member that is not there.
type value struct {
	kind    jsontext.Kind
	text    string // of a string, decoded; of a number, its literal
	members []member
	items   []*value
}

type member struct {
	name string
	*value
}

// is reports whether v is there and of the kind.
func (v *value) is(k jsontext.Kind) bool { return v != nil && v.kind == k }

// get gives the member of an object, nil when there is none.
func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	for i := range v.members {
		if v.members[i].name == name {
			return v.members[i].value
		}
	}
	return nil
}

// str gives the text of a member that is a string, else "".
func (v *value) str(name string) string {
	if m := v.get(name); m.is('"') {
		return m.text
	}
	return ""
}

// list gives the elements of a member that is an array.
func (v *value) list(name string) []*value {
	if m := v.get(name); m.is('[') {
		return m.items
	}
	return nil
}

// document is what a file holds.
type document struct {
	root *value
	data []byte // without mark
	mark bool   // a byte order mark came first
}

// unreadable says why a file holds no document, and under which rule.
type unreadable struct {
	rule rule
	at   string
	text string
}

// read reads a document whose root is an object. Duplicate names, invalid UTF-8, lone
// surrogates and anything behind the end are errors of the JSON package.
func read(data []byte) (document, *unreadable) {
	if len(data) > maxDocument {
		return document{}, &unreadable{ruleLimit, "", fmt.Sprintf("%d bytes are more than the limit of %d", len(data), maxDocument)}
	}
	doc := document{data: data}
	doc.data, doc.mark = bytes.CutPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(doc.data)) == 0 {
		return document{}, &unreadable{ruleJSON, "", "empty"}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return document{}, &unreadable{ruleJSON, "", "UTF-16, not UTF-8"}
	}
	r := reader{dec: jsontext.NewDecoder(bytes.NewBuffer(doc.data))}
	if k := r.dec.PeekKind(); k != '{' && k != 0 {
		return document{}, &unreadable{ruleJSON, "", "want one object, got " + kindName(k)}
	}
	root, err := r.value(1)
	if err == nil {
		if _, err = r.dec.ReadToken(); errors.Is(err, io.EOF) {
			doc.root = root
			return doc, nil
		}
		if err == nil {
			err = errors.New("something stands behind the object")
		}
	}
	var over *unreadable
	if errors.As(err, &over) {
		return document{}, over
	}
	at := string(r.dec.StackPointer())
	if len(at) > maxPointer {
		at = ""
	}
	text := err.Error()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.Err != nil {
		text = fmt.Sprintf("%v at byte %d", syntax.Err, syntax.ByteOffset)
		if errors.Is(syntax.Err, io.ErrUnexpectedEOF) {
			text = "cut off"
		}
	}
	return document{}, &unreadable{ruleJSON, at, text}
}

func (u *unreadable) Error() string { return u.text }

type reader struct {
	dec    *jsontext.Decoder
	values int
}

// value reads one value whose arrays and objects are the depth-th that are open.
func (r *reader) value(depth int) (*value, error) {
	r.values++
	if r.values > maxValues {
		return nil, &unreadable{ruleLimit, "", fmt.Sprintf("more values than the limit of %d", maxValues)}
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	v := &value{kind: tok.Kind()}
	switch v.kind {
	case '"', '0':
		v.text = tok.String()
	case '{', '[':
		if depth > maxDepth {
			return nil, &unreadable{ruleLimit, "", fmt.Sprintf("more than %d arrays and objects inside each other", maxDepth)}
		}
		if err := r.container(v, depth); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// container reads what is in an array or object up to its end.
func (r *reader) container(v *value, depth int) error {
	for {
		switch r.dec.PeekKind() {
		case '}', ']':
			_, err := r.dec.ReadToken()
			return err
		}
		name := ""
		if v.kind == '{' {
			tok, err := r.dec.ReadToken()
			if err != nil {
				return err
			}
			name = tok.String()
		}
		x, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if v.kind == '{' {
			v.members = append(v.members, member{name, x})
		} else {
			v.items = append(v.items, x)
		}
	}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "something else"
}
