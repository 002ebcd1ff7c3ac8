package server

import (
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// page shows one record to a person: names are data, details plain text, nothing is a link but what is an https address.
var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.ID}}</title>
<h1>{{.ID}}</h1>
{{if .Withdrawn}}<p><strong>Taken back on {{.Withdrawn}}.</strong></p>{{end}}
<p>{{.Summary}}</p>
<table>{{range .Packages}}<tr><td>{{.Ecosystem}}</td><td>{{.Name}}</td><td>{{.Versions}}</td></tr>{{end}}</table>
<pre style="white-space: pre-wrap">{{.Details}}
</pre>
<ul>{{range .Links}}<li><a rel="noreferrer nofollow" href="{{.}}">{{.}}</a></li>{{end}}</ul>
<p>Published {{.Published}}, changed {{.Modified}}. <a href="/v1/vulns/{{.ID}}">The record in OSV form</a>.</p>
</html>
`))

type pageData struct {
	ID, Summary, Details           string
	Published, Modified, Withdrawn string
	Packages                       []pagePackage
	Links                          []string
}

type pagePackage struct{ Ecosystem, Name, Versions string }

func (s *Server) pageRoutes(mux *http.ServeMux) {
	s.handle(mux, "GET /advisories/{id}", func(g *generation, w http.ResponseWriter, r *http.Request) error {
		records, err := g.ix.ByID(r.PathValue("id"))
		if err != nil {
			return err
		}
		for _, rec := range records {
			if rec.ID == r.PathValue("id") {
				h := w.Header()
				h.Set("Content-Type", "text/html; charset=utf-8")
				h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
				h.Set("X-Content-Type-Options", "nosniff")
				return page.Execute(w, newPage(rec))
			}
		}
		return &httpError{http.StatusNotFound, "no record has this id"}
	})
}

func newPage(rec *osv.Record) pageData {
	p := pageData{
		ID: rec.ID, Summary: printable.Line(rec.Summary), Details: strings.Join(slices.Collect(printable.Lines(rec.Details)), "\n"),
		Published: string(rec.Published), Modified: string(rec.Modified), Withdrawn: string(rec.Withdrawn),
	}
	for _, a := range rec.Affected {
		versions := strings.Join(a.Versions, ", ")
		if versions == "" {
			versions = "see the record"
		}
		p.Packages = append(p.Packages, pagePackage{a.Package.Ecosystem, printable.Line(a.Package.Name), printable.Line(versions)})
	}
	for _, ref := range rec.References {
		if strings.HasPrefix(ref.URL, "https://") {
			p.Links = append(p.Links, ref.URL)
		}
	}
	return p
}
