package sbom

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
)

// generator writes a CycloneDX 1.6 document of n components as cdxgen and Syft
// write them, without holding it: the members, and their order and sizes, are
// those of components in real documents.
type generator struct {
	n, i int
	xml  bool
	buf  bytes.Buffer
	rng  *rand.Rand
	end  bool
}

func newGenerator(n int) *generator {
	return &generator{n: n, rng: rand.New(rand.NewPCG(1, 2))}
}

func (g *generator) Read(p []byte) (int, error) {
	for g.buf.Len() < len(p) && !g.end {
		g.step()
	}
	return g.buf.Read(p)
}

func (g *generator) step() {
	if g.i == 0 {
		if g.xml {
			g.buf.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\" version=\"1\">\n  <components>\n")
		} else {
			g.buf.WriteString("{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.6\",\n  \"components\": [\n")
		}
	}
	if g.i == g.n {
		if g.xml {
			g.buf.WriteString("  </components>\n</bom>\n")
		} else {
			g.buf.WriteString("\n  ]\n}\n")
		}
		g.end = true
		return
	}
	var sum [64]byte
	for i := range sum {
		sum[i] = byte(g.rng.Uint32())
	}
	digest := hex.EncodeToString(sum[:])
	group, scope := "", ""
	if g.i%5 == 0 {
		group, scope = "@scope"+fmt.Sprint(g.i%97), "%40scope"+fmt.Sprint(g.i%97)+"/"
	}
	name := fmt.Sprintf("package-%d", g.i)
	version := fmt.Sprintf("%d.%d.%d", g.i%20, g.i%7, g.i%31)
	purl := "pkg:npm/" + scope + name + "@" + version
	tarball := "https://registry.npmjs.org/" + name + "/-/" + name + "-" + version + ".tgz"
	if g.xml {
		fmt.Fprintf(&g.buf, `    <component type="library" bom-ref=%q>
      <group>%s</group>
      <name>%s</name>
      <version>%s</version>
      <description>What the package does, in one line of text</description>
      <hashes>
        <hash alg="SHA-512">%s</hash>
      </hashes>
      <licenses>
        <license>
          <id>MIT</id>
        </license>
      </licenses>
      <purl>%s</purl>
      <externalReferences>
        <reference type="distribution">
          <url>%s</url>
        </reference>
      </externalReferences>
    </component>
`, purl, group, name, version, digest, purl, tarball)
		g.i++
		return
	}
	if g.i > 0 {
		g.buf.WriteString(",\n")
	}
	fmt.Fprintf(&g.buf, `    {
      "bom-ref": %q,
      "type": "library",
      "name": %q,
      "group": %q,
      "version": %q,
      "description": "What the package does, in one line of text",
      "scope": "required",
      "hashes": [
        {
          "alg": "SHA-512",
          "content": %q
        }
      ],
      "licenses": [
        {
          "license": {
            "id": "MIT",
            "url": "https://opensource.org/licenses/MIT"
          }
        }
      ],
      "purl": %q,
      "externalReferences": [
        {
          "type": "website",
          "url": "https://github.com/owner/%s#readme"
        },
        {
          "type": "vcs",
          "url": "git+https://github.com/owner/%s.git"
        },
        {
          "type": "distribution",
          "url": %q
        }
      ],
      "properties": [
        {
          "name": "SrcFile",
          "value": "package-lock.json"
        }
      ]
    }`, purl, name, group, version, digest, purl, name, name, tarball)
	g.i++
}

// benchmark reads data with everything that a scan needs of a sighting.
func benchmark(b *testing.B, data []byte, components int) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range Read(context.Background(), bytes.NewReader(data), "bom", Options{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != components {
			b.Fatalf("%d components", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(components), "ns/component")
}

func generated(b *testing.B, g *generator) []byte {
	b.Helper()
	data, err := io.ReadAll(g)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// BenchmarkCycloneDXJSON is the bar: 100,000 components within a second.
func BenchmarkCycloneDXJSON(b *testing.B) {
	const n = 100_000
	benchmark(b, generated(b, newGenerator(n)), n)
}

func BenchmarkCycloneDXXML(b *testing.B) {
	const n = 20_000
	g := newGenerator(n)
	g.xml = true
	benchmark(b, generated(b, g), n)
}

func BenchmarkSPDXJSON(b *testing.B) {
	const n = 20_000
	var buf bytes.Buffer
	buf.WriteString(`{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","packages":[`)
	for i := range n {
		if i > 0 {
			buf.WriteString(",\n")
		}
		fmt.Fprintf(&buf, `{"SPDXID":"SPDXRef-%d","name":"package-%d","versionInfo":"1.2.3","downloadLocation":"NOASSERTION","filesAnalyzed":false,
"licenseConcluded":"MIT","copyrightText":"NOASSERTION","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/package-%d@1.2.3"}]}`, i, i, i)
	}
	buf.WriteString("]}")
	benchmark(b, buf.Bytes(), n)
}

func BenchmarkPURLList(b *testing.B) {
	const n = 100_000
	benchmark(b, []byte(strings.Repeat("pkg:npm/left-pad@1.3.0\n", n)), n)
}

func BenchmarkWriteCycloneDX(b *testing.B) {
	const n = 10_000
	s := rapsheet.Sighting{
		Package:  rapsheet.Package{Ecosystem: "npm", Name: "left-pad", Version: "1.3.0", PURL: "pkg:npm/left-pad@1.3.0"},
		Location: rapsheet.Location{Path: "package-lock.json", Line: 12, Kind: "package-lock.json"},
	}
	b.ReportAllocs()
	for b.Loop() {
		err := WriteCycloneDX(io.Discard, Document{}, func(yield func(rapsheet.Sighting) bool) {
			for range n {
				if !yield(s) {
					return
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/component")
}

// TestMemory reads C61, a million components in some 900 MB, through a
// generator that holds none of it, and watches the heap.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a million components take some seconds")
	}
	t.Run("C61 a million components", func(t *testing.T) {
		runtime.GC()
		var peak uint64
		n := 0
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		base := m.HeapSys
		for _, err := range Read(context.Background(), newGenerator(1_000_000), "bom", Options{Decompressed: 2 << 30}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n%20_000 == 0 {
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapSys-min(base, m.HeapSys))
			}
		}
		if n != 1_000_000 {
			t.Errorf("%d components", n)
		}
		if peak > 60<<20 {
			t.Errorf("the heap grew by %d MB", peak>>20)
		}
	})
	t.Run("C61 a million and one", func(t *testing.T) {
		n, notes := 0, []string{}
		for _, err := range Read(context.Background(), io.MultiReader(
			strings.NewReader(`{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1"}`),
			&repeat{text: `,{"purl":"pkg:npm/a@1"}`, n: 1_000_000},
			strings.NewReader("]}")), "bom", Options{}) {
			if err != nil {
				notes = append(notes, err.Error())
				continue
			}
			n++
		}
		if n != 1_000_000 || len(notes) != 1 || !strings.Contains(notes[0], "limit of 1000000 components") {
			t.Errorf("%d components, notes %q", n, notes)
		}
	})
}

// repeat gives a text n times.
type repeat struct {
	text string
	n    int
	rest string
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if r.rest == "" {
			if r.n == 0 {
				break
			}
			r.n--
			r.rest = r.text
		}
		c := copy(p[n:], r.rest)
		r.rest = r.rest[c:]
		n += c
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
