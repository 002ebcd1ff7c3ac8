package postgres

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/store"
)

// checkText refuses what the type text cannot hold before the server does, because an
// error of the server ends the transaction and that of another engine does not.
func checkText(what string, texts ...string) error {
	for _, s := range texts {
		if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
			return fmt.Errorf("%s %.80q: %w", what, s, store.ErrText)
		}
	}
	return nil
}

// checkTime refuses times that JSON cannot say (RFC 3339 has years of four digits); all
// others fit timestamptz.
func checkTime(what string, times ...time.Time) error {
	for _, t := range times {
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return fmt.Errorf("%s: the year %d is not one of 0 to 9999", what, y)
		}
	}
	return nil
}

// statement is the claim as it is stored, refused like any text when it has a NUL or is
// not UTF-8.
func statement(c *claim.Claim) ([]byte, error) {
	b, err := c.Marshal()
	if err != nil {
		if _, lax := json.Marshal(c, jsontext.AllowInvalidUTF8(true)); lax == nil {
			return nil, fmt.Errorf("claim %.80q: %w", c.Ref, store.ErrText)
		}
		return nil, err
	}
	if hasNUL(b) {
		return nil, fmt.Errorf("claim %.80q: %w", c.Ref, store.ErrText)
	}
	return b, nil
}

// hasNUL reports whether a string in a JSON document has a NUL, which JSON can only
// write as \u0000.
func hasNUL(doc []byte) bool {
	escape := []byte(`u0000`)
	for i := 0; ; {
		j := bytes.Index(doc[i:], escape)
		if j < 0 {
			return false
		}
		i += j
		slashes := 0
		for k := i - 1; k >= 0 && doc[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 1 {
			return true
		}
		i += len(escape)
	}
}

// digest scans a bytea of 32 bytes.
type digest store.Digest

// ScanBytes implements pgtype.BytesScanner.
func (d *digest) ScanBytes(v []byte) error {
	if len(v) != len(d) {
		return fmt.Errorf("digest of %d bytes", len(v))
	}
	copy(d[:], v)
	return nil
}

// sorted gives the rows in the order of their keys, which every writer and every index
// shares, and of those with equal keys only the last: one statement cannot write a row twice.
func sorted[T any](rows []T, compare func(a, b *T) int) []*T {
	out := make([]*T, len(rows))
	for i := range rows {
		out[i] = &rows[len(rows)-1-i]
	}
	slices.SortStableFunc(out, compare)
	return slices.CompactFunc(out, func(a, b *T) bool { return compare(a, b) == 0 })
}

// keyColumns are the distinct keys as two columns.
func keyColumns(keys []rapsheet.Key) (ecosystems, names []string, err error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b rapsheet.Key) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name))
	})
	keys = slices.Compact(keys)
	ecosystems, names = make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		if err := checkText("key", k.Ecosystem, k.Name); err != nil {
			return nil, nil, err
		}
		ecosystems[i], names[i] = k.Ecosystem, k.Name
	}
	return ecosystems, names, nil
}

// list is how a slice of strings is stored: an array is never NULL.
func list(what string, l []string) ([]string, error) {
	if err := checkText(what, l...); err != nil {
		return nil, err
	}
	return append([]string{}, l...), nil
}

// blob is how bytes are stored: never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
