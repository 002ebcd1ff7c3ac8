package ecosystem

import "strings"

// crates.io: two names that differ only in case or in "-" for "_" cannot both be
// published: the registry compares lower(replace(name, '-', '_')), its function
// canon_crate_name (https://github.com/rust-lang/crates.io, migrations).
var crates = Ecosystem{
	Name:     "crates.io",
	PURLType: "cargo",
	// The git index github.com/rust-lang/crates.io-index is read as crates.io by [Origin]; github.com itself is not here.
	Hosts: []string{
		"crates.io", "index.crates.io", "static.crates.io", "www.crates.io", "crates-io.proxy.ustclug.org",
		"rsproxy.cn", "mirrors.ustc.edu.cn", "mirrors.tuna.tsinghua.edu.cn",
	},
	canonical: func(name string) string { return strings.ReplaceAll(lowerASCII(name), "-", "_") },
	valid:     validSemver,
	compare:   compareSemver,
	// https://doc.rust-lang.org/cargo/reference/registry-index.html: "dl" is by default …/api/v1/crates/<name>/<version>/download.
	registryPath: func(path string) bool {
		return strings.HasSuffix(path, ".crate") || strings.Contains(path, "/api/v1/crates")
	},
}
