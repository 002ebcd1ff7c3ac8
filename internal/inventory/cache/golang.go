package cache

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/module"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// goKinds are the files of Go's module cache (https://go.dev/ref/mod#module-cache): the zip files that were
// downloaded, wherever GOMODCACHE is, and the trees that were extracted from them below …/pkg/mod, its default.
// A go.mod or .info alone in the cache says that a version was weighed, not that anybody has it.
func goKinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "go-module-zip", Dir: isGoDownload, Match: isGoZip, Read: readGoZip},
		{Name: "go-module", Dir: isGoTree, Match: isGoTreeMod, Read: readGoTree},
	}
}

// goDownload stands in the path of every file that came from a proxy or a repository; what follows has the
// shape of a proxy's paths (https://go.dev/ref/mod#goproxy-protocol).
const goDownload = "/cache/download/"

func isGoDownload(dir string) bool {
	return strings.HasSuffix(dir, "/@v") && strings.Contains(dir, goDownload)
}

func isGoZip(base, _ string) bool { return strings.HasSuffix(base, ".zip") }

// maxGoInfo bounds the small files beside a module's zip.
const maxGoInfo = 64 << 10

// readGoZip reads …/cache/download/<module>/@v/<version>.zip, both escaped. The .ziphash beside it is the hash
// of a list of files ("h1:", golang.org/x/mod/sumdb/dirhash) and no digest of the archive.
func readGoZip(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Go")
	dir, base := path.Split(in.Place())
	_, escaped, _ := cutAtLast(dir, goDownload)
	// A name that cannot be unescaped is added as none, and so counted.
	name, err := module.UnescapePath(strings.TrimSuffix(escaped, "/@v/"))
	if err != nil {
		name = ""
	}
	stem := strings.TrimSuffix(base, ".zip")
	version, err := module.UnescapeVersion(stem)
	if err != nil {
		name = ""
	}
	ev := goOrigin(l, in, escaped, stem)
	var hashErr error
	ev.Digests, hashErr = in.ContentDigests(ctx)
	if err := l.Add(name, version, 0, ev); err != nil {
		return l.End(err)
	}
	return l.End(hashErr)
}

// goOrigin says where a module's zip came from. The cache does not say which proxy served it. Where the public
// checksum database was asked about the module and answered with the hash that the zip has, it is the public
// module. Else a proxy or the go command may have written down the repository; one that is on none of the public
// forges is no sign of another module, as a module's path is the place where its repository is looked for.
func goOrigin(l *inventory.List, in *inventory.File, escaped, stem string) rapsheet.Evidence {
	const sumdb = "sum.golang.org"
	sum, _ := in.Sibling(stem+".ziphash", maxGoInfo)
	if sum = bytes.TrimSpace(sum); len(sum) > 0 && strings.HasSuffix(path.Dir(in.Rel)+"/", escaped) {
		// https://go.dev/ref/mod#checksum-database: "/lookup/module@version" gives the lines of go.sum.
		root := strings.TrimSuffix(path.Dir(in.Rel)+"/", escaped)
		answer, _ := in.ReadFile(root+"sumdb/"+sumdb+"/lookup/"+strings.TrimSuffix(escaped, "/@v/")+"@"+stem, maxGoInfo)
		for line := range bytes.Lines(answer) {
			if f := bytes.Fields(line); len(f) == 3 && bytes.Equal(f[2], sum) && !bytes.HasSuffix(f[1], []byte("/go.mod")) {
				return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: sumdb}
			}
		}
	}
	b, _ := in.Sibling(stem+".info", maxGoInfo)
	var info struct {
		Origin struct {
			URL string `json:"URL"`
		} `json:"Origin"`
	}
	if json.Unmarshal(b, &info, jsontext.AllowDuplicateNames(true)) != nil || info.Origin.URL == "" {
		return rapsheet.Evidence{}
	}
	ev := l.Git(info.Origin.URL)
	if ev.Origin == rapsheet.OriginGit {
		ev.Origin = rapsheet.OriginUnknown
	}
	return ev
}

// isGoTree matches the top of an extracted module, …/pkg/mod/<module>@<version>, which ends in no other way
// than with its version.
func isGoTree(dir string) bool {
	i := strings.LastIndex(dir, "@v")
	return i >= 0 && strings.IndexByte(dir[i:], '/') < 0 && strings.Contains(dir, goTrees)
}

const goTrees = "/pkg/mod/"

func isGoTreeMod(base, _ string) bool { return base == "go.mod" }

// readGoTree reads the directory's name; the go.mod is only what stands in it, and its requirements are not what
// is there. A module from before Go 1.11 has none and is only seen by its zip, which go mod download and go build
// keep as well; a tree without go.mod whose zip somebody deleted is missed.
func readGoTree(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := inventory.NewList(ctx, out, "Go")
	var name, version string
	_, at, _ := cutAtLast(path.Dir(in.Place()), goTrees)
	if i := strings.LastIndexByte(at, '@'); i >= 0 {
		p, errPath := module.UnescapePath(at[:i])
		v, errVersion := module.UnescapeVersion(at[i+1:])
		if errPath == nil && errVersion == nil {
			name, version = p, v
		}
	}
	return l.End(l.Add(name, version, 0, rapsheet.Evidence{}))
}

// cutAtLast is strings.Cut around the last sep.
func cutAtLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
