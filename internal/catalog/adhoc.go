package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// AdHoc makes records of claims for one use, such as a scan for what a list names that has just come
// out: they are merged and rendered as an import would, and neither stored nor guarded. Records
// without an id of their source are LIST-<source>-<n>, counted in the order of packages; such an id
// means nothing anywhere else.
func AdHoc(claims []claim.Claim, now time.Time) (*index.Builder, int, error) {
	byKey := map[rapsheet.Key][]store.Claim{}
	for _, c := range claims {
		c.Normalise()
		key := claimKey(&c)
		byKey[key] = append(byKey[key], store.Claim{Claim: c, Key: key, Status: store.Standing, Seen: now})
	}
	keys := slices.SortedFunc(maps.Keys(byKey), func(a, b rapsheet.Key) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
	})
	b := &index.Builder{Latest: now.Add(24 * time.Hour)}
	n := 0
	for _, key := range keys {
		for _, d := range Merge(Material{Key: key, Claims: byKey[key]}) {
			n++
			if d.ID == "" {
				d.ID = fmt.Sprintf("LIST-%s-%d", d.Claims[0].Source, n)
			}
			it, err := adHocItem(&d, now)
			if err != nil {
				return nil, 0, fmt.Errorf("%s %s: %w", key.Ecosystem, key.Name, err)
			}
			b.Add(it)
		}
	}
	return b, n, nil
}

func adHocItem(d *Draft, now time.Time) (index.Item, error) {
	rec, _, err := Render(d, nil, now)
	if err != nil {
		return index.Item{}, err
	}
	r, _, err := osv.Parse(rec.JSON)
	if err != nil {
		return index.Item{}, err
	}
	return index.PrepareWritten(r, rec.JSON)
}
