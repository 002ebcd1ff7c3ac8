package server

import (
	"net/http"
	"regexp"
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
		case !treeFile.MatchString(name):
			return notFound // no file of a tree has such a name
		case strings.HasSuffix(name, ".json"):
			contentType = jsonType
		case strings.HasSuffix(name, ".gz"):
			contentType = "application/gzip"
		case strings.HasSuffix(name, ".txt"):
			contentType = textType
		default:
			return notFound
		}
		return s.serve(g, w, r, format, prefix, name, contentType)
	})
}

// treeFile is the path of a file in a tree: directories of ours and an id (package osv), shorter than a file system's limit.
var treeFile = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,240}$`)
