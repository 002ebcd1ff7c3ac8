package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/archive"
	"github.com/rapsheet/rapsheet/internal/inventory/image"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
)

type entry = clienttest.Member

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// layout is an OCI layout under construction, file → content.
type layout map[string]string

func (l layout) blob(b []byte) map[string]any {
	d := digest(b)
	l["blobs/sha256/"+d[7:]] = string(b)
	return map[string]any{"digest": d, "size": len(b)}
}

func document(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// image adds an image of layers, compressed by pack, and gives the descriptor of its manifest.
func (l layout) image(arch string, pack func([]byte) []byte, layers ...[]byte) map[string]any {
	var ds []any
	ids := []string{}
	for _, b := range layers {
		d := l.blob(pack(b))
		d["mediaType"] = "application/vnd.oci.image.layer.v1.tar"
		ds, ids = append(ds, d), append(ids, digest(b))
	}
	config := l.blob(document(map[string]any{"os": "linux", "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": ids}}))
	config["mediaType"] = "application/vnd.oci.image.config.v1+json"
	m := l.blob(document(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": ds}))
	m["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
	return m
}

// index completes the layout.
func (l layout) index(manifests ...map[string]any) layout {
	l["oci-layout"] = `{"imageLayoutVersion": "1.0.0"}`
	l["index.json"] = string(document(map[string]any{"schemaVersion": 2, "manifests": manifests}))
	return l
}

// tar is the layout as an OCI archive.
func (l layout) tar(t testing.TB) []byte {
	var all []entry
	for _, name := range slices.Sorted(maps.Keys(l)) {
		all = append(all, entry{Name: name, Content: l[name]})
	}
	return clienttest.TarOf(t, all...)
}

// dockerArchive is an image as `docker save` wrote it before version 25.
func dockerArchive(t testing.TB, layers ...[]byte) []byte {
	all, names, ids := []entry(nil), []string{}, []string{}
	for i, b := range layers {
		name := fmt.Sprintf("%064x/layer.tar", i)
		names, ids = append(names, name), append(ids, digest(b))
		all = append(all, entry{Name: name, Content: string(b)})
	}
	config := document(map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"diff_ids": ids}})
	name := digest(config)[7:] + ".json"
	all = append(all, entry{Name: name, Content: string(config)},
		entry{Name: "manifest.json", Content: string(document([]any{map[string]any{"Config": name, "RepoTags": []string{"app:1"}, "Layers": names}}))})
	return clienttest.TarOf(t, all...)
}

func options() image.Options {
	return image.Options{Options: inventory.Options{Kinds: slices.Concat(installed.Kinds(), lockfile.Kinds(), archive.Kinds()), Workers: 2}}
}

// lines gives what is found as "path name@version origin host layer [gone layer]", layers by their place among layers,
// from 1, and notes as "kind path: message (count)"; target is written as T.
func lines(t *testing.T, target string, opt image.Options, layers ...[]byte) []string {
	t.Helper()
	if !image.Is(target) {
		t.Errorf("%s is no image", target)
	}
	place := func(id string) string {
		for i, b := range layers {
			if digest(b) == id {
				return fmt.Sprint(i + 1)
			}
		}
		return id
	}
	var all []string
	for s, err := range image.Scan(t.Context(), target, opt) {
		var n *rapsheet.Note
		var line string
		switch {
		case errors.As(err, &n):
			line = fmt.Sprintf("%s %s: %s (%d)", n.Kind, n.Path, n.Message, n.Count)
		case err != nil:
			t.Fatal(err)
		default:
			line = fmt.Sprintf("%s %s@%s %s %s layer %s", s.Location.Path, s.Package.Name, s.Package.Version, s.Evidence.Origin, s.Evidence.Host, place(s.Location.Layer))
			if s.Location.Gone != "" {
				line += " gone " + place(s.Location.Gone)
			}
			line = strings.Join(strings.Fields(line), " ")
		}
		all = append(all, strings.ReplaceAll(line, filepath.ToSlash(target), "T"))
	}
	return all
}

func check(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	return filepath.Join(clienttest.Tree(t, map[string]string{name: string(data)}), name)
}

func pkg(name, version string) string {
	return fmt.Sprintf(`{"name": %q, "version": %q}`, name, version)
}

// Four layers in which packages come, stay, are copied, replaced and deleted.
func story(t testing.TB) [][]byte {
	const m = "usr/lib/node_modules/"
	dir := func(name string) entry { return entry{Name: name, Type: tar.TypeDir} }
	return [][]byte{
		clienttest.TarOf(t, dir("usr/"), dir("usr/lib/"), dir(m),
			entry{Name: m + ".package-lock.json", Content: `{"packages": {"node_modules/late": {"resolved": "https://registry.npmjs.org/late/-/late-1.0.0.tgz"}}}`},
			entry{Name: m + "stays/package.json", Content: pkg("stays", "1.0.0")},
			entry{Name: m + "copied/package.json", Content: pkg("copied", "1.0.0")},
			entry{Name: m + "updated/package.json", Content: pkg("updated", "1.0.0")},
			entry{Name: m + "deleted/package.json", Content: pkg("deleted", "1.0.0")},
			entry{Name: "app/node_modules/x/package.json", Content: pkg("x", "1.0.0")},
			entry{Name: "app/node_modules/y/package.json", Content: pkg("y", "1.0.0")},
			entry{Name: "opt/node_modules/z/package.json", Content: pkg("z", "1.0.0")},
			entry{Name: "sbin", Content: "usr/sbin", Type: tar.TypeSymlink},
		),
		clienttest.TarOf(t, entry{Name: m + ".wh.deleted"},
			entry{Name: m + "updated/package.json", Content: pkg("updated", "2.0.0")},
			entry{Name: m + "copied/package.json", Content: pkg("copied", "1.0.0")},
			entry{Name: m + "late/package.json", Content: pkg("late", "1.0.0")},
		),
		clienttest.TarOf(t, entry{Name: "app/node_modules/.wh..wh..opq"}, entry{Name: "app/node_modules/y/package.json", Content: pkg("y", "1.0.0")},
			entry{Name: "opt", Content: "a file where a directory was"},
			entry{Name: "srv/node_modules/stays/package.json", Content: m + "stays/package.json", Type: tar.TypeLink},
		),
		clienttest.TarOf(t, entry{Name: "usr/lib/.wh.node_modules"}, entry{Name: "bin", Content: "usr/bin", Type: tar.TypeSymlink}),
	}
}

var told = []string{
	"T!/app/node_modules/x/package.json x@1.0.0 layer 1 gone 3",
	"T!/app/node_modules/y/package.json y@1.0.0 layer 1",
	"T!/opt/node_modules/z/package.json z@1.0.0 layer 1 gone 3",
	"T!/usr/lib/node_modules/copied/package.json copied@1.0.0 layer 1 gone 4",
	"T!/usr/lib/node_modules/deleted/package.json deleted@1.0.0 layer 1 gone 2",
	"T!/usr/lib/node_modules/stays/package.json stays@1.0.0 layer 1 gone 4",
	"T!/usr/lib/node_modules/updated/package.json updated@1.0.0 layer 1 gone 2",
	// What npm wrote into the first layer says where this came from.
	"T!/usr/lib/node_modules/late/package.json late@1.0.0 registry registry.npmjs.org layer 2 gone 4",
	"T!/usr/lib/node_modules/updated/package.json updated@2.0.0 layer 2 gone 4",
	"T!/srv/node_modules/stays/package.json stays@1.0.0 layer 3",
	"info T!: symbolic links not followed (2)",
}

func plain(b []byte) []byte { return b }

// The same image in each of the forms is read the same.
func TestForms(t *testing.T) {
	layers := story(t)
	oci := func(pack func([]byte) []byte) layout {
		l := layout{}
		return l.index(l.image("amd64", pack, layers...))
	}
	mixed := 0
	for name, target := range map[string]string{
		"an OCI layout":                 clienttest.Tree(t, oci(clienttest.Gzip)),
		"an OCI layout, not compressed": clienttest.Tree(t, oci(plain)),
		"an OCI layout with zstd": clienttest.Tree(t, oci(func(b []byte) []byte {
			mixed++
			return [](func([]byte) []byte){clienttest.Zstd, clienttest.Gzip}[mixed%2](b)
		})),
		"an OCI archive":                  write(t, "image.tar", oci(clienttest.Gzip).tar(t)),
		"an OCI archive, not compressed":  write(t, "image.tar", oci(plain).tar(t)),
		"an OCI archive, compressed":      write(t, "image.tar.gz", clienttest.Gzip(oci(clienttest.Gzip).tar(t))),
		"a docker-archive":                write(t, "image.tar", dockerArchive(t, layers...)),
		"a docker-archive, compressed":    write(t, "image.tgz", clienttest.Gzip(dockerArchive(t, layers...))),
		"a docker-archive by docker 25":   write(t, "image.tar", docker25(t, layers)),
		"a docker-archive without layout": write(t, "image.tar", func() []byte { return withoutLayout(t, layers) }()),
	} {
		t.Run(name, func(t *testing.T) {
			check(t, lines(t, target, options(), layers...), told)
		})
	}
}

// docker25 is what docker 25 and newer save: an OCI layout, with a manifest.json over the same blobs.
func docker25(t *testing.T, layers [][]byte) []byte {
	l := layout{}
	d := l.image("amd64", plain, layers...)
	l.index(d)
	var m struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(l["blobs/sha256/"+d["digest"].(string)[7:]]), &m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range m.Layers {
		names = append(names, "blobs/sha256/"+x.Digest[7:])
	}
	l["manifest.json"] = string(document([]any{map[string]any{"Config": "blobs/sha256/" + m.Config.Digest[7:], "RepoTags": nil, "Layers": names}}))
	return l.tar(t)
}

func withoutLayout(t *testing.T, layers [][]byte) []byte {
	b := docker25(t, layers)
	return bytes.ReplaceAll(b, []byte("imageLayoutVersion"), []byte("imageLayoutV3rsion"))
}

// bombHead begins a tar with a file of 8 GiB.
var bombHead = func() []byte {
	var buf bytes.Buffer
	err := tar.NewWriter(&buf).WriteHeader(&tar.Header{Name: "zeros", Size: 8 << 30, Format: tar.FormatGNU})
	if err != nil {
		panic(err)
	}
	return buf.Bytes()
}()

func TestImages(t *testing.T) {
	one := clienttest.TarOf(t, entry{Name: "app/node_modules/a/package.json", Content: pkg("a", "1.0.0")})
	two := clienttest.TarOf(t, entry{Name: "app/node_modules/b/package.json", Content: pkg("b", "1.0.0")})
	zeros := clienttest.TarOf(t, entry{Name: "zeros", Content: strings.Repeat("\x00", 4<<20)}, entry{Name: "app/node_modules/b/package.json", Content: pkg("b", "1.0.0")})
	twice := clienttest.TarOf(t, entry{Name: "app/node_modules/b/package.json", Content: pkg("b", "6.6.6")}, entry{Name: "app/node_modules/b/package.json", Content: pkg("b", "1.0.0")})
	// 8 GiB are said to be there, and 1.25 are, as a stream of 20 frames (RFC 8878, section 3).
	huge := func(b []byte) []byte {
		if !bytes.Equal(b, bombHead) {
			return clienttest.Zstd(b)
		}
		return append(clienttest.Zstd(b), bytes.Repeat(clienttest.Zstd(make([]byte, 64<<20)), 20)...)
	}
	const a, b = "T!/app/node_modules/a/package.json a@1.0.0 layer 1", "T!/app/node_modules/b/package.json b@1.0.0 layer 2"
	// with is a layout with an image of two layers, changed.
	with := func(pack func([]byte) []byte, layers [][]byte, change func(l layout, m map[string]any)) layout {
		l := layout{}
		d := l.image("amd64", pack, layers...)
		if change != nil {
			change(l, d)
		}
		return l.index(d)
	}
	both := [][]byte{one, two}
	path := func(b []byte) string { return "blobs/sha256/" + digest(b)[7:] }
	short := func(b []byte) string { return digest(b) }
	tests := []struct {
		name     string
		platform string
		files    layout
		want     []string
	}{
		{"platforms, an index in an index, attestations", "", func() layout {
			l := layout{}
			arm, amd := l.image("arm64", clienttest.Gzip, one), l.image("amd64", clienttest.Gzip, one, two)
			arm["platform"] = map[string]any{"os": "linux", "architecture": "arm64", "variant": "v8"}
			att := l.image("unknown", clienttest.Gzip, two)
			att["annotations"] = map[string]any{"vnd.docker.reference.type": "attestation-manifest"}
			inner := l.blob(document(map[string]any{"schemaVersion": 2, "manifests": []any{arm, amd, att}}))
			inner["mediaType"] = "application/vnd.oci.image.index.v1+json"
			return l.index(inner, inner)
		}(), []string{
			"info T: attestations, which are no images (1)",
			"T (linux/arm64)!/app/node_modules/a/package.json a@1.0.0 layer 1",
			"T (linux/amd64)!/app/node_modules/a/package.json a@1.0.0 layer 1",
			"T (linux/amd64)!/app/node_modules/b/package.json b@1.0.0 layer 2",
		}},
		{"one platform", "linux/amd64", func() layout {
			l := layout{}
			arm, amd := l.image("arm64", clienttest.Gzip, one), l.image("amd64", clienttest.Gzip, two)
			arm["platform"] = map[string]any{"os": "linux", "architecture": "arm64", "variant": "v8"}
			return l.index(arm, amd)
		}(), []string{"info T: images for other platforms (1)", "T!/app/node_modules/b/package.json b@1.0.0 layer 2"}},
		{"a platform that is not there", "linux/s390x", with(clienttest.Gzip, both, nil), []string{"info T: images for other platforms (1)", "unread T: no image for the platform linux/s390x (0)"}},
		{"a layer's content is another", "", with(plain, both, func(l layout, _ map[string]any) { l[path(one)] = string(two) }), []string{
			"unread T!: layer 1 of 2, " + short(one) + ": its content does not have its digest: not read (0)", b}},
		{"a layer is cut off", "", with(clienttest.Gzip, both, func(l layout, _ map[string]any) { l[path(clienttest.Gzip(one))] = l[path(clienttest.Gzip(one))][:60] }), []string{
			"unread T!: layer 1 of 2, " + short(clienttest.Gzip(one)) + ": its content does not have its digest: not read (0)", b}},
		{"a layer is missing", "", with(clienttest.Gzip, both, func(l layout, _ map[string]any) { delete(l, path(clienttest.Gzip(two))) }), []string{
			"unread T!: layer 2 of 2, " + short(clienttest.Gzip(two)) + ": open: no such file or directory (0)", a}},
		{"a manifest's content is another", "", with(clienttest.Gzip, both, func(l layout, m map[string]any) { l["blobs/sha256/"+m["digest"].(string)[7:]] += " " }), nil},
		{"a layer begins with zeros", "", with(clienttest.Zstd, [][]byte{one, zeros}, nil), []string{a, strings.ReplaceAll(b, "layer 2", "layer "+digest(zeros))}},
		{"a layer has a name twice", "", with(clienttest.Gzip, [][]byte{one, twice}, nil), []string{
			"info T!: entries that stand in the archive more than once: each was read (1)", a,
			strings.ReplaceAll(b, "layer 2", "layer "+digest(twice)),
			"T!/app/node_modules/b/package.json b@6.6.6 layer " + digest(twice) + " gone " + digest(twice)}},
		{"B44 B45 a layer is a bomb", "", with(huge, [][]byte{one, two, bombHead}, nil), []string{
			"unread T!: tar: after 0 entries: decompresses to more than 200 times its size: the rest was not read (0)", a, b}},
		{"A1 an empty index", "", layout{"oci-layout": `{"imageLayoutVersion": "1.0.0"}`, "index.json": `{"schemaVersion": 2, "manifests": []}`}, []string{"unread T: no image in it (0)"}},
		{"A5 a broken index", "", layout{"oci-layout": `{"imageLayoutVersion": "1.0.0"}`, "index.json": `{"schemaVersion": `}, []string{"unread T: the manifest is not what it should be (0)"}},
		{"schema 1", "", layout{"oci-layout": `{"imageLayoutVersion": "1.0.0"}`, "index.json": `{"schemaVersion": 1, "fsLayers": []}`}, []string{"unread T: the manifest is of schema 1, which is not read (0)"}},
		{"D74 D75 a blob whose digest leads out", "", layout{"oci-layout": `{"imageLayoutVersion": "1.0.0"}`,
			"index.json": `{"schemaVersion": 2, "manifests": [{"digest": "sha256:../../../etc/passwd", "size": 1}]}`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(tt.name, "B44 B45 ") {
				t.Skip("more than a gibibyte")
			}
			opt := options()
			opt.Platform = tt.platform
			got := lines(t, clienttest.Tree(t, tt.files), opt, one, two)
			if tt.want == nil { // that nothing is read, and that this is said
				if len(got) != 2 || !strings.HasPrefix(got[0], "unread T: manifest sha256:") || got[1] != "unread T: no image in it (0)" {
					t.Errorf("got %q", got)
				}
				return
			}
			check(t, got, tt.want)
		})
	}
}

// A docker-archive whose OCI index and whose manifest.json name different images: both are read.
func TestTwoManifests(t *testing.T) {
	good := clienttest.TarOf(t, entry{Name: "app/node_modules/good/package.json", Content: pkg("good", "1.0.0")})
	evil := clienttest.TarOf(t, entry{Name: "app/node_modules/evil/package.json", Content: pkg("evil", "1.0.0")})
	l := layout{}
	l.index(l.image("amd64", clienttest.Gzip, good))
	config := document(map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"diff_ids": []string{digest(evil)}}})
	l[digest(config)[7:]+".json"] = string(config)
	l["layer.tar"] = string(evil)
	l["manifest.json"] = string(document([]any{map[string]any{"Config": digest(config)[7:] + ".json", "RepoTags": []string{"e:1"}, "Layers": []string{"layer.tar"}}}))
	check(t, lines(t, write(t, "x.tar", l.tar(t)), options(), good, evil), []string{
		"T (linux/amd64)!/app/node_modules/good/package.json good@1.0.0 layer 1",
		"T (e:1 linux/amd64)!/app/node_modules/evil/package.json evil@1.0.0 layer 2",
	})
}

func TestIs(t *testing.T) {
	for name, data := range map[string][]byte{
		"a.tar": clienttest.TarOf(t, entry{Name: "manifest.json", Content: `{"name": "an app's"}`}), "a.tar.gz": clienttest.Gzip(clienttest.TarOf(t, entry{Name: "x"})),
		"a.zip": []byte("PK\x05\x06"), "a.json": []byte("{}"), "empty": nil,
	} {
		if image.Is(write(t, name, data)) {
			t.Errorf("%s is an image", name)
		}
	}
	if image.Is(t.TempDir()) || image.Is("/nowhere/at/all") {
		t.Error("what is no image is one")
	}
}

func TestStops(t *testing.T) {
	at := write(t, "image.tar", dockerArchive(t, story(t)...))
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for range image.Scan(ctx, at, options()) {
		n++
		break
	}
	cancel()
	var last error
	for _, err := range image.Scan(ctx, at, options()) {
		last = err
	}
	if n != 1 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d sightings, then %v", n, last)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "rapsheet-*")); err == nil && len(left) > 0 {
		t.Logf("temporary files: %v", left)
	}
}

// Whatever is in a tar, reading it as an image neither panics nor sends what cannot be.
func FuzzScan(f *testing.F) {
	layers := story(f)
	l := layout{}
	f.Add(l.index(l.image("amd64", clienttest.Gzip, layers[0], layers[1])).tar(f))
	f.Add(dockerArchive(f, layers...))
	f.Add(dockerArchive(f, []byte("x"), clienttest.Gzip(layers[0])))
	dir := f.TempDir()
	at := filepath.Join(dir, "image.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(at, data, 0o600); err != nil {
			t.Fatal(err)
		}
		opt := options()
		opt.Bytes = 1 << 20
		for s, err := range image.Scan(t.Context(), at, opt) {
			var n *rapsheet.Note
			if err != nil && !errors.As(err, &n) {
				t.Errorf("an error that is no note: %v", err)
			}
			if err == nil && s.Location.Layer == "" {
				t.Errorf("no layer: %v", s)
			}
		}
	})
}
