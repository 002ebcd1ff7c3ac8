package server

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
)

// body reads a request's body, plain or gzip, bounded in both forms.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, s.conf.MaxBody)
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, &httpError{http.StatusBadRequest, "the body is not gzip as its Content-Encoding says"}
		}
		in = io.LimitReader(z, s.conf.MaxBody+1)
	default:
		return nil, &httpError{http.StatusUnsupportedMediaType, "the body may be plain or gzip"}
	}
	b, err := io.ReadAll(in)
	if _, large := errors.AsType[*http.MaxBytesError](err); large || int64(len(b)) > s.conf.MaxBody {
		return nil, &httpError{http.StatusRequestEntityTooLarge, "the body is too large"}
	}
	if err != nil {
		return nil, &httpError{http.StatusBadRequest, "the body could not be read to its end"}
	}
	return b, nil
}
