package server

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// lockfile is a package-lock.json of version 3 with one dependency.
func lockfile(t *testing.T, name, version string) string {
	return filepath.Join(clienttest.Tree(t, map[string]string{"package-lock.json": fmt.Sprintf(
		`{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{%q:%q}},"node_modules/%s":{"version":%q,"resolved":"https://registry.npmjs.org/%s/-/x-%s.tgz"}}}`,
		name, version, name, version, name, version)}), "package-lock.json")
}

// run gives what a program prints and its exit status.
func run(t *testing.T, env []string, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), append([]string{"HOME=" + t.TempDir()}, env...)...)
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(strings.ToUpper(v), "NO_PROXY=") })
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// OSV-Scanner has no setting for the address of the API: a proxy in front answers in the place of api.osv.dev, with a certificate that the
// client trusts.
func TestOSVScannerOnline(t *testing.T) {
	scanner := clienttest.Scanner(t, "osv-scanner")
	s := newOSV(t)
	proxy, ca := intercept(t, "api.osv.dev", s.Handler())
	env := []string{"HTTPS_PROXY=" + proxy, "SSL_CERT_FILE=" + ca}
	out, status := run(t, env, scanner, "scan", "source", "--format", "json", "-L", lockfile(t, "evil-pkg", "1.2.3"))
	if status != 1 || !strings.Contains(out, `"MAL-2026-1"`) || !strings.Contains(out, public+"/advisories/MAL-2026-1") {
		t.Errorf("malicious: exit %d\n%s", status, out)
	}
	for _, clean := range [][2]string{{"evil-pkg", "1.2.5"}, {"good", "1.0.0"}, {"harmless", "1.0.0"}} {
		if out, status := run(t, env, scanner, "scan", "source", "-L", lockfile(t, clean[0], clean[1])); status != 0 {
			t.Errorf("%s: exit %d\n%s", clean, status, out)
		}
	}
}

// intercept starts a proxy that takes connections to host and answers them with h, and gives its address and the file of its certificate
// authority. It opens no connection to anywhere.
func intercept(t *testing.T, host string, h http.Handler) (proxy, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	inner := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	conns := make(chan net.Conn)
	l := &chanListener{conns: conns, done: make(chan struct{})}
	go inner.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	t.Cleanup(func() { inner.Close() })
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != host+":443" {
			http.Error(w, "only "+host, http.StatusForbidden)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
		select {
		case conns <- &bufferedConn{conn, rw.Reader}:
		case <-l.done:
			conn.Close()
		}
	}))
	t.Cleanup(front.Close)
	return front.URL, ca
}

// chanListener accepts what comes through a channel.
type chanListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *chanListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *chanListener) Addr() net.Addr { return &net.TCPAddr{} }

// bufferedConn reads first what was read ahead.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// The library that Renovate asks, @renovatebot/osv-offline, with its settings and nothing else.
func TestRenovateOffline(t *testing.T) {
	node := clienttest.Program(t, "node")
	module := clienttest.Module(t, "@renovatebot/osv-offline/dist/index.js")
	server := httptest.NewServer(newOSV(t).Handler())
	defer server.Close()
	script := fmt.Sprintf(`import { OsvOffline } from %q;
const db = await OsvOffline.create();
for (const [eco, name] of [["npm","evil-pkg"],["npm","@scope/bad"],["PyPI","evil-pkg"],["RubyGems","evil-pkg"],["npm","harmless"],["Maven","a:b"]])
  console.log(eco, name, (await db.getVulnerabilities(eco, name)).map(v => v.id + " " + v.references?.[0]?.url).join());
`, module)
	file := filepath.Join(t.TempDir(), "ask.mjs")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	out, status := run(t, []string{"OSV_OFFLINE_DATABASE_URL=" + server.URL + "/osv-offline.zip", "OSV_OFFLINE_ROOT_DIR=" + t.TempDir()}, node, file)
	page := " " + public + "/advisories/"
	want := "npm evil-pkg MAL-2026-1" + page + "MAL-2026-1\n" +
		"npm @scope/bad MAL-2026-2" + page + "MAL-2026-2\n" +
		"PyPI evil-pkg MAL-2026-3" + page + "MAL-2026-3\n" +
		"RubyGems evil-pkg MAL-2026-6" + page + "MAL-2026-6\n" +
		"npm harmless \nMaven a:b \n"
	if status != 0 || out != want {
		t.Errorf("exit %d\n%swant\n%s", status, out, want)
	}
}

// Contract test: uv itself is not run. It asks in batches, stops at an answer shorter than its questions, and takes ids that begin with MAL- for
// malicious (crates/uv-audit of github.com/astral-sh/uv).
func TestUVContract(t *testing.T) {
	s := newOSV(t)
	w := do(s, "POST", "/base/v1/querybatch", `{"queries":[{"package":{"name":"evil-pkg","ecosystem":"PyPI"},"version":"1.0"},{"package":{"name":"flask","ecosystem":"PyPI"},"version":"3.0.0"}]}`)
	if want := `{"results":[{"vulns":[{"id":"MAL-2026-3","modified":"2026-01-03T00:00:00.123456Z"}]},{}]}`; w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
}

// Contract test: Dependency-Track itself is not run. Version 5 reads {eco}/modified_id.csv, then each {eco}/{id}.json; version 4 {eco}/all.zip; a 404
// of a listed record ends the ecosystem.
func TestDependencyTrackContract(t *testing.T) {
	s := newOSV(t)
	for _, eco := range []string{"npm", "PyPI", "Maven", "GitHub%20Actions"} {
		list := do(s, "GET", "/osv/"+eco+"/modified_id.csv", "")
		if list.Code != 200 || do(s, "GET", "/osv/"+eco+"/all.zip", "").Code != 200 {
			t.Errorf("%s: %d", eco, list.Code)
		}
		for line := range strings.Lines(list.Body.String()) {
			_, id, _ := strings.Cut(strings.TrimSpace(line), ",")
			if w := do(s, "GET", "/osv/"+eco+"/"+id+".json", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"purl":"pkg:`) {
				t.Errorf("%s of %s: %d %s", id, eco, w.Code, w.Body)
			}
		}
	}
}
