package sbom

import (
	"strings"
	"testing"
	"time"
)

// fuzz reads data under small limits: no panic, the contract of the stream
// (readAll), bounded time, and no more sightings than allowed.
func fuzz(f *testing.F, want func(name string) bool, more ...string) {
	for _, s := range formats {
		if want(s.name) {
			f.Add([]byte(s.text))
		}
	}
	for _, s := range more {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		kind, ok := Sniff(data)
		res := readAll(t, data, Options{Components: 100, Token: 64 << 10, Decompressed: 1 << 20})
		if len(res.sightings) > 100 {
			t.Errorf("%d sightings", len(res.sightings))
		}
		if !ok && len(data) < 1000 && !isCompressed(data) && len(res.sightings) > 0 {
			t.Errorf("not recognised and read all the same: %v", res.packages())
		}
		if ok && kind == "" {
			t.Error("recognised as nothing")
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%d bytes took %v", len(data), d)
		}
	})
}

func named(words ...string) func(string) bool {
	return func(name string) bool {
		for _, w := range words {
			if !strings.Contains(name, w) {
				return false
			}
		}
		return true
	}
}

func FuzzCycloneDXJSON(f *testing.F) {
	fuzz(f, named("CycloneDX JSON"), string(withComponents(`{"hashes":[{"alg":"SHA-1","content":"zz"}],"externalReferences":[1,{"type":"distribution","url":"file:///x"}],"components":[{}]}`)),
		formats[10].text, formats[11].text)
}

func FuzzCycloneDXXML(f *testing.F) {
	fuzz(f, named("CycloneDX XML"), string(xmlWith("<!DOCTYPE bom>", "")), string(xmlWith("", `<components><component><hashes><hash alg="SHA-1">a</hash></hashes><x xmlns="y"/></component></components>`)))
}

func FuzzSPDXJSON(f *testing.F) {
	fuzz(f, func(name string) bool {
		return strings.Contains(name, "SPDX") && strings.Contains(name, "JSON") || name == "GitHub export"
	})
}

func FuzzSPDXTagValue(f *testing.F) {
	fuzz(f, named("tag-value"), "SPDXVersion: SPDX-2.2\nPackageName: a\nExternalRef: PACKAGE-MANAGER purl\nPackageChecksum: SHA1: x\nPackageComment: <text>a</text>\n")
}

func FuzzSyft(f *testing.F) {
	fuzz(f, named("Syft"), `{"artifacts":[{"foundBy":"x","metadata":{"resolved":"x","integrity":"sha512-x"}}],"schema":{"version":""}}`)
}

func FuzzPURLList(f *testing.F) {
	fuzz(f, named("purl list"), "pkg:npm/a@1?checksum=sha1:x #c\npkg:deb/x/y\npkg:\n")
}
