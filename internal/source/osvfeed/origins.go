package osvfeed

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/osv"
)

// maxOrigins bounds the origins of a record; real ones have at most a dozen.
const maxOrigins = 256

// origin is an entry of database_specific.malicious-packages-origins: what one
// of upstream's sources said, and when
// (https://github.com/ossf/malicious-packages, internal/report).
type origin struct {
	Source   string        `json:"source"`
	ID       string        `json:"id"`
	SHA256   string        `json:"sha256"`
	Imported osv.Timestamp `json:"import_time"`
	Modified osv.Timestamp `json:"modified_time"`
	Versions []string      `json:"versions"`
	Ranges   []osv.Range   `json:"ranges"`
}

// databaseSpecific reads what upstream keeps in the record's database_specific.
// An entry that cannot be read is noted; what it said stays with the record.
func (p *parser) databaseSpecific() (origins []origin, indicators jsontext.Value) {
	if len(p.rec.DatabaseSpecific) == 0 || p.rec.DatabaseSpecific.Kind() != '{' {
		return nil, nil
	}
	var specific struct {
		Origins    jsontext.Value `json:"malicious-packages-origins"`
		Indicators jsontext.Value `json:"iocs"`
	}
	if err := json.Unmarshal(p.rec.DatabaseSpecific, &specific); err != nil {
		p.note("database_specific", err.Error(), false)
		return nil, nil
	}
	indicators = ordered(specific.Indicators)
	var raw []jsontext.Value
	if len(specific.Origins) > 0 {
		if err := json.Unmarshal(specific.Origins, &raw); err != nil {
			p.note("malicious-packages-origins", "not a list: "+err.Error(), false)
		}
	}
	for i, v := range raw {
		if len(origins) == maxOrigins {
			p.note("malicious-packages-origins", fmt.Sprintf("%d origins, of which %d are told apart", len(raw), maxOrigins), false)
			break
		}
		var o origin
		if err := json.Unmarshal(v, &o); err != nil {
			p.note("malicious-packages-origins", fmt.Sprintf("entry %d: %v", i, err), false)
			continue
		}
		o.Source = claim.Slug(o.Source)
		if o.Source == "" || len(o.ID) > ecosystem.MaxIdentifier || strings.IndexByte(o.ID, 0) >= 0 {
			p.note("malicious-packages-origins", fmt.Sprintf("entry %d: no source, or an id that cannot be one", i), false)
			continue
		}
		o.SHA256 = strings.ToLower(o.SHA256)
		if b, err := hex.DecodeString(o.SHA256); err != nil || len(b) != 32 {
			o.SHA256 = ""
		}
		origins = append(origins, o)
	}
	return origins, indicators
}

// revisions parts the origins into those that count, in their order, and those
// that the same source replaced later under the same id. Entries without an id
// all count: nothing says that one is about the other.
func revisions(origins []origin) (stale, current []origin) {
	type identity struct{ source, id string }
	newest := make(map[identity]int)
	for i, o := range origins {
		id := identity{o.Source, o.ID}
		if j, ok := newest[id]; !ok || o.newer(&origins[j]) {
			newest[id] = i
		}
	}
	for i, o := range origins {
		if o.ID != "" && newest[identity{o.Source, o.ID}] != i {
			stale = append(stale, o)
		} else {
			current = append(current, o)
		}
	}
	return stale, current
}

// newer orders two revisions, by the time of the statement, then of its import.
// The digest decides a tie, so that the order of entries does not.
func (o *origin) newer(than *origin) bool {
	for _, times := range [][2]osv.Timestamp{{o.Modified, than.Modified}, {o.Imported, than.Imported}} {
		a, b := parsed(times[0]), parsed(times[1])
		if !a.Equal(b) {
			return a.After(b)
		}
	}
	return o.SHA256 > than.SHA256
}

func parsed(ts osv.Timestamp) time.Time {
	t, err := ts.Time()
	if err != nil {
		return time.Time{}
	}
	return t
}

// ref names the origin's claim, and keeps it from the names already in used.
func (o *origin) ref(base string, used map[string]bool) string {
	id := o.ID
	if id == "" && o.SHA256 != "" {
		id = o.SHA256[:12]
	}
	name := base + "#" + o.Source + ":" + id
	for n := 2; used[name]; n++ {
		name = base + "#" + o.Source + ":" + id + "." + strconv.Itoa(n)
	}
	used[name] = true
	return name
}

// statement is what of an affected entry no origin has claimed yet.
type statement struct {
	versions map[string]bool // true while unclaimed
	ranges   map[string]bool // by rangeKey
	keys     []string        // rangeKey of each of the entry's ranges
}

func newStatement(a *osv.Affected) *statement {
	s := &statement{versions: make(map[string]bool, len(a.Versions)), ranges: make(map[string]bool, len(a.Ranges))}
	for _, v := range a.Versions {
		s.versions[v] = true
	}
	for i := range a.Ranges {
		k := rangeKey(&a.Ranges[i])
		s.keys = append(s.keys, k)
		s.ranges[k] = true
	}
	return s
}

// take gives what both the origin and the entry say, as the entry writes it.
func (s *statement) take(a *osv.Affected, o *origin) (versions []string, ranges []osv.Range) {
	seen := make(map[string]bool)
	for _, v := range o.Versions {
		if _, ok := s.versions[v]; ok && !seen[v] {
			seen[v] = true
			s.versions[v] = false
			versions = append(versions, v)
		}
	}
	said := make(map[string]bool)
	for i := range o.Ranges {
		said[rangeKey(&o.Ranges[i])] = true
	}
	for i, k := range s.keys {
		if said[k] {
			said[k] = false
			s.ranges[k] = false
			ranges = append(ranges, a.Ranges[i])
		}
	}
	return versions, ranges
}

// drop forgets the ranges that only stale revisions say, and tells how many.
func (s *statement) drop(stale []origin) (dropped int) {
	for i := range stale {
		for j := range stale[i].Ranges {
			if k := rangeKey(&stale[i].Ranges[j]); s.ranges[k] {
				s.ranges[k] = false
				dropped++
			}
		}
	}
	return dropped
}

// rest gives what is still unclaimed.
func (s *statement) rest(a *osv.Affected) (versions []string, ranges []osv.Range) {
	for _, v := range a.Versions {
		if s.versions[v] {
			s.versions[v] = false
			versions = append(versions, v)
		}
	}
	for i, k := range s.keys {
		if s.ranges[k] {
			s.ranges[k] = false
			ranges = append(ranges, a.Ranges[i])
		}
	}
	return versions, ranges
}

// rangeKey is equal for ranges of equal value: what else an entry keeps in its
// range (database_specific) is not what the origin said.
func rangeKey(g *osv.Range) string {
	var b strings.Builder
	for _, s := range []string{g.Type, g.Repo} {
		b.WriteString(strconv.Quote(s))
	}
	for _, e := range g.Events {
		for _, s := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
			b.WriteString(strconv.Quote(s))
		}
	}
	return b.String()
}
