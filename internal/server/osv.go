package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// osvRoutes serve the API of OSV.dev (https://google.github.io/osv.dev/api/): the same questions, answers and errors. There
// are no pages: a package has few records.
func (s *Server) osvRoutes(mux *http.ServeMux) {
	s.handle(mux, "POST /v1/query", osvErrors(s.osvQuery))
	s.handle(mux, "POST /v1/querybatch", osvErrors(s.osvBatch))
	s.handle(mux, "GET /v1/vulns/{id}", osvErrors(s.osvRecord))
	// Nothing on record is known by the hashes of its files.
	s.handle(mux, "POST /v1experimental/determineversion", func(_ *generation, w http.ResponseWriter, _ *http.Request) error {
		return writeJSON(w, http.StatusOK, []byte(`{"matches":[]}`))
	})
}

const (
	maxOSVBatch = 1000
	maxOSVID    = 100
	// Codes of gRPC, which errors have beside the status of HTTP.
	codeInvalid  = 3
	codeNotFound = 5
)

// osvError is an answer in the shape of OSV.dev's gateway.
type osvError struct {
	status, code int
	message      string
}

func (e *osvError) Error() string { return e.message }

func invalid(message string) error { return &osvError{http.StatusBadRequest, codeInvalid, message} }

// osvErrors writes errors as OSV.dev does.
func osvErrors(h handler) handler {
	return func(g *generation, w http.ResponseWriter, r *http.Request) error {
		err := h(g, w, r)
		var said *osvError
		var plain *httpError
		switch {
		case errors.As(err, &said):
		case errors.As(err, &plain):
			said = &osvError{plain.status, codeInvalid, plain.message}
		default:
			return err
		}
		b, err := json.Marshal(struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}{said.code, said.message})
		if err != nil {
			return err
		}
		return writeJSON(w, said.status, b)
	}
}

func writeJSON(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // an error says that the client is gone
	return nil
}

// osvQuestion is one query. Members that are not known are passed over, as clients newer than this program may have them.
type osvQuestion struct {
	Commit  string `json:"commit"`
	Version string `json:"version"`
	Package struct {
		Name      string `json:"name"`
		Ecosystem string `json:"ecosystem"`
		PURL      string `json:"purl"`
	} `json:"package"`
}

// lenient reads JSON as clients write it: a member twice, and any case, is their doing, and the depth is bounded by package jsontext.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func (s *Server) osvQuery(g *generation, w http.ResponseWriter, r *http.Request) error {
	body, err := s.body(w, r)
	if err != nil {
		return err
	}
	var q osvQuestion
	if err := json.Unmarshal(body, &q, lenient); err != nil {
		return invalid("invalid query")
	}
	records, err := g.osvMatches(&q)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return writeJSON(w, http.StatusOK, []byte("{}"))
	}
	out := []byte(`{"vulns":[`)
	for i, rec := range records {
		doc, err := g.ix.Document(rec)
		if err != nil {
			return err
		}
		b, err := doc.Marshal()
		if err != nil {
			return err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, b...)
	}
	return writeJSON(w, http.StatusOK, append(out, `]}`...))
}

func (s *Server) osvBatch(g *generation, w http.ResponseWriter, r *http.Request) error {
	body, err := s.body(w, r)
	if err != nil {
		return err
	}
	var batch struct {
		Queries []osvQuestion `json:"queries"`
	}
	if err := json.Unmarshal(body, &batch, lenient); err != nil {
		return invalid("invalid query")
	}
	if len(batch.Queries) > maxOSVBatch {
		return invalid("too many queries")
	}
	out := []byte(`{"results":[`)
	for i := range batch.Queries {
		records, err := g.osvMatches(&batch.Queries[i])
		var said *osvError
		if errors.As(err, &said) {
			return invalid(fmt.Sprintf("error in query at index %d: %s", i, said.message))
		}
		if err != nil {
			return err
		}
		if i > 0 {
			out = append(out, ',')
		}
		if len(records) == 0 {
			out = append(out, "{}"...)
			continue
		}
		out = append(out, `{"vulns":[`...)
		for j, rec := range records {
			doc, err := g.ix.Document(rec)
			if err != nil {
				return err
			}
			if j > 0 {
				out = append(out, ',')
			}
			b, err := json.Marshal(struct {
				ID       string        `json:"id"`
				Modified osv.Timestamp `json:"modified"`
			}{doc.ID, doc.Modified})
			if err != nil {
				return err
			}
			out = append(out, b...)
		}
		out = append(out, `]}`...)
	}
	return writeJSON(w, http.StatusOK, append(out, `]}`...))
}

// osvMatches gives the records in force that a query is about, by id.
func (g *generation) osvMatches(q *osvQuestion) ([]rapsheet.Record, error) {
	p := rapsheet.Package{Ecosystem: q.Package.Ecosystem, Name: q.Package.Name, Version: q.Version}
	switch {
	case q.Commit != "":
		if len(q.Commit) != 40 && len(q.Commit) != 64 || strings.Trim(strings.ToLower(q.Commit), "0123456789abcdef") != "" {
			return nil, invalid("invalid hash")
		}
		return nil, nil // no record is known by a commit
	case q.Package.PURL != "":
		switch {
		case q.Package.Name != "":
			return nil, invalid("name specified in a PURL query")
		case q.Package.Ecosystem != "":
			return nil, invalid("ecosystem specified in a PURL query")
		}
		named, _, err := ecosystem.ParsePURL(q.Package.PURL)
		if errors.Is(err, ecosystem.ErrUnknownType) {
			return nil, nil
		}
		if err != nil {
			return nil, invalid("invalid query")
		}
		if named.Version != "" && q.Version != "" {
			return nil, invalid("version specified in params and PURL query")
		}
		p = rapsheet.Package{Ecosystem: named.Ecosystem, Name: named.Name, Version: cmp.Or(named.Version, q.Version)}
	case q.Package.Name == "":
		if q.Version == "" && q.Package.Ecosystem == "" {
			return nil, invalid("no query provided")
		}
		return nil, invalid("invalid query")
	case q.Package.Ecosystem == "":
		if q.Version == "" {
			return nil, invalid("invalid query")
		}
		var all []rapsheet.Record
		for _, e := range ecosystem.All() {
			p.Ecosystem = e.Name
			records, err := g.matches(p)
			if err != nil {
				return nil, err
			}
			all = append(all, records...)
		}
		slices.SortFunc(all, func(a, b rapsheet.Record) int { return strings.Compare(a.ID, b.ID) })
		return all, nil
	}
	base, _, _ := strings.Cut(p.Ecosystem, ":")
	if !osv.KnownEcosystem(base) {
		return nil, invalid("invalid ecosystem")
	}
	p.Ecosystem = base
	return g.matches(p)
}

// matches gives the records in force about a package version, or about a package where there is no version, by id.
func (g *generation) matches(p rapsheet.Package) ([]rapsheet.Record, error) {
	key, ok := ecosystem.KeyOf(p)
	if !ok {
		return nil, nil
	}
	records, err := g.ix.Lookup(key)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	s := rapsheet.Sighting{Package: p}
	var out []rapsheet.Record
	for i := range records {
		if records[i].Withdrawn {
			continue
		}
		switch match.Judge(&records[i], &s).Verdict {
		case rapsheet.VerdictExact, rapsheet.VerdictRange, rapsheet.VerdictPackage:
			out = append(out, records[i])
		case rapsheet.VerdictUnversioned: // asked about the package
			out = append(out, records[i])
		}
	}
	return out, nil
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
		if rec.ID == id {
			b, err := rec.Marshal()
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, b)
		}
		others = append(others, rec.ID)
	}
	message := "Vulnerability not found"
	if len(others) > 0 {
		slices.Sort(others)
		message += ", but the following aliases were: " + strings.Join(others, " ")
	}
	return &osvError{http.StatusNotFound, codeNotFound, message}
}
