package sbom

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// Document describes the SBOM that is written around the packages.
type Document struct {
	// Name is what the SBOM is an inventory of; "inventory" if empty. Version is its version, if it has one.
	Name    string
	Version string
	// Tool and ToolVersion name the program that writes; "rapsheet" if Tool is empty.
	Tool        string
	ToolVersion string
	// Created is written in UTC, to the second. SPDX requires it; CycloneDX leaves a zero time out.
	Created time.Time
	// UUID identifies the document (CycloneDX's serial number, SPDX's namespace). If empty it is derived from
	// the content, so that the same input gives the same document.
	UUID string
}

func (d Document) withDefaults() Document {
	if d.Name == "" {
		d.Name = "inventory"
	}
	if d.Tool == "" {
		d.Tool = "rapsheet"
	}
	return d
}

// errNoTime says that SPDX's creation time is missing.
var errNoTime = errors.New("write SPDX: a document needs a creation time")

// WriteCycloneDX writes pkgs as CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/):
// one component per sighting in the order given, with its place as an
// occurrence. Nothing is kept in memory and nothing is merged. Text that is not
// UTF-8 is written with U+FFFD. The first error of w ends it.
func WriteCycloneDX(w io.Writer, doc Document, pkgs iter.Seq[rapsheet.Sighting]) error {
	doc = doc.withDefaults()
	e := newEncoder(w)
	e.begin('{')
	e.member("$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json")
	e.member("bomFormat", "CycloneDX")
	e.member("specVersion", "1.6")
	e.name("version")
	e.token(jsontext.Int(1))
	e.name("metadata")
	e.begin('{')
	if !doc.Created.IsZero() {
		e.member("timestamp", timestamp(doc.Created))
	}
	e.name("tools")
	e.begin('{')
	e.name("components")
	e.begin('[')
	e.begin('{')
	e.member("type", "application")
	e.member("name", doc.Tool)
	e.optional("version", doc.ToolVersion)
	e.end('}')
	e.end(']')
	e.end('}')
	e.name("component")
	e.begin('{')
	e.member("type", "application")
	e.member("bom-ref", "subject")
	e.member("name", doc.Name)
	e.optional("version", doc.Version)
	e.end('}')
	e.end('}')

	e.name("components")
	e.begin('[')
	n := 0
	for s := range pkgs {
		n++
		e.cycloneDX(n, s)
		if e.err != nil {
			break
		}
	}
	e.end(']')
	// The serial number covers what came before it, so it comes last.
	e.member("serialNumber", "urn:uuid:"+e.uuid(doc.UUID))
	e.end('}')
	return e.finish("CycloneDX")
}

func (e *encoder) cycloneDX(n int, s rapsheet.Sighting) {
	p := s.Package
	e.begin('{')
	e.member("type", "library")
	e.member("bom-ref", "package-"+strconv.Itoa(n))
	group, name := groupAndName(p)
	e.optional("group", group)
	e.member("name", name)
	e.optional("version", p.Version)
	if hashes := digests(s.Evidence.Digests, cycloneDXAlgorithm); len(hashes) > 0 {
		e.name("hashes")
		e.begin('[')
		for _, d := range hashes {
			e.begin('{')
			e.member("alg", d.Algorithm)
			e.member("content", d.Hex)
			e.end('}')
		}
		e.end(']')
	}
	e.optional("purl", purlOf(p))
	if u := reference(s.Evidence.URL); u != "" {
		kind := "distribution"
		if s.Evidence.Origin == rapsheet.OriginGit {
			kind = "vcs"
		}
		e.name("externalReferences")
		e.begin('[')
		e.begin('{')
		e.member("type", kind)
		e.member("url", u)
		e.end('}')
		e.end(']')
	}
	if s.Location.Path != "" {
		e.name("evidence")
		e.begin('{')
		e.name("occurrences")
		e.begin('[')
		e.begin('{')
		e.member("location", s.Location.Path)
		if s.Location.Line > 0 {
			e.name("line")
			e.token(jsontext.Int(int64(s.Location.Line)))
		}
		e.optional("additionalContext", s.Location.Kind)
		e.end('}')
		e.end(']')
		e.end('}')
	}
	e.end('}')
}

// WriteSPDX writes pkgs as SPDX 2.3 JSON (https://spdx.github.io/spdx-spec/v2.3/):
// one package per sighting in the order given, each described by the document.
// It is otherwise like [WriteCycloneDX].
func WriteSPDX(w io.Writer, doc Document, pkgs iter.Seq[rapsheet.Sighting]) error {
	doc = doc.withDefaults()
	if doc.Created.IsZero() {
		return errNoTime
	}
	e := newEncoder(w)
	e.begin('{')
	e.member("spdxVersion", "SPDX-2.3")
	e.member("SPDXID", "SPDXRef-DOCUMENT")
	e.member("dataLicense", "CC0-1.0")
	name := doc.Name
	if doc.Version != "" {
		name += " " + doc.Version
	}
	e.member("name", name)
	e.name("creationInfo")
	e.begin('{')
	e.member("created", timestamp(doc.Created))
	e.name("creators")
	e.begin('[')
	tool := "Tool: " + doc.Tool
	if doc.ToolVersion != "" {
		tool += "-" + doc.ToolVersion
	}
	e.text(tool)
	e.end(']')
	e.end('}')

	e.name("packages")
	e.begin('[')
	n := 0
	for s := range pkgs {
		n++
		e.spdx(n, s)
		if e.err != nil {
			break
		}
	}
	e.end(']')
	e.name("relationships")
	e.begin('[')
	for i := range n {
		if e.err != nil {
			break
		}
		e.begin('{')
		e.member("spdxElementId", "SPDXRef-DOCUMENT")
		e.member("relationshipType", "DESCRIBES")
		e.member("relatedSpdxElement", spdxID(i+1))
		e.end('}')
	}
	e.end(']')
	e.member("documentNamespace", "urn:uuid:"+e.uuid(doc.UUID))
	e.end('}')
	return e.finish("SPDX")
}

func spdxID(n int) string { return "SPDXRef-Package-" + strconv.Itoa(n) }

func (e *encoder) spdx(n int, s rapsheet.Sighting) {
	p := s.Package
	e.begin('{')
	e.member("SPDXID", spdxID(n))
	e.member("name", p.Name)
	e.optional("versionInfo", p.Version)
	location := "NOASSERTION"
	if u := reference(s.Evidence.URL); u != "" && strings.Contains(u, "://") {
		location = u
	}
	e.member("downloadLocation", location)
	e.name("filesAnalyzed")
	e.token(jsontext.False)
	if s.Location.Path != "" {
		place := s.Location.Path
		if s.Location.Line > 0 {
			place += ":" + strconv.Itoa(s.Location.Line)
		}
		e.member("sourceInfo", "seen in "+place)
	}
	e.member("licenseConcluded", "NOASSERTION")
	e.member("licenseDeclared", "NOASSERTION")
	e.member("copyrightText", "NOASSERTION")
	if sums := digests(s.Evidence.Digests, spdxAlgorithm); len(sums) > 0 {
		e.name("checksums")
		e.begin('[')
		for _, d := range sums {
			e.begin('{')
			e.member("algorithm", d.Algorithm)
			e.member("checksumValue", d.Hex)
			e.end('}')
		}
		e.end(']')
	}
	if purl := purlOf(p); purl != "" {
		e.name("externalRefs")
		e.begin('[')
		e.begin('{')
		e.member("referenceCategory", "PACKAGE-MANAGER")
		e.member("referenceType", "purl")
		e.member("referenceLocator", purl)
		e.end('}')
		e.end(']')
	}
	e.end('}')
}

// purlOf gives the purl as seen, or the canonical one of a package seen without.
func purlOf(p rapsheet.Package) string {
	if p.PURL != "" {
		return p.PURL
	}
	return ecosystem.PURL(p)
}

// groupAndName splits a name as tools write it in CycloneDX.
func groupAndName(p rapsheet.Package) (group, name string) {
	sep := ""
	switch p.Ecosystem {
	case "npm", "Packagist":
		sep = "/"
	case "Maven":
		sep = ":"
	}
	if sep != "" {
		if g, n, ok := strings.Cut(p.Name, sep); ok && g != "" && n != "" {
			return g, n
		}
	}
	return "", p.Name
}

// reference gives u as a URI of ASCII letters, "" if it is none.
func reference(u string) string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(u)
	if err != nil {
		return ""
	}
	s := parsed.String()
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte("\"<>\\^`{|}", s[i]) >= 0 {
			return ""
		}
	}
	return s
}

// digests gives those of ds that a format can express, under the format's names.
func digests(ds []rapsheet.Digest, name func(string) (string, int)) []rapsheet.Digest {
	var out []rapsheet.Digest
	for _, d := range ds {
		algorithm, size := name(d.Algorithm)
		if size == len(d.Hex) && strings.IndexFunc(d.Hex, notHex) < 0 {
			out = append(out, rapsheet.Digest{Algorithm: algorithm, Hex: d.Hex})
		}
	}
	return out
}

func notHex(r rune) bool { return r > unicode.MaxASCII || !strings.ContainsRune("0123456789abcdef", r) }

func cycloneDXAlgorithm(a string) (string, int) {
	switch a {
	case "md5":
		return "MD5", 32
	case "sha1":
		return "SHA-1", 40
	case "sha256":
		return "SHA-256", 64
	case "sha384":
		return "SHA-384", 96
	case "sha512":
		return "SHA-512", 128
	}
	return "", -1
}

func spdxAlgorithm(a string) (string, int) {
	name, size := cycloneDXAlgorithm(a)
	return strings.Replace(name, "-", "", 1), size
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// encoder writes JSON and keeps the first error, so that the writers above read
// as the documents they write.
type encoder struct {
	enc *jsontext.Encoder
	sum hash.Hash // of the tokens written
	buf []byte
	err error
}

func newEncoder(w io.Writer) *encoder {
	return &encoder{enc: jsontext.NewEncoder(w, jsontext.WithIndent(" ")), sum: sha256.New()}
}

func (e *encoder) token(t jsontext.Token) {
	if e.err != nil {
		return
	}
	e.err = e.enc.WriteToken(t)
	e.buf = append(append(e.buf[:0], byte(t.Kind())), t.String()...)
	e.sum.Write(append(e.buf, 0))
}

func (e *encoder) begin(delim byte) {
	if delim == '{' {
		e.token(jsontext.BeginObject)
	} else {
		e.token(jsontext.BeginArray)
	}
}

func (e *encoder) end(delim byte) {
	if delim == '}' {
		e.token(jsontext.EndObject)
	} else {
		e.token(jsontext.EndArray)
	}
}

func (e *encoder) name(s string) { e.token(jsontext.String(s)) }

func (e *encoder) text(s string) { e.token(jsontext.String(strings.ToValidUTF8(s, "\uFFFD"))) }

func (e *encoder) member(name, value string) {
	e.name(name)
	e.text(value)
}

func (e *encoder) optional(name, value string) {
	if value != "" {
		e.member(name, value)
	}
}

// uuid gives the wanted UUID or derives one of version 8 from everything that
// was written (https://www.rfc-editor.org/rfc/rfc9562#section-5.8).
func (e *encoder) uuid(wanted string) string {
	if wanted != "" {
		return wanted
	}
	b := e.sum.Sum(nil)[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func (e *encoder) finish(format string) error {
	if e.err != nil {
		return fmt.Errorf("write %s: %w", format, e.err)
	}
	return nil
}
