package ecosystem

import "strings"

// NuGet: ids are case-insensitive
// (https://learn.microsoft.com/nuget/reference/nuspec#id) and may hold letters of
// any alphabet: MAL-2024-3992 is 2Cаptcha.API with a Cyrillic а.
var nuget = Ecosystem{
	Name:      "NuGet",
	PURLType:  "nuget",
	Hosts:     []string{"api.nuget.org", "www.nuget.org", "nuget.org", "globalcdn.nuget.org", "azuresearch-usnc.nuget.org", "azuresearch-ussc.nuget.org", "nuget.cdn.azure.cn"},
	canonical: foldCase,
	valid:     func(v string) bool { _, ok := parseRelease(v, 4, leadingZeros); return ok },
	compare:   compareNuGet,
	// Sources are named by their service index or v2 feed; packages are .nupkg
	// (https://learn.microsoft.com/nuget/api/overview).
	registryPath: func(path string) bool {
		return strings.HasSuffix(path, ".nupkg") || strings.HasSuffix(path, "/index.json") ||
			strings.Contains(path, "/v2/") || strings.HasSuffix(path, "/v2") || strings.Contains(path, "/v3/") ||
			strings.Contains(path, "/nuget/") || strings.HasSuffix(path, "/nuget") || strings.Contains(path, "flatcontainer")
	},
}

// compareNuGet is https://learn.microsoft.com/nuget/concepts/package-versioning:
// up to four numbers, missing ones are 0, leading zeros do not count, the
// pre-release is case-insensitive, metadata has no part in it.
func compareNuGet(a, b string) (int, bool) {
	x, okA := parseRelease(lowerASCII(a), 4, leadingZeros)
	y, okB := parseRelease(lowerASCII(b), 4, leadingZeros)
	return compareReleases(&x, &y), okA && okB
}
