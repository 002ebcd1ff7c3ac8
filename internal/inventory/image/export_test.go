package image

// ParseReference gives a reference as shown.
func ParseReference(s string) (string, error) {
	r, err := parseReference(s)
	return r.String(), err
}

// RetryAfter reads a header of that name.
var RetryAfter = retryAfter
