package image

// ParseReference gives a reference as shown.
func ParseReference(s string) (string, error) {
	r, err := parseReference(s)
	return r.String(), err
}

// Pause is how long to wait by a header.
var Pause = pause
