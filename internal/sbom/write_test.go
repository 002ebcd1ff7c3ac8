package sbom

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// schema compiles one of the official schemas in testdata.
func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	return clienttest.CycloneDX(t, "testdata/schema", name)
}

func validate(t testing.TB, s *jsonschema.Schema, data []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, data)
	}
}

var written = []rapsheet.Sighting{
	{
		Package:  rapsheet.Package{Ecosystem: "npm", Name: "@acme/util", Version: "2.0.0", PURL: "pkg:npm/%40acme/util@2.0.0"},
		Location: rapsheet.Location{Path: "web/package-lock.json", Line: 12, Kind: "package-lock.json"},
		Evidence: rapsheet.Evidence{
			Origin: rapsheet.OriginRegistry, URL: "https://registry.npmjs.org/@acme/util/-/util-2.0.0.tgz", Host: "registry.npmjs.org",
			Digests: []rapsheet.Digest{
				{Algorithm: "sha1", Hex: strings.Repeat("0f", 20)},
				{Algorithm: "sha512", Hex: strings.Repeat("a1", 64)},
				{Algorithm: "sha256", Hex: "not hex"},
				{Algorithm: "blake3", Hex: strings.Repeat("a1", 32)},
			},
		},
	},
	{Package: rapsheet.Package{Ecosystem: "PyPI", Name: "requests", Version: "2.31.0"}},
	{Package: rapsheet.Package{Ecosystem: "Maven", Name: "org.example:core", Version: "1.0"}},
	{Package: rapsheet.Package{Ecosystem: "Go", Name: "example.com/a/b/v2", Version: "v2.0.1"}},
	{Package: rapsheet.Package{Ecosystem: "npm", Name: "unversioned"}},
	{
		Package:  rapsheet.Package{Ecosystem: "npm", Name: "evil\x1b[2J<script>\u202e", Version: "1\n2\xff"},
		Location: rapsheet.Location{Path: "a\x00b\xff", Line: -1},
		Evidence: rapsheet.Evidence{Origin: rapsheet.OriginURL, URL: "http://[::1/bad url%%"},
	},
	{
		Package:  rapsheet.Package{Ecosystem: "npm", Name: "from-git", Version: "1.0.0"},
		Evidence: rapsheet.Evidence{Origin: rapsheet.OriginGit, URL: "git+ssh://git@example.com/o/r.git", Host: "example.com"},
	},
}

var writers = []struct {
	name, schema string
	write        func(*bytes.Buffer, Document, []rapsheet.Sighting) error
}{
	{"CycloneDX", "bom-1.6.SNAPSHOT.schema.json", func(b *bytes.Buffer, d Document, s []rapsheet.Sighting) error {
		return WriteCycloneDX(b, d, slices.Values(s))
	}},
	{"SPDX", "spdx-2.3.schema.json", func(b *bytes.Buffer, d Document, s []rapsheet.Sighting) error {
		return WriteSPDX(b, d, slices.Values(s))
	}},
}

func TestWriters(t *testing.T) {
	doc := Document{Name: "machine 7", Version: "3", Tool: "rapsheet", ToolVersion: "1.2.3", Created: time.Date(2026, 11, 22, 13, 0, 0, 5, time.FixedZone("", 3600))}
	for _, w := range writers {
		t.Run(w.name, func(t *testing.T) {
			s := schema(t, w.schema)
			// The schema refuses something, so that its silence means something.
			bad, _ := jsonschema.UnmarshalJSON(strings.NewReader(`{"bomFormat":"CycloneDX","specVersion":"1.6","SPDXID":1}`))
			if s.Validate(bad) == nil {
				t.Fatal("the schema accepts anything")
			}
			for _, packages := range [][]rapsheet.Sighting{written, nil, slices.Repeat(written[:1], 3)} {
				var a, b, c bytes.Buffer
				if err := w.write(&a, doc, packages); err != nil {
					t.Fatal(err)
				}
				validate(t, s, a.Bytes())
				if err := w.write(&b, doc, packages); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
					t.Error("the same input gives two documents")
				}
				if err := w.write(&c, doc, append(slices.Clone(packages), written[1])); err != nil || identity(t, a.String()) == identity(t, c.String()) {
					t.Error("other packages, the same identity")
				}
			}
			var given bytes.Buffer
			d := doc
			d.UUID = "3e671687-395b-41f5-a30f-a58921a69b79"
			if err := w.write(&given, d, nil); err != nil || identity(t, given.String()) != "urn:uuid:"+d.UUID {
				t.Errorf("%v %s", err, given.String())
			}
		})
	}
	if err := WriteSPDX(&bytes.Buffer{}, Document{}, slices.Values(written)); !errors.Is(err, errNoTime) {
		t.Errorf("SPDX without a time: %v", err)
	}
	var b bytes.Buffer
	if err := WriteCycloneDX(&b, Document{}, slices.Values(written)); err != nil || strings.Contains(b.String(), "timestamp") {
		t.Errorf("CycloneDX without a time: %v", err)
	}
	for _, write := range []func() error{
		func() error { return WriteCycloneDX(full{}, doc, slices.Values(slices.Repeat(written, 1000))) },
		func() error { return WriteSPDX(full{}, doc, slices.Values(slices.Repeat(written, 1000))) },
	} {
		if err := write(); !errors.Is(err, errFull) {
			t.Errorf("on a full disk: %v", err)
		}
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// identity finds the document's UUID.
func identity(t *testing.T, doc string) string {
	t.Helper()
	i := strings.Index(doc, "urn:uuid:")
	if i < 0 {
		t.Fatal("no identity in ", doc)
	}
	return doc[i : i+len("urn:uuid:")+36]
}

// TestRoundTrip holds what was written against what is read, by this package
// and by the formats' own libraries.
func TestRoundTrip(t *testing.T) {
	doc := Document{Created: time.Unix(1700000000, 0)}
	clean := append(slices.Clone(written[:5]), written[6])
	var want []string
	for _, s := range clean {
		want = append(want, s.Package.Ecosystem+" "+s.Package.Name+" "+s.Package.Version)
	}
	for _, w := range writers {
		var b bytes.Buffer
		if err := w.write(&b, doc, clean); err != nil {
			t.Fatal(err)
		}
		res := readAll(t, b.Bytes(), Options{})
		if got := res.packages(); !slices.Equal(got, want) {
			t.Errorf("%s: read %q, wrote %q", w.name, got, want)
		}
		for _, n := range res.notes {
			// CycloneDX's subject is a component without a purl.
			if w.name != "CycloneDX" || n.Kind != rapsheet.NoteUnmatchable || n.Count != 1 {
				t.Errorf("%s: note %+v", w.name, n)
			}
		}
		ev := res.sightings[0].Evidence
		if len(ev.Digests) != 2 || ev.Digests[1] != written[0].Evidence.Digests[1] || ev.Host != "registry.npmjs.org" || ev.Origin != rapsheet.OriginRegistry {
			t.Errorf("%s: evidence %+v", w.name, ev)
		}

		var theirs []string
		if w.name == "CycloneDX" {
			var bom cdx.BOM
			if err := cdx.NewBOMDecoder(bytes.NewReader(b.Bytes()), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
				t.Fatal(err)
			}
			theirs = purlsOf(&bom)
		} else {
			d, err := spdxjson.Read(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range d.Packages {
				for _, r := range p.PackageExternalReferences {
					theirs = append(theirs, r.Locator)
				}
			}
			slices.Sort(theirs)
		}
		var ours []string
		for _, s := range res.sightings {
			ours = append(ours, s.Package.PURL)
		}
		slices.Sort(ours)
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s: the library reads %q, we read %q", w.name, theirs, ours)
		}
	}
}
