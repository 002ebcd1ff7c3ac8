package sbom

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	anydoc "github.com/spdx/tools-golang/spdx/common"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_2"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/rapsheet/rapsheet"
)

var wantBoth = []string{"npm app 9.0.0", "npm left-pad 1.3.0", "npm inner 0.1.0", "npm @acme/util 2.0.0"}

// TestCycloneDXVersions reads what CycloneDX's own library writes, in every
// version and encoding that it can write.
func TestCycloneDXVersions(t *testing.T) {
	bom := func() *cdx.BOM {
		b := cdx.NewBOM()
		b.Metadata = &cdx.Metadata{Component: &cdx.Component{Type: cdx.ComponentTypeApplication, Name: "app", Version: "9.0.0", PackageURL: "pkg:npm/app@9.0.0"}}
		b.Components = &[]cdx.Component{
			{
				Type: cdx.ComponentTypeLibrary, BOMRef: "a", Name: "left-pad", Version: "1.3.0", PackageURL: "pkg:npm/left-pad@1.3.0",
				Hashes:             &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA1, Value: strings.Repeat("AB", 20)}, {Algorithm: cdx.HashAlgoMD5, Value: strings.Repeat("ab", 16)}},
				ExternalReferences: &[]cdx.ExternalReference{{Type: cdx.ERTypeWebsite, URL: "https://example.com/"}, {Type: cdx.ERTypeDistribution, URL: "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz"}},
				Licenses:           &cdx.Licenses{{License: &cdx.License{ID: "MIT"}}},
				Pedigree:           &cdx.Pedigree{Ancestors: &[]cdx.Component{{Type: cdx.ComponentTypeLibrary, Name: "ancestor", Version: "0.0.1", PackageURL: "pkg:npm/ancestor@0.0.1"}}},
			},
			{
				Type: cdx.ComponentTypeLibrary, BOMRef: "b", Group: "@acme", Name: "util", Version: "2.0.0", PackageURL: "pkg:npm/%40acme/util@2.0.0",
				Components: &[]cdx.Component{{Type: cdx.ComponentTypeLibrary, BOMRef: "c", Name: "inner", Version: "0.1.0", PackageURL: "pkg:npm/inner@0.1.0"}},
			},
			{Type: cdx.ComponentTypeFile, Name: "readme"},
		}
		b.Services = &[]cdx.Service{{Name: "service"}}
		b.Dependencies = &[]cdx.Dependency{{Ref: "a", Dependencies: &[]string{"b", "a", "dangling"}}}
		return b
	}
	for version := cdx.SpecVersion1_0; version <= cdx.SpecVersion1_7; version++ {
		for format, name := range map[cdx.BOMFileFormat]string{cdx.BOMFileFormatJSON: "JSON", cdx.BOMFileFormatXML: "XML"} {
			if format == cdx.BOMFileFormatJSON && version < cdx.SpecVersion1_2 {
				continue // JSON came with 1.2
			}
			t.Run(version.String()+" "+name, func(t *testing.T) {
				var buf bytes.Buffer
				if err := cdx.NewBOMEncoder(&buf, format).SetPretty(true).EncodeVersion(bom(), version); err != nil {
					t.Fatal(err)
				}
				want := wantBoth
				if version < cdx.SpecVersion1_2 {
					want = want[1:] // metadata came with 1.2
				}
				res := readAll(t, buf.Bytes(), Options{})
				res.want(t, want, 1)
				// Version 1.0 has no type for files: the library writes an application.
				kind := rapsheet.NoteInfo
				if version == cdx.SpecVersion1_0 {
					kind = rapsheet.NoteUnmatchable
				}
				if n := res.has(kind, "without a purl"); n == nil || n.Count != 1 {
					t.Error("the file is not counted")
				}
				for _, s := range res.sightings {
					if s.Package.Name != "left-pad" {
						continue
					}
					if d := s.Evidence.Digests; len(d) != 1 || d[0] != (rapsheet.Digest{Algorithm: "sha1", Hex: strings.Repeat("ab", 20)}) {
						t.Errorf("digests %v", d)
					}
					if version > cdx.SpecVersion1_0 && s.Evidence.Host != "registry.npmjs.org" {
						t.Errorf("evidence %+v", s.Evidence)
					}
				}
			})
		}
	}
}

// TestSPDXVersions reads what SPDX's own library writes.
func TestSPDXVersions(t *testing.T) {
	for _, version := range []string{"2.2", "2.3"} {
		reference := func(locator string) (string, string, string) {
			return common.CategoryPackageManager, common.TypePackageManagerPURL, locator
		}
		var doc anydoc.AnyDocument
		switch version {
		case "2.2":
			d := &v2_2.Document{SPDXVersion: v2_2.Version, DataLicense: v2_2.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: "x", DocumentNamespace: "https://example.com/x", CreationInfo: &v2_2.CreationInfo{Created: "2024-01-01T00:00:00Z"}}
			for i, p := range [][3]string{{"left-pad", "1.3.0", "pkg:npm/left-pad@1.3.0"}, {"@acme/util", "2.0.0", "pkg:npm/%40acme/util"}} {
				c, ty, l := reference(p[2])
				d.Packages = append(d.Packages, &v2_2.Package{PackageName: p[0], PackageVersion: p[1], PackageSPDXIdentifier: common.ElementID(fmt.Sprint("P", i)), PackageDownloadLocation: "NOASSERTION",
					PackageComment:            "several\nlines\nPackageName: none\n",
					PackageChecksums:          []common.Checksum{{Algorithm: common.SHA256, Value: strings.Repeat("ab", 32)}},
					PackageExternalReferences: []*v2_2.PackageExternalReference{{Category: c, RefType: ty, Locator: l}}})
			}
			doc = d
		case "2.3":
			d := &spdx.Document{SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: "x", DocumentNamespace: "https://example.com/x", CreationInfo: &spdx.CreationInfo{Created: "2024-01-01T00:00:00Z"}}
			for i, p := range [][3]string{{"left-pad", "1.3.0", "pkg:npm/left-pad@1.3.0"}, {"@acme/util", "2.0.0", "pkg:npm/%40acme/util"}} {
				c, ty, l := reference(p[2])
				d.Packages = append(d.Packages, &spdx.Package{PackageName: p[0], PackageVersion: p[1], PackageSPDXIdentifier: common.ElementID(fmt.Sprint("P", i)), PackageDownloadLocation: "NOASSERTION",
					PackageComment:            "several\nlines\nPackageName: none\n",
					PrimaryPackagePurpose:     "LIBRARY",
					PackageChecksums:          []common.Checksum{{Algorithm: common.SHA256, Value: strings.Repeat("ab", 32)}},
					PackageExternalReferences: []*v2_3.PackageExternalReference{{Category: c, RefType: ty, Locator: l}}})
			}
			doc = d
		}
		var asJSON, asTags bytes.Buffer
		if err := spdxjson.Write(doc, &asJSON); err != nil {
			t.Fatal(err)
		}
		if err := tagvalue.Write(doc, &asTags); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"JSON": asJSON.Bytes(), "tag-value": asTags.Bytes()} {
			t.Run(version+" "+name, func(t *testing.T) {
				res := readAll(t, data, Options{})
				res.want(t, []string{"npm left-pad 1.3.0", "npm @acme/util 2.0.0"}, 0)
				for _, s := range res.sightings {
					if d := s.Evidence.Digests; len(d) != 1 || d[0].Algorithm != "sha256" {
						t.Errorf("digests %v", d)
					}
				}
			})
		}
	}
}

// TestSPDXExamples reads the specification's own examples as they come with
// SPDX's library: they have packages and no purls of known types, except one.
func TestSPDXExamples(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/spdx/tools-golang").Output()
	if err != nil {
		t.Skip("the module cache does not have the library's directory")
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "examples", "sample-docs")
	files, _ := filepath.Glob(filepath.Join(dir, "json", "*.json"))
	tags, _ := filepath.Glob(filepath.Join(dir, "tv", "SPDXTagExample*"))
	if len(files) == 0 || len(tags) == 0 {
		t.Skip("the library comes without its examples")
	}
	for _, file := range slices.Concat(files, tags) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var d *spdx.Document
			if strings.HasSuffix(file, ".json") {
				d, err = spdxjson.Read(bytes.NewReader(data))
			} else {
				d, err = tagvalue.Read(bytes.NewReader(data))
			}
			if err != nil {
				t.Skipf("the library does not read its own example: %v", err)
			}
			res := readAll(t, data, Options{})
			n := len(res.sightings)
			for _, note := range res.notes {
				if note.Kind == rapsheet.NoteUnread {
					t.Errorf("%+v", note)
				}
				n += note.Count
			}
			if n != len(d.Packages) {
				t.Errorf("%d packages, the library finds %d: %v", n, len(d.Packages), res.notes)
			}
		})
	}
}
