package ecosystem

import "strings"

// Hackage: names are case-sensitive, versions are dotted numbers ordered as
// lists, so 1.0 is above 1
// (https://hackage.haskell.org/package/Cabal-syntax/docs/Distribution-Types-Version.html).
var hackage = Ecosystem{
	Name:      "Hackage",
	PURLType:  "hackage",
	Hosts:     []string{"hackage.haskell.org", "hackage.fpcomplete.com", "mirrors.tuna.tsinghua.edu.cn"},
	canonical: asPublished,
	valid:     validHackage,
	compare: func(a, b string) (int, bool) {
		return compareDotted(a, b, "."), validHackage(a) && validHackage(b)
	},
	registryPath: func(path string) bool { return strings.Contains(path, "/package/") },
}

func validHackage(v string) bool { return dotted(v, ".", noLeadingZeros) }
