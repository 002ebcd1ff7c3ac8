package server

import "net/http"

func (s *Server) npmRoutes(mux *http.ServeMux) {}
