package postgres

import (
	"fmt"
	"slices"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

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
	if keys, err = store.DistinctKeys(keys); err != nil {
		return nil, nil, err
	}
	ecosystems, names = make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		ecosystems[i], names[i] = k.Ecosystem, k.Name
	}
	return ecosystems, names, nil
}

// list is how a slice of strings is stored: an array is never NULL.
func list(what string, l []string) ([]string, error) {
	if err := store.CheckText(what, l...); err != nil {
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
