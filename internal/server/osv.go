package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// The API of OSV.dev, version 1: https://google.github.io/osv.dev/api/ and the server in
// github.com/google/osv.dev, go/internal/api. Answers are never cut into pages: pip-audit reads one only, and a
// package has a handful of records.

const (
	maxQueries = 1000
	maxOSVID   = 100
	// firstPage is the token that OSV.dev gives for a first page.
	firstPage = "RklSU1RfUEFHRV9UT0tFTg=="
)

// Codes of gRPC (https://grpc.io/docs/guides/status-codes/).
const (
	codeInvalid   = 3
	codeNotFound  = 5
	codeExhausted = 8
)

// osvError is an answer in the shape of gRPC-Gateway, which carries the code of gRPC beside the status of HTTP.
type osvError struct {
	status, code int
	message      string
}

func (e *osvError) Error() string { return e.message }

func invalid(format string, args ...any) error {
	return &osvError{http.StatusBadRequest, codeInvalid, fmt.Sprintf(format, args...)}
}

func (s *Server) osvRoutes(mux *http.ServeMux) {
	handle := func(pattern string, h handler) {
		s.handle(mux, pattern, func(g *generation, w http.ResponseWriter, r *http.Request) error {
			err := h(g, w, r)
			var said *osvError
			if !errors.As(err, &said) {
				return err
			}
			data, err := json.Marshal(struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			}{said.code, said.message})
			if err != nil {
				return err
			}
			return writeJSON(w, said.status, data)
		})
	}
	handle("POST /v1/query", s.osvQuery)
	handle("POST /v1/querybatch", s.osvBatch)
	handle("GET /v1/vulns/{id}", s.osvRecord)
	// What a file with this digest is, of libraries in C: nothing that is on record.
	handle("POST /v1experimental/determineversion", func(_ *generation, w http.ResponseWriter, _ *http.Request) error {
		return writeJSON(w, http.StatusOK, []byte(`{"matches":[]}`))
	})
}

func writeJSON(w http.ResponseWriter, status int, data []byte) error {
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that is gone is no error of ours
	return nil
}

// osvQuery is one question. Members that are not known are passed over.
type osvQuery struct {
	Commit  string `json:"commit"`
	Version string `json:"version"`
	Package struct {
		Name      string `json:"name"`
		Ecosystem string `json:"ecosystem"`
		PURL      string `json:"purl"`
	} `json:"package"`
	PageToken string `json:"page_token"`
}

// osvQueries stops reading at one question too many.
type osvQueries []osvQuery

var errTooMany error = &httpError{http.StatusBadRequest, "too many queries"}

// UnmarshalJSONFrom reads an array or null.
func (q *osvQueries) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		return dec.SkipValue()
	}
	if kind := dec.PeekKind(); kind != '[' {
		return fmt.Errorf("queries is %v and no array", kind)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		if len(*q) == maxQueries {
			return errTooMany
		}
		var one osvQuery
		if err := json.UnmarshalDecode(dec, &one); err != nil {
			return err
		}
		*q = append(*q, one)
	}
	_, err := dec.ReadToken()
	return err
}

// readOSV reads a body into v.
func (s *Server) readOSV(w http.ResponseWriter, r *http.Request, v any) error {
	err := s.jsonBody(w, r, v)
	said, ok := errors.AsType[*httpError](err)
	switch {
	case !ok:
		return err
	case said.status == http.StatusRequestEntityTooLarge:
		return &osvError{said.status, codeExhausted, said.message}
	}
	return &osvError{said.status, codeInvalid, said.message}
}

func (s *Server) osvQuery(g *generation, w http.ResponseWriter, r *http.Request) error {
	var q osvQuery
	if err := s.readOSV(w, r, &q); err != nil {
		return err
	}
	records, err := g.answer(&q)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return writeJSON(w, http.StatusOK, []byte("{}"))
	}
	var out bytes.Buffer
	out.WriteString(`{"vulns":[`)
	for i, rec := range records {
		full, err := g.ix.Document(rec)
		if err != nil {
			return err
		}
		doc, err := s.document(full)
		if err != nil {
			return err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(doc)
	}
	out.WriteString("]}")
	return writeJSON(w, http.StatusOK, out.Bytes())
}

// document writes a record as clients read it.
func (s *Server) document(rec *osv.Record) ([]byte, error) {
	return advisory.Plain(rec, s.links()).Marshal()
}

func (s *Server) osvBatch(g *generation, w http.ResponseWriter, r *http.Request) error {
	var batch struct {
		Queries osvQueries `json:"queries"`
	}
	if err := s.readOSV(w, r, &batch); err != nil {
		return err
	}
	out := []byte(`{"results":[`)
	for i := range batch.Queries {
		if i > 0 {
			out = append(out, ',')
		}
		records, err := g.answer(&batch.Queries[i])
		var said *osvError
		if errors.As(err, &said) {
			return invalid("error in query at index %d: %s", i, said.message)
		}
		if err != nil {
			return err
		}
		if len(records) == 0 {
			out = append(out, "{}"...)
			continue
		}
		out = append(out, `{"vulns":[`...)
		for j, rec := range records {
			if j > 0 {
				out = append(out, ',')
			}
			// Ids are of letters, digits and a few signs: nothing that JSON escapes.
			out = append(append(append(out, `{"id":"`...), rec.ID...), '"')
			if at := g.modifiedOf(rec.Document); at != "" {
				out = append(append(append(out, `,"modified":"`...), at...), '"')
			}
			out = append(out, '}')
		}
		out = append(out, "]}"...)
	}
	return writeJSON(w, http.StatusOK, append(out, "]}"...))
}

func (s *Server) osvRecord(g *generation, w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if len(id) > maxOSVID {
		return invalid("ID is too long")
	}
	records, err := g.ix.ByID(id)
	if err != nil {
		return err
	}
	var others []string
	for _, rec := range records {
		if rec.ID != id {
			others = append(others, rec.ID)
			continue
		}
		data, err := s.document(rec)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, data)
	}
	message := "Vulnerability not found"
	if len(others) > 0 {
		slices.Sort(others)
		message += ", but the following aliases were: " + strings.Join(others, " ")
	}
	return &osvError{http.StatusNotFound, codeNotFound, message}
}

// answer gives the records in force that a question is about, by ecosystem and id.
func (g *generation) answer(q *osvQuery) ([]rapsheet.Record, error) {
	if q.PageToken != "" && q.PageToken != firstPage {
		return nil, invalid("invalid cursor") // none was given out
	}
	p := rapsheet.Package{Ecosystem: q.Package.Ecosystem, Name: q.Package.Name, Version: q.Version}
	switch {
	case q.Package.PURL != "":
		switch {
		case p.Name != "":
			return nil, invalid("name specified in a PURL query")
		case p.Ecosystem != "":
			return nil, invalid("ecosystem specified in a PURL query")
		}
		of, _, err := ecosystem.ParsePURL(q.Package.PURL)
		switch {
		case errors.Is(err, ecosystem.ErrUnknownType):
			return nil, nil
		case err != nil:
			return nil, invalid("invalid query")
		case of.Version != "" && q.Version != "":
			return nil, invalid("version specified in params and PURL query")
		case of.Version != "":
			p.Version = of.Version
		}
		p.Ecosystem, p.Name = of.Ecosystem, of.Name
	case q.Commit != "":
		if (len(q.Commit) != 40 && len(q.Commit) != 64) || strings.Trim(q.Commit, "0123456789abcdefABCDEF") != "" {
			return nil, invalid("invalid hash")
		}
		return nil, nil // no record is about a commit
	case p == (rapsheet.Package{}):
		return nil, invalid("no query provided")
	case p.Name == "":
		return nil, invalid("invalid query")
	case p.Ecosystem == "":
		if p.Version == "" {
			return nil, invalid("invalid query")
		}
		var all []rapsheet.Record
		for _, e := range ecosystem.All() {
			p.Ecosystem = e.Name
			records, err := g.affected(p)
			if err != nil {
				return nil, err
			}
			all = append(all, records...)
		}
		return all, nil
	case !osv.KnownEcosystem(p.Ecosystem):
		return nil, invalid("invalid ecosystem")
	}
	return g.affected(p)
}

// affected gives the records in force about p: those that its version is affected by, or all where it has none.
func (g *generation) affected(p rapsheet.Package) ([]rapsheet.Record, error) {
	p.Ecosystem, _, _ = strings.Cut(p.Ecosystem, ":")
	key, ok := ecosystem.KeyOf(p)
	if !ok {
		return nil, nil
	}
	records, err := g.ix.Lookup(key)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	out := records[:0]
	for i := range records {
		rec := &records[i]
		if rec.Withdrawn || match.Judge(rec, &rapsheet.Sighting{Package: p}).Verdict == rapsheet.VerdictNone {
			continue
		}
		if len(out) == 0 || out[len(out)-1].Document != rec.Document { // a record may be about a package twice
			out = append(out, *rec)
		}
	}
	return out, nil
}

// pace slows down work that nobody waits for: after each run of work it rests three times as long, so that one of two
// processors stays free for requests.
type pace struct {
	since time.Time
}

// paceRun is how long a run is at least.
const paceRun = time.Millisecond

func (p *pace) rest() {
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
	}
	if d := now.Sub(p.since); d >= paceRun {
		time.Sleep(3 * d)
		p.since = time.Now()
	}
}

// noTime stands for the time of a record that does not say it.
const noTime = -1 << 63

// modifiedTimes reads the snapshot through, and gives when each record was modified, in microseconds of Unix time, by number of
// the document: lists of ids say it of each. With an earlier generation being served it takes its time.
func (s *Server) modifiedTimes(ix *index.Index) ([]int64, error) {
	out := make([]int64, 0, min(ix.Meta().Records, 1<<24))
	var p pace
	busy := s.current.Load() != nil
	err := ix.VerifyEach(func(n int, doc []byte) error {
		if busy && n%64 == 0 {
			p.rest()
		}
		at := int64(noTime)
		if t, err := modifiedIn(doc).Time(); err == nil && !t.IsZero() {
			at = t.UnixMicro()
		}
		out = append(out, at)
		return nil
	})
	return out, err
}

// modifiedIn finds the time in a document. Package osv writes it third, so that little is read.
func modifiedIn(doc []byte) osv.Timestamp {
	dec := jsontext.NewDecoder(bytes.NewReader(doc))
	if _, err := dec.ReadToken(); err != nil {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() != "modified" {
			if dec.SkipValue() != nil {
				return ""
			}
			continue
		}
		value, err := dec.ReadToken()
		if err != nil || value.Kind() != '"' {
			return ""
		}
		return osv.Timestamp(value.String())
	}
	return ""
}

// modifiedOf writes the time as [advisory.PlainTime] does.
func (g *generation) modifiedOf(document uint32) string {
	if int64(document) >= int64(len(g.times)) || g.times[document] == noTime {
		return ""
	}
	return time.UnixMicro(g.times[document]).UTC().Format(time.RFC3339Nano)
}
