package httpretry_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/httpretry"
)

func TestAfter(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		header string
		want   time.Duration
		ok     bool
	}{
		{"", 0, false}, {"-5", 0, false}, {"soon", 0, false}, {"1.5", 0, false},
		{"0", 0, true}, {"120", 2 * time.Minute, true}, {"99999999999", (1 << 31) * time.Second, true},
		{"Sat, 28 Nov 2026 12:01:30 GMT", 90 * time.Second, true}, // IMF-fixdate
		{"Saturday, 28-Nov-26 12:01:30 GMT", 90 * time.Second, true},
		{"Sat, 28 Nov 2026 11:00:00 GMT", 0, true},
	} {
		got, ok := httpretry.After(http.Header{"Retry-After": {test.header}}, now)
		if got != test.want || ok != test.ok {
			t.Errorf("%q: %v and %v, want %v and %v", test.header, got, ok, test.want, test.ok)
		}
	}
	if got, ok := httpretry.After(http.Header{}, now); got != 0 || ok {
		t.Errorf("none: %v and %v", got, ok)
	}
}
