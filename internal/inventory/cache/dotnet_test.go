package cache_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// digests are those of an archive as [clienttest.Lines] shows them.
func digests(b []byte) string {
	return fmt.Sprintf("md5:%.6s sha1:%.6s sha256:%.6s sha512:%.6s",
		fmt.Sprintf("%x", md5.Sum(b)), fmt.Sprintf("%x", sha1.Sum(b)), fmt.Sprintf("%x", sha256.Sum256(b)), fmt.Sprintf("%x", sha512.Sum512(b)))
}

func utf16LE(s string) string {
	b := []byte{0xFF, 0xFE}
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return string(b)
}

func TestNuGet(t *testing.T) {
	evil := clienttest.Nupkg(t, "Evil.Package", "1.2.3")
	sum := sha512.Sum512(evil)
	sha := base64.StdEncoding.EncodeToString(sum[:])
	digest := fmt.Sprintf("sha512:%.6s", fmt.Sprintf("%x", sum))
	// https://learn.microsoft.com/nuget/concepts/troubleshooting-installed-packages
	metadata := `{
  "version": 2,
  "contentHash": "bw3R9q8cVNhWXNpnvWb0OGP4HadS4zvClq+T1zf7AF+tLY1haZ2AvbHidQekf4PDv1T40c6brZeT/V0IBq7cEQ==",
  "source": "https://api.nuget.org/v3/index.json"
}`
	// Directories of nuget.org as they are found on machines, of the current and of older clients.
	const nugetOrg = "670c1461c29885f9aa22c281d8b7da90845b38e4$ps:_api.nuget.org_v3_index.json"
	const corp = "0123456789abcdef0123456789abcdef01234567$s:_nuget.corp.example_v3_index.json"
	tests := []struct {
		name  string
		files map[string]string
		hash  bool
		want  []string
	}{
		{"global packages folder", map[string]string{
			".nuget/packages/evil.package/1.2.3/.nupkg.metadata":                    metadata,
			".nuget/packages/evil.package/1.2.3/evil.package.1.2.3.nupkg.sha512":    sha,
			".nuget/packages/evil.package/1.2.3/evil.package.1.2.3.nupkg":           string(evil),
			".nuget/packages/evil.package/1.2.3/evil.package.nuspec":                clienttest.Nuspec("Evil.Package", "1.2.3"),
			".nuget/packages/evil.package/1.2.3/lib/net8.0/evil.package.dll":        "",
			".nuget/packages/corp.lib/2.0.0-beta.1/.nupkg.metadata":                 `{"version": 2, "contentHash": "x", "source": "https://user:secret@nuget.corp.example/v3/index.json?token=secret"}`,
			".nuget/packages/local/1.0.0/.nupkg.metadata":                           "\ufeff" + `{"version": 2, "source": "C:\\Program Files\\dotnet\\library-packs"}`,
			".nuget/packages/old/1.0.0/.nupkg.metadata":                             `{"version": 1, "contentHash": "x"}`,
			".nuget/packages/future/1.0.0/.nupkg.metadata":                          `{"version": 3, "where": "x"}`,
			".nuget/packages/broken/1.0.0/.nupkg.metadata":                          `{"version": `,
			".nuget/packages/spoof/6.6.6/.nupkg.metadata":                           `{"version": 1}`,
			".nuget/packages/spoof/6.6.6/spoof.nuspec":                              clienttest.Nuspec("Harmless", "1.0.0"),
			".nuget/packages/evil.old/9.0.0/.nupkg.metadata":                        `{"version": 1}`,
			".nuget/packages/evil.old/9.0.0/evil.old.nuspec":                        clienttest.Nuspec("Evil.Old", "1.0"),
			".nuget/packages/evil.new/1.0.0/.nupkg.metadata":                        `{"version": 1}`,
			".nuget/packages/evil.new/1.0.0/evil.new.nuspec":                        clienttest.Nuspec("Evil.New", "1.0"),
			".nuget/packages/strange/.nupkg.metadata":                               `{"version": 1}`,
			"dotnet/sdk/NuGetFallbackFolder/oldest/4.3.0/oldest.4.3.0.nupkg.sha512": sha,
			"build/evil.package.1.2.3.nupkg.sha512":                                 sha,
		}, false, []string{
			".nuget/packages/broken/1.0.0/.nupkg.metadata broken@1.0.0",
			"unread .nuget/packages/broken/1.0.0/.nupkg.metadata: not the JSON that NuGet writes: where the package came from was not read",
			".nuget/packages/corp.lib/2.0.0-beta.1/.nupkg.metadata corp.lib@2.0.0-beta.1 registry nuget.corp.example",
			".nuget/packages/evil.new/1.0.0/.nupkg.metadata Evil.New@1.0.0",
			`info .nuget/packages/evil.old/9.0.0/.nupkg.metadata: calls itself "Evil.Old.1.0" where "evil.old.9.0.0" is installed: both were looked up`,
			".nuget/packages/evil.old/9.0.0/.nupkg.metadata Evil.Old@1.0",
			".nuget/packages/evil.old/9.0.0/.nupkg.metadata evil.old@9.0.0",
			".nuget/packages/evil.package/1.2.3/.nupkg.metadata Evil.Package@1.2.3 registry api.nuget.org " + digest,
			".nuget/packages/future/1.0.0/.nupkg.metadata future@1.0.0",
			"unread .nuget/packages/future/1.0.0/.nupkg.metadata: version 3 of .nupkg.metadata is not known: where the package came from was not read",
			".nuget/packages/local/1.0.0/.nupkg.metadata local@1.0.0 file",
			".nuget/packages/old/1.0.0/.nupkg.metadata old@1.0.0",
			`info .nuget/packages/spoof/6.6.6/.nupkg.metadata: calls itself "Harmless.1.0.0" where "spoof.6.6.6" is installed: both were looked up`,
			".nuget/packages/spoof/6.6.6/.nupkg.metadata Harmless@1.0.0",
			".nuget/packages/spoof/6.6.6/.nupkg.metadata spoof@6.6.6",
			"unread .nuget/packages/strange/.nupkg.metadata: not in a directory <id>/<version>",
			"dotnet/sdk/NuGetFallbackFolder/oldest/4.3.0/oldest.4.3.0.nupkg.sha512 oldest@4.3.0 " + digest,
		}},
		{"what the user restores from, where nothing is written down", map[string]string{
			"home/a/.nuget/NuGet/NuGet.Config":                              `<configuration><packageSources><add key="corp" value="https://user:secret@nuget.corp.example/v3/index.json"/></packageSources></configuration>`,
			"home/a/.nuget/packages/old/1.0.0/.nupkg.metadata":              `{"version": 1, "contentHash": "x"}`,
			"home/a/.nuget/packages/new/1.0.0/.nupkg.metadata":              `{"version": 2, "source": "https://api.nuget.org/v3/index.json"}`,
			"home/a/.nuget/packages/oldest/4.3.0/oldest.4.3.0.nupkg.sha512": sha,
			"home/b/.nuget/packages/old/1.0.0/.nupkg.metadata":              `{"version": 1, "contentHash": "x"}`,
		}, false, []string{
			"home/a/.nuget/packages/new/1.0.0/.nupkg.metadata new@1.0.0 registry api.nuget.org",
			"home/a/.nuget/packages/old/1.0.0/.nupkg.metadata old@1.0.0 nuget.corp.example",
			"home/a/.nuget/packages/oldest/4.3.0/oldest.4.3.0.nupkg.sha512 oldest@4.3.0 " + digest,
			"home/b/.nuget/packages/old/1.0.0/.nupkg.metadata old@1.0.0",
		}},
		{"a tool of dotnet (https://learn.microsoft.com/dotnet/core/tools/global-tools)", map[string]string{
			".dotnet/tools/.store/evil.tool/1.0.0/evil.tool/1.0.0/.nupkg.metadata":  metadata,
			".dotnet/tools/.store/evil.tool/1.0.0/evil.tool/1.0.0/evil.tool.nuspec": clienttest.Nuspec("Evil.Tool", "1.0.0"),
		}, false, []string{
			".dotnet/tools/.store/evil.tool/1.0.0/evil.tool/1.0.0/.nupkg.metadata Evil.Tool@1.0.0 registry api.nuget.org",
		}},
		{"http cache: packages and not what is known of them", map[string]string{
			"http-cache/" + nugetOrg + "/nupkg_evil.package.1.2.3.dat":                                                      string(evil),
			"http-cache/" + nugetOrg + "/list_other.dat":                                                                    `{"versions": ["1.0.0"]}`,
			"v3-cache/1ca707a4d90792ce8e42453d4e350886a0fdaa4d$ps_api.nuget.org_v3_index.json/nupkg_evil.package.1.2.3.dat": string(evil),
			"http-cache/" + corp + "/nupkg_a.1.2.3.4.dat":                                                                   "truncated",
			"http-cache/" + corp + "/nupkg_good.1.0.0.dat":                                                                  string(evil),
			"http-cache/" + corp + "/nupkg_x.2.1.0.0.dat":                                                                   "truncated",
			"other/nupkg_evil.package.1.2.3.dat":                                                                            string(evil),
		}, true, []string{
			"http-cache/" + corp + "/nupkg_a.1.2.3.4.dat a@1.2.3.4 " + digests([]byte("truncated")),
			"http-cache/" + corp + "/nupkg_a.1.2.3.4.dat a.1@2.3.4 " + digests([]byte("truncated")),
			"unread http-cache/" + corp + "/nupkg_a.1.2.3.4.dat: not a valid zip file",
			"http-cache/" + corp + "/nupkg_good.1.0.0.dat Evil.Package@1.2.3 " + digests(evil),
			`info http-cache/` + corp + `/nupkg_good.1.0.0.dat: calls itself "Evil.Package.1.2.3" where NuGet fetched "good.1.0.0": both were looked up`,
			"http-cache/" + corp + "/nupkg_good.1.0.0.dat good@1.0.0 " + digests(evil),
			// A fourth number of 0 is not written: this is no x 2.1.0.0.
			"http-cache/" + corp + "/nupkg_x.2.1.0.0.dat x.2@1.0.0 " + digests([]byte("truncated")),
			"unread http-cache/" + corp + "/nupkg_x.2.1.0.0.dat: not a valid zip file",
			"http-cache/" + nugetOrg + "/nupkg_evil.package.1.2.3.dat Evil.Package@1.2.3 registry api.nuget.org " + digests(evil),
			"v3-cache/1ca707a4d90792ce8e42453d4e350886a0fdaa4d$ps_api.nuget.org_v3_index.json/nupkg_evil.package.1.2.3.dat Evil.Package@1.2.3 registry api.nuget.org " + digests(evil),
		}},
		{"packages.config, and what the SDK brings", map[string]string{
			"app/packages/Evil.Package.1.2.3/Evil.Package.1.2.3.nupkg": string(evil),
			"app/packages/Evil.2.1.0.0/Evil.2.1.0.0.nupkg":             string(clienttest.Nupkg(t, "Evil.2", "1.0.0+build")),
			"app/packages/jQuery.1.7/jQuery.1.7.nupkg":                 "truncated",
			"app/packages/No.Manifest.1.0.0/No.Manifest.1.0.0.nupkg":   string(clienttest.Zip(t, "sub/x.nuspec", clienttest.Nuspec("x", "1"))),
			"app/packages/DTD.1.0.0/DTD.1.0.0.nupkg":                   string(clienttest.Zip(t, "d.nuspec", `<!DOCTYPE x [<!ENTITY e "x">]><package><metadata><id>&e;</id>`)),
			"dotnet/library-packs/Evil.Package.1.2.3.nupkg":            string(evil),
			"app/packages/Wide.1.0.0/Wide.1.0.0.nupkg":                 string(clienttest.Zip(t, "Wide.nuspec", utf16LE(`<?xml version="1.0" encoding="utf-16"?><package><metadata><id>Wide</id><version>1.0.0</version>`))),
			"downloads/Evil.Package.1.2.3.nupkg":                       string(evil),
		}, false, []string{
			"app/packages/DTD.1.0.0/DTD.1.0.0.nupkg DTD@1.0.0",
			"unread app/packages/DTD.1.0.0/DTD.1.0.0.nupkg: a .nuspec with a document type: not read",
			"app/packages/Evil.2.1.0.0/Evil.2.1.0.0.nupkg Evil.2@1.0.0",
			"app/packages/Evil.Package.1.2.3/Evil.Package.1.2.3.nupkg Evil.Package@1.2.3",
			"app/packages/No.Manifest.1.0.0/No.Manifest.1.0.0.nupkg No.Manifest@1.0.0",
			"unread app/packages/No.Manifest.1.0.0/No.Manifest.1.0.0.nupkg: a package without a .nuspec",
			"app/packages/Wide.1.0.0/Wide.1.0.0.nupkg Wide@1.0.0",
			"app/packages/jQuery.1.7/jQuery.1.7.nupkg jQuery@1.7",
			"unread app/packages/jQuery.1.7/jQuery.1.7.nupkg: not a valid zip file",
			"dotnet/library-packs/Evil.Package.1.2.3.nupkg Evil.Package@1.2.3",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := kept(t, clienttest.Tree(t, tt.files), tt.hash)
			for _, line := range got {
				if strings.Contains(line, "secret") {
					t.Errorf("a secret: %s", line)
				}
			}
			compare(t, got, tt.want)
		})
	}
}

// What is found where the walk begins in the package's directory itself, and where dotnet publish put an application.
func TestNuGetInside(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		".nuget/packages/evil/1.0.0/.nupkg.metadata": `{"version": 1}`,
		"srv/app/app.deps.json": `{"runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"}, "libraries": {
			"app/1.0.0": {"type": "project", "serviceable": false, "sha512": ""},
			"Evil.Package/1.2.3": {"type": "package", "serviceable": true, "sha512": "sha512-AA==", "path": "evil.package/1.2.3"}}}`,
	})
	compare(t, kept(t, filepath.Join(root, ".nuget/packages/evil/1.0.0"), false), []string{".nupkg.metadata evil@1.0.0"})
	compare(t, everything(t, filepath.Join(root, "srv")), []string{"app/app.deps.json app@1.0.0 file", "app/app.deps.json Evil.Package@1.2.3"})
}
