package installed_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// What pip installs: from an index, from a file, and from the one index that an environment's pip.conf names.
func TestPip(t *testing.T) {
	t.Parallel()
	python := clienttest.Pip(t, "", "")
	data := clienttest.Wheel(t, "planted", "1.0")
	srv := clienttest.PythonIndex(t, true, map[string][]byte{clienttest.WheelName("planted", "1.0"): data})
	file := clienttest.WheelName("planted", "1.0")
	dir := clienttest.Tree(t, map[string]string{
		file:           string(data),
		"env/pip.conf": "[global]\nindex-url = " + strings.Replace(srv.URL, "//", "//user:secret@", 1) + "/simple/\n",
	})
	pip := []string{"-m", "pip", "--disable-pip-version-check"}
	install := append(pip, "install", "--isolated", "--no-cache-dir")
	clienttest.Run(t, dir, nil, python, append(install, "--target", "index", "--index-url", srv.URL+"/simple/", "planted")...)
	clienttest.Run(t, dir, nil, python, append(install, "--target", "file", "--no-index", file)...)
	clienttest.Run(t, dir, nil, python, "-m", "venv", "--without-pip", "env")
	clienttest.Run(t, dir, nil, python, append(pip, "--python", filepath.Join("env", "bin", "python3"), "install", "--no-cache-dir", "planted")...)
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	var got []string
	for _, line := range walk(t, dir) {
		if !strings.Contains(line, "symbolic link") { // the environment's Python
			got = append(got, line)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "env", "lib", "python3*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	want := []string{
		"env/lib/" + filepath.Base(found[0]) + "/site-packages/planted-1.0.dist-info/METADATA planted@1.0 registry " + strings.TrimPrefix(srv.URL, "http://"),
		"file/planted-1.0.dist-info/METADATA planted@1.0 file sha256:" + sum[:6],
		"index/planted-1.0.dist-info/METADATA planted@1.0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// What pipx installs and injects. Its own pip does the work, so only what pipx wrote down is looked at.
func TestPipx(t *testing.T) {
	t.Parallel()
	pipx := clienttest.Program(t, "pipx")
	srv := clienttest.PythonIndex(t, true, map[string][]byte{
		clienttest.WheelName("planted", "1.0"): clienttest.Wheel(t, "planted", "1.0"),
		clienttest.WheelName("other", "2.0"):   clienttest.Wheel(t, "other", "2.0"),
		// pipx keeps an environment with these for all others, and updates them.
		clienttest.WheelName("wheel", "1.0"): clienttest.Wheel(t, "wheel", "1.0"),
	})
	dir := t.TempDir()
	home := filepath.Join(dir, "pipx")
	env := []string{"PIPX_HOME=" + home, "PIPX_BIN_DIR=" + filepath.Join(dir, "bin"), "PIP_INDEX_URL=" + srv.URL + "/simple/"}
	clienttest.Run(t, dir, env, pipx, "install", "--index-url", srv.URL+"/simple/", "planted")
	clienttest.Run(t, dir, env, pipx, "inject", "planted", "other")
	if err := os.RemoveAll(filepath.Join(home, "shared")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range walk(t, dir) {
		if strings.Contains(line, "pipx_metadata.json") || strings.Contains(line, "/planted-1.0.dist-info/") {
			_, line, _ = strings.Cut(line, " ")
			got = append(got, line)
		}
	}
	slices.Sort(got)
	want := []string{"other@2.0", "planted@1.0", "planted@1.0 registry " + strings.TrimPrefix(srv.URL, "http://")}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
