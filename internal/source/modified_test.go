package source

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseModified(t *testing.T) {
	// The example row of OSV's documentation of its data dumps, and the finest time of RFC 3339.
	rows, err := parseModified([]byte("2026-01-02T00:00:00.123456789Z,MAL-2026-1\r\n\n2026-01-02T00:00:00Z,GHSA-aaaa-bbbb-cccc"), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []modified{
		{"MAL-2026-1", time.Date(2026, 1, 2, 0, 0, 0, 123456789, time.UTC)},
		{"GHSA-aaaa-bbbb-cccc", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
	}
	if len(rows) != 2 || rows[0] != want[0] || rows[1] != want[1] {
		t.Errorf("got %v", rows)
	}
	for _, bad := range []string{
		"2026-01-02T00:00:00Z", "2026-01-02,MAL-1", ",MAL-1", "2026-01-02T00:00:00Z,", "2026-01-02T00:00:00Z,npm/MAL-1",
		"2026-01-02T00:00:00Z,../MAL-1", "2026-01-02T00:00:00Z,..", "2026-01-02T00:00:00Z,a b", "2026-01-02T00:00:00Z,MAL-1,x",
		"2026-01-02T00:00:00Z,\x1b[2J", "<html>", "2026-01-02T00:00:00Z,MAL-1\nx", "2026-01-02T00:00:00Z," + strings.Repeat("x", 256),
	} {
		if rows, err := parseModified([]byte(bad), 10); err == nil {
			t.Errorf("%q passed as %v", bad, rows)
		} else if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("message is not one printable line: %q", err)
		}
	}
	if _, err := parseModified([]byte(strings.Repeat("2026-01-02T00:00:00Z,MAL-1\n", 3)), 2); !errors.Is(err, ErrTooManyEntries) {
		t.Errorf("error is %v", err)
	}
}

func FuzzModifiedCSV(f *testing.F) {
	f.Add([]byte("2026-01-02T00:00:00Z,MAL-2026-1\n2026-01-01T00:00:00.5Z,GHSA-x\n"))
	f.Add([]byte("2026-01-02T00:00:00+01:00,MAL-1\r\n"))
	f.Add([]byte("<!doctype html>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := parseModified(data, 100)
		if err != nil {
			if len(rows) > 0 {
				t.Fatal("rows beside an error")
			}
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Fatalf("message is not one printable line: %q", err)
			}
			return
		}
		if len(rows) > 100 || len(rows) > strings.Count(string(data), ",") {
			t.Fatalf("%d rows", len(rows))
		}
		for _, r := range rows {
			if strings.ContainsAny(r.id, "/\\ \n%?#") || r.id == "" || r.id[0] == '.' {
				t.Fatalf("id %q", r.id)
			}
		}
	})
}
