package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bucket"
	"github.com/rapsheet/rapsheet/osv"
)

// The bucket of OSV.dev (package bucket), below /osv/: archives and lists as package export writes them, single records from the index.

const (
	bucketFormat = "osv"
	bucketPrefix = "/osv"
)

func (s *Server) bucketRoutes(mux *http.ServeMux) {
	file := func(pattern, contentType string, name func(*http.Request) string) {
		s.handle(mux, "GET "+bucketPrefix+pattern, func(g *generation, w http.ResponseWriter, r *http.Request) error {
			return s.serve(g, w, r, bucketFormat, bucketPrefix, name(r), contentType)
		})
	}
	top := func(name string) func(*http.Request) string { return func(*http.Request) string { return name } }
	of := func(name string) func(*http.Request) string {
		return func(r *http.Request) string {
			eco := r.PathValue("ecosystem")
			if dir, err := bucket.Directory(eco); err != nil || dir != eco {
				return "-" // which is no file
			}
			return path.Join(eco, name)
		}
	}
	file("/"+bucket.List, textType, top(bucket.List))
	file("/"+bucket.Archive, zipType, top(bucket.Archive))
	file("/"+bucket.Modified, csvType, top(bucket.Modified))
	file("/all.json", jsonType, top("all.json"))
	file("/{ecosystem}/"+bucket.Archive, zipType, of(bucket.Archive))
	file("/{ecosystem}/"+bucket.Modified, csvType, of(bucket.Modified))
	s.handle(mux, "GET "+bucketPrefix+"/{file}", s.bucketRecord)
	s.handle(mux, "GET "+bucketPrefix+"/{ecosystem}/{file}", s.bucketRecord)
	s.handle(mux, "GET /osv-offline.zip", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		return s.serve(g, w, r, "osv-offline", "", fileName, zipType)
	})
}

// bucketRecord answers with one record, below an ecosystem that it is about or at the top.
func (s *Server) bucketRecord(g *generation, w http.ResponseWriter, r *http.Request) error {
	id, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	if !ok || bucket.CheckID(id) != nil {
		return notFound
	}
	records, err := g.ix.ByID(id)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.ID != id || !inDirectory(rec, r.PathValue("ecosystem")) {
			continue
		}
		data, err := s.document(rec)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		h := w.Header()
		h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:18])+`"`)
		h.Set("Content-Type", jsonType)
		h.Set("Cache-Control", "no-cache")
		modified, err := rec.Modified.Time()
		if err != nil {
			modified = g.modified()
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(data))
		return nil
	}
	return notFound
}

// inDirectory reports whether rec is about a package of the base ecosystem eco, "" being any.
func inDirectory(rec *osv.Record, eco string) bool {
	for i := range rec.Affected {
		base, _, _ := strings.Cut(rec.Affected[i].Package.Ecosystem, ":")
		if base == eco || eco == "" {
			return true
		}
	}
	return false
}

// paths takes off the path of the server's public address, if a proxy in front has left it on, and answers 404 in the bucket to paths that
// mean another file than they say.
func (s *Server) paths(next http.Handler) http.Handler {
	base := ""
	if u, err := url.Parse(s.conf.Public); err == nil {
		base = strings.TrimRight(u.Path, "/")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := strings.CutPrefix(r.URL.Path, base+"/"); ok && base != "" {
			r2 := *r
			u := *r.URL
			r2.URL = &u
			u.Path, u.RawPath = "/"+p, ""
			if raw, ok := strings.CutPrefix(r.URL.RawPath, base+"/"); ok {
				u.RawPath = "/" + raw
			}
			r = &r2
		}
		p := r.URL.Path
		if clean := path.Clean(p); clean != p && (strings.HasPrefix(p, bucketPrefix) || strings.HasPrefix(clean, bucketPrefix)) {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}
