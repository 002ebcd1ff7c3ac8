package clienttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// ComposerRepository serves packages of version 1.0.0, name → the composer.json in their archives, as a
// packages.json (https://getcomposer.org/doc/05-repositories.md#composer).
func ComposerRepository(t *testing.T, packages map[string]string) *httptest.Server {
	t.Helper()
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/packages.json" {
			fmt.Fprint(w, `{"packages": {`)
			sep := ""
			for name := range packages {
				fmt.Fprintf(w, `%s%q: {"1.0.0": {"name": %q, "version": "1.0.0", "dist": {"type": "zip", "url": "%s/dist/%s.zip"}}}`, sep, name, name, srv.URL, name)
				sep = ", "
			}
			fmt.Fprint(w, `}}`)
			return
		}
		for name, content := range packages {
			if r.URL.Path == "/dist/"+name+".zip" {
				// Forges put everything into one directory.
				_, _ = w.Write(Zip(t, "repository-0123456/composer.json", content))
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}
