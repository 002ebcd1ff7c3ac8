package server

import (
	"net/http"

	"github.com/rapsheet/rapsheet/internal/export"
)

// grypeRoutes serve Grype's database where GRYPE_DB_UPDATE_URL=…/grype finds it: the document first, then the archive that it
// names (https://github.com/anchore/grype, grype/db/v6/distribution).
func (s *Server) grypeRoutes(mux *http.ServeMux) {
	const prefix = "/grype/v6"
	s.handle(mux, "GET "+prefix+"/{name}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		name, kind := r.PathValue("name"), "application/zstd"
		if name == export.GrypeLatest {
			kind = jsonType
		}
		return s.serve(g, w, r, "grype", prefix, name, kind)
	})
}
