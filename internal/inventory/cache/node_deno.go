package cache

import (
	"context"
	"encoding/base32"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isDenoPackage matches the directory of a package in Deno's cache; see [denoPackage].
func isDenoPackage(dir string) bool {
	if _, version := cutLast(dir); !denoVersion(version) {
		return false
	}
	p, _ := denoPackage(dir)
	return p.Name != ""
}

// denoVersion reports whether a directory of that name may be of one version of a package.
func denoVersion(name string) bool {
	return name != "" && name[0] >= '0' && name[0] <= '9' && strings.Count(name, ".") >= 2
}

// denoPackage reads the directory of a package in Deno's cache (github.com/denoland/deno,
// libs/cache_dir/npm.rs):
//
//	npm/registry.npmjs.org/name/1.0.0
//	npm/registry.npmjs.org/@scope/name/1.0.0
//	npm/registry.npmjs.org/_jjju6tq/1.0.0     a name with capitals, in the lower-case alphabet of base 32
//	npm/registry.npmjs.org/name/1.0.0_1       the same files once more, for other peer dependencies
//	npm/host_8443/path/of/url/name/1.0.0      from another registry
//	npm/8443/name/1.0.0                       from one whose host is an address, which is left out
//
// The cache is called "deno", ".deno" or, as Deno's images have it, "deno-dir"; that of the public registry is recognised
// wherever it is. What is below a package is none. Characters that are not allowed in the names of files are "_".
func denoPackage(dir string) (called, rapsheet.Evidence) {
	dir, version := cutLast(dir)
	version, _, _ = strings.Cut(version, "_")
	dir, name := cutLast(dir)
	if encoded, ok := strings.CutPrefix(name, "_"); ok {
		b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(encoded))
		if err != nil {
			return called{}, rapsheet.Evidence{}
		}
		name = string(b)
	} else if parent, scope := cutLast(dir); strings.HasPrefix(scope, "@") {
		dir, name = parent, scope+"/"+name
	}
	// What is left is the cache and the registry. That of the public one has no path in its URL.
	if above, host := cutLast(dir); host == npmHost {
		if _, npm := cutLast(above); npm == "npm" {
			return called{name, version}, rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: npmHost}
		}
	}
	registry, ok := belowDeno(dir)
	if !ok {
		return called{}, rapsheet.Evidence{}
	}
	host, below, _ := strings.Cut(registry, "/")
	for rest := below; rest != ""; {
		var element string
		if element, rest, _ = strings.Cut(rest, "/"); denoVersion(element) || strings.HasPrefix(element, "@") {
			return called{}, rapsheet.Evidence{} // inside a package
		}
	}
	if host == npmHost && below != "" {
		return called{}, rapsheet.Evidence{}
	}
	return called{name, version}, rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: denoHost(host)}
}

const npmHost = "registry.npmjs.org"

// belowDeno gives what of a path is below the npm directory of a cache of Deno's.
func belowDeno(dir string) (string, bool) {
	for _, cache := range [...]string{"/deno/npm/", "/.deno/npm/", "/deno-dir/npm/"} {
		if _, below, ok := strings.Cut(dir, cache); ok && below != "" {
			return below, true
		}
	}
	return "", false
}

// denoHost gives the host, and the port, that a registry's directory is named after; "" where that leaves the host out.
func denoHost(dir string) string {
	if i := strings.LastIndexByte(dir, '_'); i >= 0 && digits(dir[i+1:]) {
		dir = dir[:i] + ":" + dir[i+1:]
	} else if digits(dir) {
		return ""
	}
	return ecosystem.Origin(nil, "https://"+dir+"/-/").Host
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// maxDenoPackument bounds a registry's answer beside the versions of a package, in bytes.
const maxDenoPackument = 64 << 20

// readDenoPackage reads the package.json of a package in Deno's cache. The registry's answer (registry.json) that lies
// beside its versions is no package; it has the digests of their archives.
func readDenoPackage(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	known, ev := denoPackage(path.Dir(in.Place()))
	var own called
	b, err := in.All()
	if err == nil {
		err = inventory.DecodeJSON(b, &own)
	}
	if in.Hash {
		ev.Digests = denoDigests(in, known.Version)
	}
	l := inventory.NewList(ctx, out, "npm")
	if sent := sendCalled(l, own, known, ev); sent != nil {
		return l.End(sent)
	}
	return l.End(err)
}

// denoDigests gives the digests of a version's archive that Deno checked when it fetched that.
func denoDigests(in *inventory.File, version string) []rapsheet.Digest {
	at := path.Join(path.Dir(path.Dir(in.Rel)), "registry.json")
	versions := in.Once(at, func() any {
		var answer struct {
			Versions map[string]struct {
				Dist struct {
					Integrity string `json:"integrity"`
					Shasum    string `json:"shasum"`
				} `json:"dist"`
			} `json:"versions"`
		}
		b, ok := in.ReadFile(at, maxDenoPackument)
		if !ok || inventory.DecodeJSON(b, &answer) != nil {
			return map[string][]rapsheet.Digest(nil)
		}
		all := make(map[string][]rapsheet.Digest, len(answer.Versions))
		for v, entry := range answer.Versions {
			all[v] = ecosystem.Integrity(entry.Dist.Integrity)
			if len(all[v]) == 0 {
				all[v] = digestOf(entry.Dist.Shasum)
			}
		}
		return all
	}).(map[string][]rapsheet.Digest)
	return versions[version]
}
