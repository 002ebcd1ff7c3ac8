// Package httpretry reads how long an HTTP server asks to wait before the next attempt.
package httpretry

import (
	"net/http"
	"strconv"
	"time"
)

// After is the time from now that Retry-After asks to wait (RFC 9110, section 10.2.3: seconds or a date), which is never
// negative and, in seconds, at most 2^31; ok is false if h has none that can be read. The caller decides what is too long.
func After(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	s := h.Get("Retry-After")
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return time.Duration(min(n, 1<<31)) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0), true
	}
	return 0, false
}
