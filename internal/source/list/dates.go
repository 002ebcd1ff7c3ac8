package list

import (
	"strconv"
	"strings"
	"time"
)

// layouts are the spellings of a date that mean one thing only. Those without a
// zone are taken for UTC.
var layouts = []string{
	time.RFC3339Nano, time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02T15:04Z",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05.999999999",
	"2006/01/02", "2006/1/2", "2006.01.02", "20060102", "2006-1-2",
	"2 Jan 2006", "2 January 2006", "Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "January 2 2006", "2-Jan-2006", "02-Jan-06", "Jan. 2, 2006",
	time.RFC1123Z, "2.1.2006",
}

// order is what a column of dates with slashes proves about itself.
type order int

const (
	orderUnknown order = iota
	dayFirst
	monthFirst
	orderMixed // both: proves nothing
)

// with adds what a cell proves: a date that can only be read one way.
func (o order) with(s string) order {
	a, b, _, ok := slashed(s)
	if !ok {
		return o
	}
	var seen order
	switch {
	case a > 12 && b <= 12:
		seen = dayFirst
	case b > 12 && a <= 12:
		seen = monthFirst
	default:
		return o
	}
	if o != orderUnknown && o != seen {
		return orderMixed
	}
	return seen
}

// slashed takes 2/26/2025 apart.
func slashed(s string) (a, b, year int, ok bool) {
	parts := strings.Split(strings.TrimSpace(s), "/")
	if len(parts) != 3 || len(parts[0]) > 2 || len(parts[1]) > 2 || len(parts[2]) != 4 {
		return 0, 0, 0, false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 1 {
			return 0, 0, 0, false
		}
		n[i] = v
	}
	return n[0], n[1], n[2], true
}

// parseDate reads a date as people write it, in UTC; the reason says why it could not.
func parseDate(s string, o order) (t time.Time, reason string) {
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return t, "a date of more than 64 bytes"
	}
	if a, b, year, ok := slashed(s); ok {
		day, month := a, b
		switch {
		case a == b, a > 12:
		case b > 12, o == monthFirst:
			day, month = b, a
		case o == dayFirst:
		default:
			return t, "an ambiguous date: day or month first?"
		}
		return sane(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), month <= 12 && day <= daysIn(year, month))
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && (len(s) == 10 || len(s) == 13) {
		if len(s) == 13 {
			return sane(time.UnixMilli(n).UTC(), true)
		}
		return sane(time.Unix(n, 0).UTC(), true)
	}
	// time.Parse takes any other abbreviation for a zone at UTC.
	for _, zone := range [...]string{" UTC", " GMT", " (UTC)", "Z"} {
		if cut, ok := strings.CutSuffix(s, zone); ok {
			if t, err := time.Parse(time.DateTime, strings.TrimSpace(cut)); err == nil {
				return sane(t, true)
			}
			if zone != "Z" {
				s = strings.TrimSpace(cut)
			}
		}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return sane(t.UTC(), true)
		}
	}
	return t, "not a date"
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// sane refuses years in which no package was published.
func sane(t time.Time, ok bool) (time.Time, string) {
	if !ok || t.Year() < 1990 || t.Year() > 2100 {
		return time.Time{}, "not a date"
	}
	return t, ""
}
