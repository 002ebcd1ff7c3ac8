package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// Tests named E and F with a number are the cases of the project's list of bad inputs that concern a server which only reads; 94, 95 (in
// npm_overlay_test.go, as far as there is an upstream) and 100 are about things that this one does not have.

const hostileRecord = `{"schema_version":"1.7.4","id":"MAL-2026-9","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z",` +
	`"summary":"</title><script>alert(1)</script>\u001b[2J\u202e","details":"</pre><img src=x onerror=alert(1)>\n\u001b]52;c;AAAA\u0007\r\nSecond\u009b2J",` +
	`"affected":[{"package":{"ecosystem":"npm","name":"\"><svg/onload=alert(1)>"},"versions":["1.0.0\"><b>"]}],` +
	`"references":[{"type":"WEB","url":"javascript:alert(1)"},{"type":"WEB","url":"data:text/html,<script>"},{"type":"WEB","url":"https://blog.example/\"onclick=\"x"}]}`

func TestHostileRecordShown(t *testing.T) {
	s := New(Config{Public: public, Spool: t.TempDir()})
	if err := s.Swap(newIndex(t, hostileRecord)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := do(s, "GET", "/advisories/MAL-2026-9", "")
	body := w.Body.String()
	for _, bad := range []string{"<script", "<img", "<svg", "<b>", `href="javascript`, `href="data`, `"onclick`} {
		if strings.Contains(body, bad) {
			t.Errorf("E90: %s in\n%s", bad, body)
		}
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Code != 200 {
		t.Errorf("E90: %d %v", w.Code, w.Header())
	}
	if strings.ContainsAny(body, "\x1b\x07\r\u009b\u202e") {
		t.Errorf("E87: %q", body)
	}
	// The record as data keeps what it says, as JSON escapes it.
	for _, path := range []string{"/v1/vulns/MAL-2026-9", "/osv/npm/MAL-2026-9.json"} {
		if w := do(s, "GET", path, ""); strings.ContainsAny(w.Body.String(), "\x1b\x07\r") || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("E87: %s: %q", path, w.Body)
		}
	}
	if list := do(s, "GET", "/osv/npm/modified_id.csv", "").Body.String(); list != "2026-01-02T00:00:00Z,MAL-2026-9\n" {
		t.Errorf("E88: %q", list)
	}
}

func TestHostileQuestions(t *testing.T) {
	s := newOSV(t)
	const batch = `{"queries":[%s]}`
	one := `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`
	ask := func(name string) string {
		return fmt.Sprintf(`{"package":{"name":%s,"ecosystem":"npm"},"version":"1.2.3"}`, name)
	}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"F96 SQL", "POST", "/v1/query", ask(`"x'; DROP TABLE records; --"`), 200},
		{"F96 LIKE", "POST", "/v1/query", ask(`"evil%"`), 200},
		{"F96 NUL", "POST", "/v1/query", ask(`"evil-pkg\u0000"`), 200},
		{"F96 a long literal", "POST", "/v1/query", ask(`"` + strings.Repeat("x", 2<<20) + `"`), 200},
		{"F96 in a path", "GET", "/v1/vulns/'%20OR%201=1--", "", 404},
		{"F97 lines in a path", "GET", "/advisories/x%0d%0aSet-Cookie:%20a=b", "", 404},
		{"F97 lines in a path of the bucket", "GET", "/osv/npm/x%0d%0aSet-Cookie:%20a=b.json", "", 404},
		{"F97 lines in a name", "POST", "/v1/query", ask(`"x\r\nSet-Cookie: a=b"`), 200},
		{"F98 a version that makes an expression go back", "POST", "/v1/query", `{"package":{"name":"ranged","ecosystem":"npm"},"version":"1.5.0-` + strings.Repeat("a.", 500_000) + `!"}`, 200},
		{"F98 a name", "POST", npmBulkPath, `{"` + strings.Repeat("a-", 500_000) + `!":["1.0.0"]}`, 200},
		{"F99 a method", "DELETE", "/osv/npm/all.zip", "", 405},
		{"F99 a method of a question", "GET", "/v1/query", "", 405},
		{"F99 TRACE", "TRACE", "/osv/npm/all.zip", "", 405},
		{"F99 an encoded slash", "GET", "/v1/vulns/..%2f..%2fosv%2fall.zip", "", 404},
		{"F99 a parameter", "GET", "/v1/vulns;x/MAL-2026-1", "", 404},
		{"F99 case", "GET", "/V1/vulns/MAL-2026-1", "", 404},
		{"F99 a file of the spool", "GET", "/govuln/../1/osv/all.zip", "", 307},
		{"F99 a file of the spool, encoded", "GET", "/govuln/%2e%2e/osv/all.zip", "", 404},
		{"F101 a million questions", "POST", "/v1/querybatch", fmt.Sprintf(batch, strings.Repeat("{},", 1_000_000)+"{}"), 400},
		{"F101 a forged page", "POST", "/v1/query", `{"page_token":"x",` + one[1:], 400},
	} {
		w := do(s, tt.method, tt.path, tt.body)
		if w.Code != tt.status || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %.200s", tt.name, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "MAL-") {
			t.Errorf("%s: a record is answered: %.200s", tt.name, w.Body)
		}
		if at := w.Header().Get("Location"); tt.status == 307 && strings.Contains(at, "..") {
			t.Errorf("%s: sent to %s", tt.name, at)
		}
	}
}

// F99: what a client says of the server's address is nowhere in an answer.
func TestHostHeader(t *testing.T) {
	s := newOSV(t)
	h := s.Handler()
	for _, target := range []string{"/v1/vulns/MAL-2026-1", "/osv/npm/MAL-2026-1.json", "/composer/packages.json", "/composer-filter/packages.json", "/nuget/v3/index.json", "/grype/latest.json", "/advisories/MAL-2026-1"} {
		plain := do(s, "GET", target, "")
		r := httptest.NewRequest("GET", target, nil)
		r.Host = "evil.example"
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL", "Forwarded"} {
			r.Header.Set(name, "evil.example")
		}
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != plain.Code || w.Body.String() != plain.Body.String() || strings.Contains(fmt.Sprint(w.Header()), "evil.example") {
			t.Errorf("%s: %d %s\n%v", target, w.Code, w.Body, w.Header())
		}
	}
}

// F101: parts of files are those asked for, a HEAD has the headers of a GET.
func TestRanges(t *testing.T) {
	s := newOSV(t)
	for _, path := range []string{"/osv/npm/all.zip", "/osv/npm/modified_id.csv", "/osv/npm/MAL-2026-1.json", "/osv-offline.zip"} {
		full := do(s, "GET", path, "")
		size := full.Body.Len()
		head := do(s, "HEAD", path, "")
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("ETag") != full.Header().Get("ETag") || full.Header().Get("ETag") == "" {
			t.Errorf("HEAD %s: %d %v", path, head.Code, head.Header())
		}
		for _, tt := range []struct {
			value  string
			status int
			length int
		}{
			{"bytes=0-3", 206, 4}, {"bytes=-4", 206, 4}, {fmt.Sprintf("bytes=%d-", size-1), 206, 1}, {fmt.Sprintf("bytes=%d-", size), 416, -1}, {"bytes=5-1", 416, -1},
			{"bytes=99999999999999999999-", 416, -1}, {"bytes=x", 416, -1}, {"lines=0-1", 416, -1}, {"bytes=" + strings.Repeat("0-,", 10_000) + "0-", 200, size},
		} {
			w := do(s, "GET", path, "", "Range", tt.value)
			if w.Code != tt.status || tt.length >= 0 && w.Body.Len() != tt.length {
				t.Errorf("%s %.30s: %d, %d bytes", path, tt.value, w.Code, w.Body.Len())
			}
		}
		if w := do(s, "GET", path, "", "Range", "bytes=0-3", "If-Range", `"another"`); w.Code != 200 || w.Body.Len() != size {
			t.Errorf("%s: a part of another file: %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
}

// F102: nothing that a client sends is a label.
func TestMetricLabels(t *testing.T) {
	s := newOSV(t)
	for i := range 200 {
		do(s, "GET", fmt.Sprintf("/evil-%d", i), "")
		do(s, "GET", fmt.Sprintf("/osv/evil-%d/all.zip", i), "")
		do(s, fmt.Sprintf("EVIL%d", i), "/v1/query", "")
		do(s, "POST", "/v1/query", `{"package":{"name":"evil-pkg","ecosystem":"evil"}}`, "User-Agent", "evil")
	}
	w := httptest.NewRecorder()
	s.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	if n := strings.Count(text, "\nrapsheet_http_requests_total{"); strings.Contains(strings.ToLower(text), "evil") || n == 0 || n > 10 {
		t.Errorf("%d series\n%s", n, text)
	}
}

// F103: where files cannot be written, that is an error and no answer, and the server goes on by itself when they can.
func TestSpoolFails(t *testing.T) {
	spool := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(spool, nil, 0o600); err != nil { // a file where a directory is to be
		t.Fatal(err)
	}
	s := New(Config{Public: public, Spool: spool})
	if err := s.Swap(newIndex(t, osvRecords...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := do(s, "GET", "/osv/npm/all.zip", "")
	if w.Code != 500 || strings.Contains(w.Body.String(), spool) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := do(s, "POST", "/v1/query", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`); ids(w.Body.String()) != "MAL-2026-1" {
		t.Errorf("what needs no file: %d %s", w.Code, w.Body)
	}
	if err := os.Remove(spool); err != nil {
		t.Fatal(err)
	}
	// The failed attempt may be about to end.
	s.current.Load().files.making.Lock()
	s.current.Load().files.making.Unlock() //nolint:staticcheck // held only to wait for who has it
	for w.Code != 200 {
		if w = do(s, "GET", "/osv/npm/all.zip", ""); w.Code != 200 && w.Code != 500 || t.Context().Err() != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// F104: a snapshot with one wrong byte is not served, and the one before is.
func TestSwapDamaged(t *testing.T) {
	s := newOSV(t)
	whole := snapshot(t, osvRecords...)
	for at := 0; at < len(whole); at += 7 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x20
		ix, err := index.New(bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			continue
		}
		if err := s.Swap(ix); err == nil {
			t.Errorf("byte %d is wrong, and it is served", at)
		}
	}
	if w := do(s, "POST", "/v1/query", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`); w.Code != http.StatusOK || ids(w.Body.String()) != "MAL-2026-1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Every interface that takes a body has the same limits, and says so in the form that its clients read.
func TestBodiesOfEveryInterface(t *testing.T) {
	s := New(Config{Public: public, Spool: t.TempDir(), MaxBody: 2 << 20})
	if err := s.Swap(newIndex(t, osvRecords...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	zip := func(text string) string { return string(clienttest.Gzip([]byte(text))) }
	space := make([]byte, 2<<20) // which belongs to JSON, and does not compress like a bomb
	random := rand.New(rand.NewPCG(1, 2))
	for i := range space {
		space[i] = " \n\t\r"[random.IntN(4)]
	}
	zippedSpace := zip(string(space))
	small, large := zip(strings.Repeat(" ", 2<<20-100)), zip(strings.Repeat(" ", 64<<20))
	for _, api := range []struct{ path, body, shape string }{
		{"/v1/query", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`, `{"code":`},
		{"/v1/querybatch", `{"queries":[]}`, `{"code":`},
		{npmBulkPath, `{}`, `{"error":"`},
		{npmFullPath, `{}`, `{"error":"`},
		{npmQuickPath, `{}`, `{"error":"`},
		{"/composer/api/security-advisories/", `packages[]=a/b`, ""},
		{"/composer/filter-api", `{}`, ""},
	} {
		for _, tt := range []struct {
			name, body string
			encoding   []string
			status     int
		}{
			{"plain", api.body, nil, 200},
			{"identity", api.body, []string{"identity"}, 200},
			{"gzip", zip(api.body), []string{"GZIP"}, 200},
			{"x-gzip", zip(api.body), []string{" x-gzip "}, 200},
			{"two members", zip(api.body[:1]) + zip(api.body[1:]), []string{"gzip"}, 200},
			{"larger", api.body + string(space), nil, 413},
			{"larger, compressed", zip(api.body) + zippedSpace, []string{"gzip"}, 413},
			{"B44 a bomb", small, []string{"gzip"}, 413},
			{"B44 a large bomb", large, []string{"gzip"}, 413},
			{"not gzip", api.body, []string{"gzip"}, 400},
			{"nothing", "", []string{"gzip"}, 400},
			{"cut off", zip(api.body)[:len(zip(api.body))-5], []string{"gzip"}, 400},
			{"something behind", zip(api.body) + "secret", []string{"gzip"}, 400},
			{"zstd said to be gzip", "\x28\xb5\x2f\xfd\x04\x00\x11\x00\x00{}\x00\x00\x00\x00", []string{"gzip"}, 400},
			{"brotli", api.body, []string{"br"}, 415},
			{"twice", zip(zip(api.body)), []string{"gzip, gzip"}, 415},
			{"twice, in two lines", zip(zip(api.body)), []string{"gzip", "gzip"}, 415},
		} {
			r := httptest.NewRequest("POST", api.path, strings.NewReader(tt.body))
			r.Header["Content-Encoding"] = tt.encoding
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if w.Code != tt.status || w.Code != 200 && !strings.HasPrefix(w.Body.String(), api.shape) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s %s: %d %.200s", api.path, tt.name, w.Code, w.Body)
			}
		}
	}
}
