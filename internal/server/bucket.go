package server

import (
	"net/http"
	"strings"

	"github.com/rapsheet/rapsheet/internal/export"
	"github.com/rapsheet/rapsheet/osv"
)

// bucketRoutes serve what OSV.dev's public bucket does (https://google.github.io/osv.dev/data/#data-dumps): archives and lists as
// files, single records from the snapshot; and the archive of Renovate's library.
func (s *Server) bucketRoutes(mux *http.ServeMux) {
	s.handle(mux, "GET /osv/{file}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		switch name := r.PathValue("file"); name {
		case "ecosystems.txt", "modified_id.csv", export.AllZip, export.AllJSON:
			return s.serve(g, w, r, "osv", "/osv", name, "")
		default:
			return s.single(g, w, r, name, "")
		}
	})
	s.handle(mux, "GET /osv/{ecosystem}/{file}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		eco, name := r.PathValue("ecosystem"), r.PathValue("file")
		switch {
		case !osv.KnownEcosystem(eco):
			return notFound
		case name == "modified_id.csv", name == export.AllZip:
			return s.serve(g, w, r, "osv", "/osv", eco+"/"+name, "")
		}
		return s.single(g, w, r, name, eco)
	})
	s.handle(mux, "GET /osv-offline.zip", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		return s.serve(g, w, r, "osv-offline", "", fileName, "application/zip")
	})
}

var notFound = &httpError{http.StatusNotFound, "not found"}

// single answers with one record, which must be about the ecosystem if one is given.
func (s *Server) single(g *generation, w http.ResponseWriter, r *http.Request, name, eco string) error {
	id, ok := strings.CutSuffix(name, ".json")
	if !ok || len(id) > maxOSVID {
		return notFound
	}
	records, err := g.ix.ByID(id)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.ID != id || eco != "" && !about(rec, eco) {
			continue
		}
		b, err := rec.Marshal()
		if err != nil {
			return err
		}
		if t, err := rec.Modified.Time(); err == nil {
			w.Header().Set("Last-Modified", t.UTC().Format(http.TimeFormat))
		}
		return writeJSON(w, http.StatusOK, b)
	}
	return notFound
}

func about(rec *osv.Record, eco string) bool {
	for i := range rec.Affected {
		if base, _, _ := strings.Cut(rec.Affected[i].Package.Ecosystem, ":"); base == eco {
			return true
		}
	}
	return false
}
