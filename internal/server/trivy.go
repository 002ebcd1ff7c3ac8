package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/rapsheet/rapsheet/internal/export"
)

// trivyRepository is the name of the repository: `trivy --db-repository HOST/trivy-db:2`.
const trivyRepository = "trivy-db"

// trivyRoutes are as much of a registry as clients need to read the one artifact
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pull).
func (s *Server) trivyRoutes(mux *http.ServeMux) {
	const prefix, kind = "/v2", jsonType
	s.handle(mux, "GET /v2/{$}", func(_ *generation, w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		_, err := w.Write([]byte("{}"))
		return err
	})
	s.handle(mux, "GET /v2/"+trivyRepository+"/tags/list", func(_ *generation, w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", kind)
		return json.NewEncoder(w).Encode(map[string]any{"name": trivyRepository, "tags": []string{export.TrivyTag}})
	})
	s.handle(mux, "GET /v2/"+trivyRepository+"/manifests/{ref}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		m, err := g.files.format(r.Context(), "trivy-oci", prefix)
		if err != nil {
			return err
		}
		text, err := m.root.ReadFile("index.json")
		if err != nil {
			return err
		}
		var index struct {
			Manifests []struct {
				Digest string `json:"digest"`
			} `json:"manifests"`
		}
		if err := json.Unmarshal(text, &index); err != nil {
			return err
		}
		digest := index.Manifests[0].Digest
		if ref := r.PathValue("ref"); ref != export.TrivyTag && ref != digest {
			return &httpError{http.StatusNotFound, `{"errors": [{"code": "MANIFEST_UNKNOWN"}]}`}
		}
		return s.serveBlob(g, w, r, prefix, digest, export.TrivyManifestType)
	})
	s.handle(mux, "GET /v2/"+trivyRepository+"/blobs/{digest}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		return s.serveBlob(g, w, r, prefix, r.PathValue("digest"), "application/gzip")
	})
}

// serveBlob answers with the blob of a digest.
func (s *Server) serveBlob(g *generation, w http.ResponseWriter, r *http.Request, prefix, digest, contentType string) error {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return &httpError{http.StatusNotFound, `{"errors": [{"code": "BLOB_UNKNOWN"}]}`}
	}
	w.Header().Set("Docker-Content-Digest", digest)
	return s.serve(g, w, r, "trivy-oci", prefix, "blobs/sha256/"+hex, contentType)
}
