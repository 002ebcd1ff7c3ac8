package ecosystem

import "strings"

// Hex: names are lower case by the registry's rule
// (https://hex.pm/docs/publish, "name"), versions are SemVer
// (https://hexdocs.pm/elixir/Version.html).
var hexpm = Ecosystem{
	Name:      "Hex",
	PURLType:  "hex",
	Hosts:     []string{"hex.pm", "repo.hex.pm", "www.hex.pm", "builds.hex.pm", "hexpm.upyun.com"},
	canonical: lowerASCII,
	valid:     validSemver,
	compare:   compareSemver,
	// https://github.com/hexpm/specifications: /tarballs/<name>-<version>.tar.
	registryPath: func(path string) bool { return strings.Contains(path, "/tarballs/") },
}
