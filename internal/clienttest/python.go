package clienttest

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Wheel is a distribution of nothing but its metadata (packaging.python.org,
// specifications/binary-distribution-format).
func Wheel(t testing.TB, name, version string) []byte {
	t.Helper()
	info := name + "-" + version + ".dist-info/"
	return Zip(t,
		name+".py", "def main(): pass\n",
		info+"METADATA", Metadata(name, version),
		info+"WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info+"entry_points.txt", "[console_scripts]\n"+name+" = "+name+":main\n", // pipx installs nothing without one
		info+"RECORD", name+".py,,\n"+info+"METADATA,,\n"+info+"WHEEL,,\n"+info+"entry_points.txt,,\n"+info+"RECORD,,\n",
	)
}

// WheelName is the file name of [Wheel].
func WheelName(name, version string) string { return name + "-" + version + "-py3-none-any.whl" }

// Metadata is the least that a distribution says of itself (specifications/core-metadata).
func Metadata(name, version string) string {
	return "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"
}

// Sdist is a source distribution (specifications/source-distribution-format) that every client can build
// without fetching anything: its build backend (PEP 517) comes with it, and hands out a wheel that does too.
func Sdist(t testing.TB, name, version string) []byte {
	t.Helper()
	top := name + "-" + version + "/"
	return TarGz(t,
		top+"pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\n[project]\nname = \""+name+"\"\nversion = \""+version+"\"\n",
		top+"backend.py", "import os, shutil\n\ndef build_wheel(directory, config_settings=None, metadata_directory=None):\n    name = "+
			strconv.Quote(WheelName(name, version))+"\n    shutil.copy('wheel', os.path.join(directory, name))\n    return name\n",
		top+"wheel", string(Wheel(t, name, version)),
		top+"PKG-INFO", Metadata(name, version),
	)
}

// PythonIndex serves distributions by their file names as PyPI does: pages in HTML (PEP 503) and JSON (PEP 691),
// compressed, with metadata apart from the files (PEP 658), all of it to be cached. With registry the files, and their
// metadata, have the headers that files.pythonhosted.org gives them.
func PythonIndex(t *testing.T, registry bool, files map[string][]byte) *httptest.Server {
	t.Helper()
	at := func(file string) string {
		sum := fmt.Sprintf("%x", sha256.Sum256(files[file]))
		return "/packages/" + sum[:2] + "/" + sum[2:4] + "/" + sum[4:] + "/" + file
	}
	byPath := map[string]string{}
	for file := range files {
		byPath[at(file)] = file
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(r.URL.Path)))[:20]+`"`)
		if project, ok := strings.CutPrefix(r.URL.Path, "/simple/"); ok {
			w.Header().Set("Cache-Control", "max-age=600, public")
			pythonPage(w, r, strings.Trim(project, "/"), files, at)
			return
		}
		of, metadata := strings.CutSuffix(r.URL.Path, ".metadata")
		file, ok := byPath[of]
		if !ok {
			http.NotFound(w, r)
			return
		}
		name, version := split(file)
		w.Header().Set("Cache-Control", "max-age=365000000, immutable, public")
		w.Header().Set("Content-Type", "binary/octet-stream")
		if registry {
			w.Header().Set("x-pypi-file-project", name)
			w.Header().Set("x-pypi-file-version", version)
			w.Header().Set("x-pypi-file-package-type", "bdist_wheel")
			w.Header().Set("x-pypi-file-python-version", "py3")
		}
		body := files[file]
		if metadata {
			body = []byte(Metadata(name, version))
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func pythonPage(w http.ResponseWriter, r *http.Request, project string, files map[string][]byte, at func(string) string) {
	const media = "application/vnd.pypi.simple.v1+json"
	type file struct {
		Filename string            `json:"filename"`
		URL      string            `json:"url"`
		Hashes   map[string]string `json:"hashes"`
		Metadata any               `json:"core-metadata"` // PEP 714: pip up to 23.0 fails over the older member
	}
	var all []file
	var page strings.Builder
	for _, f := range slices.Sorted(maps.Keys(files)) {
		name, version := split(f)
		if name != project {
			continue
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(files[f]))
		entry := file{Filename: f, URL: at(f), Hashes: map[string]string{"sha256": sum}, Metadata: false}
		if strings.HasSuffix(f, ".whl") {
			entry.Metadata = map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256([]byte(Metadata(name, version))))}
		}
		all = append(all, entry)
		fmt.Fprintf(&page, "<a href=%q>%s</a>\n", at(f)+"#sha256="+sum, f)
	}
	switch {
	case len(all) == 0:
		http.NotFound(w, r)
	default:
		body := []byte("<!DOCTYPE html>\n<html><body>\n" + page.String() + "</body></html>\n")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if strings.Contains(r.Header.Get("Accept"), media) {
			w.Header().Set("Content-Type", media)
			body, _ = json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.0"}, "name": project, "files": all})
		}
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(body)
			_ = z.Close()
			return
		}
		_, _ = w.Write(body)
	}
}

// split gives name and version of the file name of a [Wheel] or an [Sdist].
func split(file string) (name, version string) {
	name, rest, _ := strings.Cut(file, "-")
	version, _, _ = strings.Cut(strings.TrimSuffix(rest, ".tar.gz"), "-")
	return name, version
}

// Pip finds a Python whose pip is at least from and, if below is not "", older than that: "23.3". It looks at
// python3 and at what pyenv has. A machine without skips the test, or fails it in CI where it is
// about any pip at all.
func Pip(t *testing.T, from, below string) string {
	t.Helper()
	long(t)
	var all []string
	if at, err := exec.LookPath("python3"); err == nil {
		all = append(all, at)
	}
	if root, err := exec.Command("pyenv", "root").Output(); err == nil {
		more, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "versions", "3.*", "bin", "python3"))
		all = append(all, more...)
	}
	for _, python := range all {
		out, err := exec.Command(python, "-m", "pip", "--version").Output()
		fields := strings.Fields(string(out))
		if err != nil || len(fields) < 2 {
			continue
		}
		if v := number(fields[1]); v >= number(from) && (below == "" || v < number(below)) {
			return python
		}
	}
	if from == "" && os.Getenv("CI") == "true" {
		t.Fatal("pip is missing: scripts/test installs it")
	}
	t.Skipf("no pip from %q below %q is here", from, below)
	return ""
}

// number makes a number of the first two parts of a version.
func number(version string) int {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a*1000 + b
}
