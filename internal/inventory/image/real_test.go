package image_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory/image"
)

// seen are the installed packages of an image, by name.
func seen(t *testing.T, target string) map[string]rapsheet.Location {
	t.Helper()
	if !image.Is(target) {
		t.Errorf("%s is no image", target)
	}
	all := map[string]rapsheet.Location{}
	for s, err := range image.Scan(t.Context(), target, options()) {
		if err != nil {
			if n, ok := errors.AsType[*rapsheet.Note](err); !ok || n.Kind != rapsheet.NoteInfo {
				t.Errorf("%s: %v", target, err)
			}
			continue
		}
		if s.Location.Kind != "node_modules" {
			continue // what the application's own package.json asks for
		}
		if old, ok := all[s.Package.Name]; ok {
			t.Errorf("%s: %s twice, at %s and %s", target, s.Package.Name, old.Path, s.Location.Path)
		}
		s.Location.Path = strings.TrimPrefix(s.Location.Path, filepath.ToSlash(target))
		all[s.Package.Name] = s.Location
	}
	return all
}

// An image whose first layer is what npm installed and whose second layer is without one package of it, built by umoci,
// copied by skopeo into every form, and pushed to a registry: the package that is gone is found in each.
func TestRealImage(t *testing.T) {
	umoci, skopeo, npm := clienttest.Program(t, "umoci"), clienttest.Program(t, "skopeo"), clienttest.Program(t, "npm")
	registry := startRegistry(t)
	dir := t.TempDir()
	run := func(name string, args ...string) { clienttest.Run(t, dir, nil, name, args...) }
	run(umoci, "init", "--layout", "oci")
	run(umoci, "new", "--image", "oci:app")
	run(umoci, "unpack", "--rootless", "--image", "oci:app", "bundle")
	app := filepath.Join(dir, "bundle", "rootfs", "srv", "app")
	if err := os.MkdirAll(app, 0o755); err != nil {
		t.Fatal(err)
	}
	packages := clienttest.NPMRegistry(t, map[string]string{"rapsheet-harmless-stays": `{}`, "rapsheet-harmless-gone": `{}`})
	if err := os.WriteFile(filepath.Join(app, "package.json"), []byte(`{"name": "app", "version": "1.0.0"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	clienttest.Run(t, app, []string{"HOME=" + clienttest.Home(dir)}, npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--registry", packages.URL, "rapsheet-harmless-stays", "rapsheet-harmless-gone")
	run(umoci, "repack", "--refresh-bundle", "--image", "oci:app", "bundle")
	if err := os.RemoveAll(filepath.Join(app, "node_modules", "rapsheet-harmless-gone")); err != nil {
		t.Fatal(err)
	}
	run(umoci, "repack", "--refresh-bundle", "--image", "oci:app", "bundle")

	copyTo := func(to string, more ...string) {
		run(skopeo, append([]string{"--insecure-policy", "copy", "oci:oci:app", to}, more...)...)
	}
	copyTo("docker-archive:docker.tar:app:1")
	copyTo("oci-archive:oci.tar:app")
	copyTo("oci:zstd:app", "--dest-compress-format", "zstd")
	copyTo("docker://"+registry+"/team/app:1", "--dest-tls-verify=false")
	want := seen(t, filepath.Join(dir, "oci"))
	stays, gone := want["rapsheet-harmless-stays"], want["rapsheet-harmless-gone"]
	const at = "!/srv/app/node_modules/rapsheet-harmless-"
	switch {
	case stays.Path != at+"stays/package.json" || stays.Layer == "" || stays.Gone != "":
		t.Errorf("stays: %+v", stays)
	case gone.Path != at+"gone/package.json" || gone.Layer != stays.Layer || gone.Gone == "" || gone.Gone == gone.Layer:
		t.Errorf("gone: %+v", gone)
	}
	for _, target := range []string{filepath.Join(dir, "docker.tar"), filepath.Join(dir, "oci.tar"), filepath.Join(dir, "zstd"), "docker://" + registry + "/team/app:1"} {
		got := seen(t, target)
		for _, name := range []string{"rapsheet-harmless-stays", "rapsheet-harmless-gone"} {
			if got[name] != want[name] {
				t.Errorf("%s: %s is at %+v, want %+v", target, name, got[name], want[name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d packages, want %d", target, len(got), len(want))
		}
	}
}

// startRegistry runs docker-registry on this machine and gives its host and port.
func startRegistry(t *testing.T) string {
	t.Helper()
	program := clienttest.Program(t, "docker-registry")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	root := clienttest.Tree(t, map[string]string{"config.yml": ""})
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", filepath.Join(root, "data"), host)
	if err := os.WriteFile(filepath.Join(root, "config.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", filepath.Join(root, "config.yml"))
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "REGISTRY_") })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("docker-registry does not answer")
	return ""
}
