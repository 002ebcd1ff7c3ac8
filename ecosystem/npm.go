package ecosystem

import (
	"net/url"
	"strings"
)

// npm: names are case-sensitive. New ones must be lower case, and legacy names
// such as JSONStream beside jsonstream are different packages, so a name stays as
// published (https://docs.npmjs.com/cli/configuring-npm/package-json#name).
//
// The hosts are the registry, the names that the yarn client writes, and public
// mirrors: a mirror serves the same packages under the same names, so what came
// from one is the package on record.
var npm = Ecosystem{
	Name:     "npm",
	PURLType: "npm",
	Hosts: []string{
		"registry.npmjs.org", "www.npmjs.com", "npmjs.com", "www.npmjs.org",
		"registry.npmjs.com", "replicate.npmjs.com", "skimdb.npmjs.com",
		"registry.yarnpkg.com", "registry.npm.im",
		"registry.npmmirror.com", "cdn.npmmirror.com", "npmmirror.com",
		"registry.npm.taobao.org", "registry.nlark.com", "registry.cnpmjs.org", "r.cnpmjs.org",
		"mirrors.cloud.tencent.com", "mirrors.tencent.com", "repo.huaweicloud.com", "mirrors.huaweicloud.com",
	},
	canonical: asPublished,
	valid:     validSemver,
	compare:   compareSemver,
	// Tarballs are at /<name>/-/<name>-<version>.tgz, on npmjs and in every
	// registry that imitates it below some prefix.
	registryPath: npmTarball,
}

// npmTarball reports whether path is a tarball's in a registry. GitHub Packages
// has /download/<name>/<version>/<digest>, cnpm /<name>/download/<name>-<version>.tgz.
func npmTarball(path string) bool {
	if strings.Contains(path, "/-/") || strings.HasPrefix(path, "/download/") {
		return true
	}
	before, after, ok := strings.Cut(path, "/download/")
	name := before[strings.LastIndexByte(before, '/')+1:]
	return ok && name != "" && strings.HasPrefix(after[strings.LastIndexByte(after, '/')+1:], name+"-")
}

// npmHolding reports whether v is one of the versions under which npm holds the
// names of removed packages: 0.0.1-security, and 0.0.1-security.0 and so on when
// it is held again (https://github.com/npm/security-holder).
func npmHolding(v string) bool {
	rest, ok := strings.CutPrefix(v, "0.0.1-security")
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	return rest[0] == '.' && digits(rest[1:])
}

// NPMArchive reads the package out of the URL of a registry's archive:
// …/name/-/name-1.0.0.tgz, …/@scope/name/-/name-1.0.0.tgz (the "dist.tarball" of
// github.com/npm/registry, docs/responses/package-metadata.md). The version is
// "" when the file is called something else.
func NPMArchive(raw string) (name, version string, ok bool) {
	dir, file, ok := strings.Cut(raw, "/-/")
	if !ok {
		return "", "", false
	}
	_, dir, ok = strings.Cut(dir, "://")
	if !ok {
		return "", "", false
	}
	if strings.Contains(dir, "%") || strings.Contains(file, "%") {
		var err1, err2 error
		dir, err1 = url.PathUnescape(dir)
		file, err2 = url.PathUnescape(file)
		if err1 != nil || err2 != nil {
			return "", "", false
		}
	}
	i := strings.LastIndexByte(dir, '/')
	if i < 0 {
		return "", "", false
	}
	name = dir[i+1:]
	last := name
	if j := strings.LastIndexByte(dir[:i], '/'); j >= 0 && strings.HasPrefix(dir[j+1:], "@") {
		name = dir[j+1:]
	}
	if v, found := strings.CutPrefix(file[strings.LastIndexByte(file, '/')+1:], last+"-"); found {
		if v, found = strings.CutSuffix(v, ".tgz"); found {
			version = v
		}
	}
	return name, version, last != ""
}
