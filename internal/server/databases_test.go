package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/indextest"
	"github.com/rapsheet/rapsheet/internal/server"
)

// dbText is a record of an id, an ecosystem, a name, and its "versions" or "ranges".
func dbText(r [4]string) string {
	return fmt.Sprintf(`{"schema_version": "1.7.4", "id": %q, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": %q, "name": %q}, %s}]}`, r[0], r[1], r[2], r[3])
}

// dbServer serves the records.
func dbServer(t *testing.T, date time.Time, records ...[4]string) *httptest.Server {
	t.Helper()
	docs := make([]string, len(records))
	for i, r := range records {
		docs[i] = dbText(r)
	}
	ix := indextest.New(t, index.Meta{Date: date}, indextest.Records(t, docs...)...)
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	s := server.New(server.Config{Public: srv.URL, Spool: t.TempDir()})
	t.Cleanup(s.Close)
	handler = s.Handler()
	if err := s.Swap(ix); err != nil {
		t.Fatal(err)
	}
	return srv
}

const dbAll = `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]`

var dbDate = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

func dbGet(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// The requests are those that grype makes of GRYPE_DB_UPDATE_URL (grype/db/v6/distribution/client.go): the document, then HEAD and GET of its archive.
func TestGrypeUpdate(t *testing.T) {
	srv := dbServer(t, dbDate, [4]string{"MAL-2026-1", "npm", "evil-pkg", dbAll})
	res, body := dbGet(t, "GET", srv.URL+"/grype/v6/latest.json")
	var latest struct{ Built, Path, Checksum string }
	if err := json.Unmarshal([]byte(body), &latest); err != nil || res.StatusCode != http.StatusOK || latest.Built != "2026-01-02T00:00:00Z" {
		t.Fatalf("%s %s, %v", res.Status, body, err)
	}
	head, _ := dbGet(t, "HEAD", srv.URL+"/grype/v6/"+latest.Path)
	res, body = dbGet(t, "GET", srv.URL+"/grype/v6/"+latest.Path)
	if sum := sha256.Sum256([]byte(body)); latest.Checksum != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Errorf("the archive is not that of %s", latest.Checksum)
	}
	if head.StatusCode != http.StatusOK || head.ContentLength != int64(len(body)) || res.ContentLength != head.ContentLength || res.Header.Get("Content-Encoding") != "" {
		t.Errorf("%s, %d bytes of %d, %v", head.Status, head.ContentLength, len(body), res.Header)
	}
	for _, path := range []string{"/grype/v6/nothing.tar.zst", "/grype/v6/..%2f..%2ftrivy-oci%2findex.json", "/grype/v6/.work", "/grype/v6/%00", "/grype/v6/" + strings.Repeat("x", 300), "/grype/v5/latest.json"} {
		if res, _ := dbGet(t, "GET", srv.URL+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if res, _ := dbGet(t, "POST", srv.URL+"/grype/v6/latest.json"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", res.Status)
	}
}

// The requests are those of a pull (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pull).
func TestTrivyRegistry(t *testing.T) {
	srv := dbServer(t, dbDate, [4]string{"MAL-2026-1", "npm", "evil-pkg", dbAll})
	if res, _ := dbGet(t, "GET", srv.URL+"/v2/"); res.StatusCode != http.StatusOK {
		t.Errorf("/v2/: %s", res.Status)
	}
	if _, body := dbGet(t, "GET", srv.URL+"/v2/trivy-db/tags/list"); strings.TrimSpace(body) != `{"name":"trivy-db","tags":["2"]}` {
		t.Errorf("tags: %s", body)
	}
	digestOf := func(body string) string {
		sum := sha256.Sum256([]byte(body))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	res, body := dbGet(t, "GET", srv.URL+"/v2/trivy-db/manifests/2")
	digest := res.Header.Get("Docker-Content-Digest")
	if res.StatusCode != http.StatusOK || digest != digestOf(body) || res.Header.Get("Content-Type") != "application/vnd.oci.image.manifest.v1+json" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	if head, _ := dbGet(t, "HEAD", srv.URL+"/v2/trivy-db/manifests/2"); head.Header.Get("Docker-Content-Digest") != digest || head.ContentLength != int64(len(body)) {
		t.Errorf("HEAD: %v", head.Header)
	}
	if _, again := dbGet(t, "GET", srv.URL+"/v2/trivy-db/manifests/"+digest); again != body {
		t.Errorf("by digest: %s", again)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct {
			Digest string
			Size   int
		}
	}
	if err := json.Unmarshal([]byte(body), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{manifest.Config.Digest, manifest.Layers[0].Digest} {
		res, body := dbGet(t, "GET", srv.URL+"/v2/trivy-db/blobs/"+d)
		if res.StatusCode != http.StatusOK || digestOf(body) != d || res.Header.Get("Docker-Content-Digest") != d || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s %v", d, res.Status, res.Header)
		}
	}
	for _, path := range []string{
		"/v2/trivy-db/manifests/latest", "/v2/trivy-db/manifests/" + manifest.Config.Digest, "/v2/trivy-db/blobs/sha256:" + strings.Repeat("0", 64),
		"/v2/trivy-db/blobs/sha256:..%2f..%2findex.json", "/v2/trivy-db/blobs/sha512:" + strings.Repeat("0", 128), "/v2/other/manifests/2", "/v2/trivy-db/manifests/..%2f..",
	} {
		if res, _ := dbGet(t, "GET", srv.URL+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		if res, _ := dbGet(t, method, srv.URL+"/v2/trivy-db/manifests/2"); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
}
