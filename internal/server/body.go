package server

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Limits of bodies, besides [Config].MaxBody. How long one may take to come in is the limit of the HTTP server.
const (
	// maxWhole bounds a body that is read whole, as it is sent and decompressed: 1,000 questions with names of a kilobyte.
	maxWhole = 4 << 20
	// maxDepth bounds the nesting of JSON that is read whole. npm's trees, which are deeper, are read as a stream.
	maxDepth = 64
)

// open gives a request's body, plain or gzip, of at most limit bytes both as it is sent and decompressed, and not of more than
// package bounded's ratio between the two. [bodyError] says to the client what went wrong with it.
func open(w http.ResponseWriter, r *http.Request, limit int64) (io.ReadCloser, error) {
	in := http.MaxBytesReader(w, r.Body, limit)
	switch strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return in, nil
	case "gzip", "x-gzip":
		z, compression, err := bounded.Decompress(in, limit)
		if err != nil {
			return nil, err
		}
		if compression != bounded.Gzip {
			z.Close()
			return nil, gzip.ErrHeader
		}
		return z, nil
	}
	return nil, &httpError{http.StatusUnsupportedMediaType, "the body's encoding is not known: send it plain or as gzip"}
}

// body reads a request's body, which may be in gzip, to its end.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	in, err := open(w, r, min(s.conf.MaxBody, maxWhole))
	if err != nil {
		return nil, bodyError(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}

// jsonBody reads a request's body, one JSON value of any content type, into v. An [*httpError] of v's own methods is passed on.
func (s *Server) jsonBody(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := s.body(w, r)
	if err != nil {
		return err
	}
	if tooDeep(data) {
		return &httpError{http.StatusBadRequest, fmt.Sprintf("the body is nested deeper than %d", maxDepth)}
	}
	if err := json.Unmarshal(data, v); err != nil {
		if said, ok := errors.AsType[*httpError](err); ok {
			return said
		}
		return &httpError{http.StatusBadRequest, "invalid JSON"} // the details would repeat what was sent
	}
	return nil
}

// bodyError says what is wrong with a body that could not be read to its end, without a word of what is in it.
func bodyError(err error) *httpError {
	if said, ok := errors.AsType[*httpError](err); ok {
		return said
	}
	tooLarge := func(limit int64) *httpError {
		return &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", limit)}
	}
	if sent, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(sent.Limit)
	}
	if unpacked, ok := errors.AsType[*bounded.LimitError](err); ok {
		return tooLarge(unpacked.Limit)
	}
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case errors.Is(err, bounded.ErrRatio):
		return &httpError{http.StatusRequestEntityTooLarge, "the body " + bounded.ErrRatio.Error()}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &httpError{http.StatusRequestTimeout, "the body did not come in time"}
	case corrupt, errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return &httpError{http.StatusBadRequest, "the body is not the gzip that it is said to be"}
	}
	return &httpError{http.StatusBadRequest, "the body could not be read to its end"}
}

// tooDeep looks at brackets outside of strings.
func tooDeep(data []byte) bool {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
