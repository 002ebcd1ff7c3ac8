package server

import (
	"net/http"
	"strings"
)

// ecosystemRoutes serve the trees that package managers' own tools fetch file by file.
func (s *Server) ecosystemRoutes(mux *http.ServeMux) {
	// https://go.dev/doc/security/vuln/database#api. A .gz is the file itself and no encoding of another one.
	s.tree(mux, "/govuln", "go-vulndb")
	// https://learn.microsoft.com/nuget/api/vulnerability-info
	s.tree(mux, "/nuget/v3", "nuget")
}

// tree serves the files of a format below prefix.
func (s *Server) tree(mux *http.ServeMux, prefix, format string) {
	s.handle(mux, "GET "+prefix+"/{file...}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		name, contentType := r.PathValue("file"), ""
		switch {
		case strings.HasSuffix(name, ".json"):
			contentType = "application/json"
		case strings.HasSuffix(name, ".gz"):
			contentType = "application/gzip"
		default:
			return &httpError{http.StatusNotFound, "not found"}
		}
		return s.serve(g, w, r, format, prefix, name, contentType)
	})
}
