package server

import "net/http"

// listPrefix is below which lists are that their tools read from a file: whoever runs the tool fetches them.
const listPrefix = "/lists"

// listRoutes serve the lists of tools that block packages.
func (s *Server) listRoutes(mux *http.ServeMux) {
	// safe-chain asks for GET and HEAD of the files below SAFE_CHAIN_MALWARE_LIST_BASE_URL and compares their entity tags
	// (https://github.com/AikidoSec/safe-chain, src/api/aikido.js).
	s.tree(mux, "/safe-chain", "safe-chain")
	s.tree(mux, listPrefix+"/artifactory", "artifactory")
	s.tree(mux, listPrefix+"/nexus", "nexus")
	for _, list := range []struct{ path, format, contentType string }{
		{"/scfw.yaml", "scfw", yamlType},
		{"/bumblebee.json", "bumblebee", jsonType},
		{"/verdaccio-filter.yaml", "verdaccio-filter", yamlType},
	} {
		s.handle(mux, "GET "+listPrefix+list.path, func(g *generation, w http.ResponseWriter, r *http.Request) error {
			return s.serve(g, w, r, list.format, listPrefix, fileName, list.contentType)
		})
	}
}
