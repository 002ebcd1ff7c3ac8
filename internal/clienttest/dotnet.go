package clienttest

import (
	"fmt"
	"testing"
)

// Nupkg is a NuGet package of nothing but its manifest (https://learn.microsoft.com/nuget/reference/nuspec).
func Nupkg(t testing.TB, id, version string) []byte {
	t.Helper()
	return Zip(t, "_rels/.rels", "", id+".nuspec", Nuspec(id, version), "lib/net8.0/_._", "")
}

// Nuspec is the manifest of a NuGet package.
func Nuspec(id, version string) string {
	return fmt.Sprintf("\ufeff"+`<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>%s</id>
    <version>%s</version>
    <authors>a</authors>
    <dependencies><group targetFramework="net8.0"><dependency id="Other" version="2.0.0" /></group></dependencies>
  </metadata>
</package>`, id, version)
}
