package cli_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
)

// pack ARCHIVE DIRECTORY puts all files below a directory into an archive of the kind that its name says.
func pack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pack archive directory")
	}
	var data []byte
	dir := ts.MkAbs(args[1])
	switch path.Ext(args[0]) {
	case ".tgz", ".gz", ".crate":
		data = gzipped(ts, tarred(ts, dir))
	case ".zst":
		w, err := zstd.NewWriter(nil)
		ts.Check(err)
		data = w.EncodeAll(tarred(ts, dir), nil)
	case ".tar", ".gem":
		data = tarred(ts, dir)
	default:
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		ts.Check(w.AddFS(os.DirFS(dir)))
		ts.Check(w.Close())
		data = buf.Bytes()
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func tarred(ts *testscript.TestScript, dir string) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	ts.Check(w.AddFS(os.DirFS(dir)))
	ts.Check(w.Close())
	return buf.Bytes()
}

func gzipped(ts *testscript.TestScript, b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(b)
	ts.Check(err)
	ts.Check(w.Close())
	return buf.Bytes()
}

// mkimage docker|oci TARGET [PLATFORM=]LAYER,LAYER… writes images whose layers are directories, as docker save did
// before version 25 or as an OCI layout. It sets LAYER_n to the digest of each layer of the first image.
func mkimage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: mkimage docker|oci target [platform=]layer,layer…")
	}
	target := ts.MkAbs(args[1])
	put := func(name string, b []byte) {
		at := filepath.Join(target, filepath.FromSlash(name))
		ts.Check(os.MkdirAll(filepath.Dir(at), 0o755))
		ts.Check(os.WriteFile(at, b, 0o644))
	}
	digest := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	document := func(v any) []byte {
		b, err := json.Marshal(v)
		ts.Check(err)
		return b
	}
	type object = map[string]any
	blob := func(b []byte, mediaType string) object {
		d := digest(b)
		put("blobs/sha256/"+d[7:], b)
		return object{"mediaType": mediaType, "digest": d, "size": len(b)}
	}
	var manifests, docker []any
	for i, arg := range args[2:] {
		platform, dirs, ok := strings.Cut(arg, "=")
		if !ok {
			platform, dirs = "linux/amd64", arg
		}
		system, arch, _ := strings.Cut(platform, "/")
		var ids, names []string
		var layers []any
		for n, dir := range strings.Split(dirs, ",") {
			b := tarred(ts, ts.MkAbs(dir))
			ids = append(ids, digest(b))
			if i == 0 {
				ts.Setenv(fmt.Sprintf("LAYER_%d", n+1), digest(b))
			}
			if args[0] == "docker" {
				names = append(names, digest(b)[7:]+"/layer.tar")
				put(names[n], b)
			} else {
				layers = append(layers, blob(gzipped(ts, b), "application/vnd.oci.image.layer.v1.tar+gzip"))
			}
		}
		config := document(object{"os": system, "architecture": arch, "rootfs": object{"type": "layers", "diff_ids": ids}})
		if args[0] == "docker" {
			name := digest(config)[7:] + ".json"
			put(name, config)
			docker = append(docker, object{"Config": name, "RepoTags": []string{"app:1"}, "Layers": names})
			continue
		}
		m := blob(document(object{"schemaVersion": 2, "config": blob(config, "application/vnd.oci.image.config.v1+json"), "layers": layers}),
			"application/vnd.oci.image.manifest.v1+json")
		m["platform"] = object{"os": system, "architecture": arch}
		manifests = append(manifests, m)
	}
	if args[0] == "docker" {
		put("manifest.json", document(docker))
		return
	}
	put("oci-layout", []byte(`{"imageLayoutVersion": "1.0.0"}`))
	put("index.json", document(object{"schemaVersion": 2, "manifests": manifests}))
}

// nothingLeft fails if a scan has left temporary files in the directory.
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nothingleft directory")
	}
	err := fs.WalkDir(os.DirFS(ts.MkAbs(args[0])), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			ts.Fatalf("%s is left in %s", name, args[0])
		}
		return err
	})
	ts.Check(err)
}

// corrupt LAYOUT changes the last byte of every compressed layer of an OCI layout.
func corrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: corrupt layout")
	}
	blobs, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "blobs", "sha256", "*"))
	ts.Check(err)
	changed := 0
	for _, at := range blobs {
		b, err := os.ReadFile(at)
		ts.Check(err)
		if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			b[len(b)-1] ^= 1
			ts.Check(os.WriteFile(at, b, 0o644))
			changed++
		}
	}
	if changed == 0 {
		ts.Fatalf("no layer in %s", args[0])
	}
}
