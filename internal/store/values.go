package store

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/claim"
)

// MaxSample is how many bytes of an unreadable document are kept ([Quarantined]).
const MaxSample = 64 << 10

// CheckText gives [ErrText], with what the strings are, when one of them cannot be stored. Engines
// ask before the database does: its refusal would end the transaction in one and not in another.
func CheckText(what string, texts ...string) error {
	for _, s := range texts {
		if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
			return fmt.Errorf("%s %.80q: %w", what, s, ErrText)
		}
	}
	return nil
}

// CompareKeys is the order "by key": by ecosystem, then by name, both by their bytes.
func CompareKeys(a, b rapsheet.Key) int {
	return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
}

// DistinctKeys gives the keys in the order of [CompareKeys], each once, or [ErrText]. The slice
// that came stays as it is.
func DistinctKeys(keys []rapsheet.Key) ([]rapsheet.Key, error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, CompareKeys)
	keys = slices.Compact(keys)
	for _, k := range keys {
		if err := CheckText("key", k.Ecosystem, k.Name); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// Statement is the claim as engines store it: [claim.Claim.Marshal], or [ErrText] when one of its
// strings cannot be stored.
func Statement(c *claim.Claim) ([]byte, error) {
	b, err := c.Marshal()
	if err != nil {
		// Text is the reason when the same can be written without its rules.
		if _, lax := json.Marshal(c, jsontext.AllowInvalidUTF8(true)); lax == nil {
			return nil, fmt.Errorf("%w: %w", err, ErrText)
		}
		return nil, err
	}
	if hasNUL(b) {
		return nil, fmt.Errorf("claim %.80q: %w", c.Ref, ErrText)
	}
	return b, nil
}

// hasNUL reports whether a string in the JSON document b has a NUL, which JSON writes as \u0000
// (RFC 8259, section 7); behind an odd number of other backslashes this is a backslash and letters.
func hasNUL(b []byte) bool {
	for {
		i := bytes.Index(b, []byte(`\u0000`))
		if i < 0 {
			return false
		}
		before := 0
		for before < i && b[i-1-before] == '\\' {
			before++
		}
		if before%2 == 0 {
			return true
		}
		b = b[i+1:]
	}
}
