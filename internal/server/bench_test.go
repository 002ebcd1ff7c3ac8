package server

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkQuery is the server's own share of one question, without a network.
func BenchmarkQuery(b *testing.B) {
	h := newOSV(b).Handler()
	for name, body := range map[string]string{
		"hit":  `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`,
		"miss": `{"package":{"name":"harmless","ecosystem":"npm"},"version":"1.2.3"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/query", strings.NewReader(body)))
				if w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
