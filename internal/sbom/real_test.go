package sbom

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/rapsheet/rapsheet"
)

// sharedSBOMs gives the directory of real SBOMs, which are not part of the repository.
func sharedSBOMs(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
	dir = filepath.Join(dir, "..", "shared", "data", "sboms")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared SBOMs are not there")
	}
	return dir
}

// purlsOf counts the purls of a decoded document the way this package reads one.
func purlsOf(b *cdx.BOM) []string {
	var out []string
	var walk func(cs *[]cdx.Component)
	one := func(c cdx.Component) {
		if c.PackageURL != "" {
			out = append(out, c.PackageURL)
		}
		walk(c.Components)
	}
	walk = func(cs *[]cdx.Component) {
		if cs != nil {
			for _, c := range *cs {
				one(c)
			}
		}
	}
	if b.Metadata != nil && b.Metadata.Component != nil {
		one(*b.Metadata.Component)
	}
	walk(b.Components)
	slices.Sort(out)
	return out
}

// TestReal reads SBOMs of real applications and compares the packages with
// those that CycloneDX's own library finds in them.
func TestReal(t *testing.T) {
	dir := sharedSBOMs(t)
	for _, file := range []struct {
		name   string
		format cdx.BOMFileFormat
	}{
		{"cern-lhc-vdm-editor.cdx.json", cdx.BOMFileFormatJSON},
		{"juice-shop.cdx.json", cdx.BOMFileFormatJSON},
		{"protonmail-webclient.cdx.json", cdx.BOMFileFormatJSON},
		{"laravel.cdx.xml", cdx.BOMFileFormatXML},
	} {
		t.Run(file.name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, file.name))
			if err != nil {
				t.Fatal(err)
			}
			var b cdx.BOM
			if err := cdx.NewBOMDecoder(bytes.NewReader(data), file.format).Decode(&b); err != nil {
				t.Fatal(err)
			}
			want := purlsOf(&b)
			if len(want) < 40 {
				t.Fatalf("the library finds %d purls only", len(want))
			}

			got := readAll(t, data, Options{})
			var purls []string
			lines := strings.Split(string(data), "\n")
			for _, s := range got.sightings {
				purls = append(purls, s.Package.PURL)
				if s.Location.Kind != KindCycloneDX || s.Package.Name == "" || s.Package.Version == "" {
					t.Errorf("incomplete: %+v", s)
				}
				if l := strings.TrimSpace(lines[s.Location.Line-1]); !strings.HasSuffix(l, "{") && !strings.HasPrefix(l, "<component ") {
					t.Fatalf("line %d of %s is %q, not a component's first", s.Location.Line, s.Package.PURL, l)
				}
			}
			slices.Sort(purls)
			if !slices.Equal(purls, want) {
				t.Errorf("%d packages, the library finds %d", len(purls), len(want))
			}
			for _, n := range got.notes {
				if n.Kind != rapsheet.NoteInfo {
					t.Errorf("note: %+v", n)
				}
			}
			t.Logf("%d packages, %d notes", len(purls), len(got.notes))
		})
	}
}
