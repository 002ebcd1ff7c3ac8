package ecosystem

import "strings"

// VSCode: an extension is "publisher.name", case-insensitive
// (https://code.visualstudio.com/api/references/extension-manifest); a purl has
// the publisher as namespace
// (https://github.com/package-url/purl-spec/blob/main/types-doc/vscode-extension-definition.md).
// Open VSX writes "publisher/name". Neither part can hold a dot or a slash.
var vscode = Ecosystem{
	Name:        "VSCode",
	PURLType:    "vscode-extension",
	PURLAliases: []string{"vscode"},
	Hosts: []string{
		"marketplace.visualstudio.com", "open-vsx.org", "www.open-vsx.org",
		// <publisher>.gallery.vsassets.io
		"*.gallery.vsassets.io", "*.gallerycdn.vsassets.io", "openvsxorg.blob.core.windows.net", "openvsx.eclipsecontent.org",
	},
	canonical: func(name string) string {
		publisher, rest, slash := strings.Cut(name, "/")
		if slash {
			if strings.ContainsAny(publisher, ".") || strings.ContainsAny(rest, "./") {
				return "" // neither spelling
			}
			name = publisher + "." + rest
		}
		return lowerASCII(name)
	},
	join: func(namespace, name string) string {
		if namespace == "" {
			return name
		}
		return namespace + "." + name
	},
	split: func(name string) (string, string) {
		i := strings.IndexAny(name, "./")
		if i < 0 {
			return "", name
		}
		return name[:i], name[i+1:]
	},
	// Extensions have SemVer versions (same page, "version").
	valid:   validSemver,
	compare: compareSemver,
	registryPath: func(path string) bool {
		return strings.HasSuffix(path, ".vsix") || strings.Contains(path, "/_apis/public/gallery") || strings.Contains(path, "/vscode/gallery")
	},
}
