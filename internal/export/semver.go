package export

import (
	"math/big"
	"strings"
)

// semverText gives a version of a SemVer ecosystem in full, without a "v" before and build metadata behind it: "v1.2" is "1.2.0".
func semverText(v string) string {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "+")
	core, pre, has := strings.Cut(v, "-")
	core += strings.Repeat(".0", max(0, 2-strings.Count(core, ".")))
	if has {
		return core + "-" + pre
	}
	return core
}

// semverNext gives the lowest version above v, which is as [semverText] writes it (https://semver.org/#spec-item-11): a pre-release with
// one more identifier, or the lowest pre-release of the next patch.
func semverNext(v string) string {
	if strings.Contains(v, "-") {
		return v + ".0"
	}
	i := strings.LastIndexByte(v, '.')
	patch, ok := new(big.Int).SetString(v[i+1:], 10)
	if !ok {
		return v + "-0" // not a version: callers give those that the ecosystem can order
	}
	return v[:i+1] + patch.Add(patch, big.NewInt(1)).String() + "-0"
}
