package sbom

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// sniffLen is how much of a document decides its format.
const sniffLen = 64 << 10

type encoding int

const (
	encodingJSON encoding = iota
	encodingXML
	encodingTagValue
	encodingLines
)

type format struct {
	encoding encoding
	kind     string
}

var bom = []byte("\xef\xbb\xbf")

// Sniff recognises an SBOM by the beginning of its text, after decompression:
// the first 64 KiB, or all of a shorter one. It gives the kind that sightings
// will have, and false for everything that is not an SBOM. Content alone
// decides, so a walk can ask it about any file.
func Sniff(head []byte) (kind string, ok bool) {
	f, ok := detect(head[:min(len(head), sniffLen)])
	return f.kind, ok
}

func detect(head []byte) (format, bool) {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	if len(head) == 0 {
		return format{}, false
	}
	switch head[0] {
	case '{':
		kind := detectJSON(head, 0)
		return format{encodingJSON, kind}, kind != ""
	case '<':
		if detectXML(head) {
			return format{encodingXML, KindCycloneDX}, true
		}
		return format{}, false
	}
	return detectLines(head)
}

// detectLines looks at the first line that is neither blank nor a comment.
func detectLines(head []byte) (format, bool) {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, newline)
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
		case hasPrefixFold(line, "pkg:"):
			return format{encodingLines, KindPURLList}, true
		case bytes.HasPrefix(line, []byte("SPDXVersion:")):
			return format{encodingTagValue, KindSPDX}, true
		default:
			return format{}, false
		}
	}
	return format{}, false
}

// detectXML looks for CycloneDX's root element and namespace behind whatever
// prolog there is, so that a document with a DTD is refused as one.
func detectXML(head []byte) bool {
	for rest := head; ; {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
		switch {
		case bytes.HasPrefix(rest, []byte("!--")):
			end := bytes.Index(rest, []byte("-->"))
			if end < 0 {
				return false
			}
			rest = rest[end:]
		case bytes.HasPrefix(rest, []byte("!DOCTYPE")):
			if name := bytes.Fields(rest[len("!DOCTYPE"):]); len(name) > 0 && isBOMName(bytes.TrimRight(name[0], "[>")) {
				return true
			}
		case len(rest) == 0:
			return false
		case rest[0] == '?' || rest[0] == '!':
		default:
			tag, _, _ := bytes.Cut(rest, []byte{'>'})
			name := tag
			if i := bytes.IndexAny(tag, " \t\r\n/"); i >= 0 {
				name = tag[:i]
			}
			return isBOMName(name) && bytes.Contains(tag, []byte("cyclonedx.org/schema/bom/"))
		}
	}
}

// isBOMName reports whether an XML name's local part is "bom".
func isBOMName(name []byte) bool {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	return string(name) == "bom"
}

// detectJSON gives the kind of SBOM that an object, possibly cut off, belongs to;
// "" if nothing in it says so. level counts envelopes around it.
func detectJSON(head []byte, level int) string {
	dec := jsontext.NewDecoder(bytes.NewReader(head))
	return detectObject(dec, head, level)
}

func detectObject(dec *jsontext.Decoder, head []byte, level int) string {
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' || level > maxEnvelopes {
		return ""
	}
	for {
		tok, err := dec.ReadToken()
		if err != nil || tok.Kind() == '}' {
			return ""
		}
		kind := ""
		switch tok.String() {
		case "bomFormat":
			if readString(dec) == "CycloneDX" {
				return KindCycloneDX
			}
			return ""
		case "$schema":
			if strings.Contains(readString(dec), "cyclonedx.org/schema/bom") {
				return KindCycloneDX
			}
		case "spdxVersion":
			if strings.HasPrefix(readString(dec), "SPDX-") {
				return KindSPDX
			}
		case "SPDXID":
			if strings.HasPrefix(readString(dec), "SPDXRef-") {
				return KindSPDX
			}
		case "@context":
			if v, err := dec.ReadValue(); err == nil && bytes.Contains(v, []byte("spdx.org/rdf/")) {
				return KindSPDX
			}
		case "predicateType":
			kind = predicateKind(readString(dec))
		case "components":
			kind = detectFirst(dec, KindCycloneDX, "purl", "bom-ref")
		case "packages":
			kind = detectFirst(dec, KindSPDX, "SPDXID")
		case "artifacts":
			kind = detectFirst(dec, KindSyft, "foundBy", "purl")
		case "schema", "descriptor":
			if v, err := dec.ReadValue(); err == nil && v.Kind() == '{' && bytes.Contains(v, []byte("syft")) {
				return KindSyft
			}
		case "sbom", "predicate":
			if dec.PeekKind() == '{' {
				return detectObject(dec, head, level+1)
			}
			return ""
		case "payload":
			return detectPayload(head[dec.InputOffset():], level)
		default:
			if dec.SkipValue() != nil {
				return ""
			}
		}
		if kind != "" {
			return kind
		}
	}
}

// maxEnvelopes is how many wrappers around an SBOM are opened: a DSSE envelope
// around an in-toto statement around the document.
const maxEnvelopes = 3

// predicateKind maps an in-toto predicate type to the kind of document in it.
func predicateKind(t string) string {
	switch {
	case strings.HasPrefix(t, "https://cyclonedx.org/bom"):
		return KindCycloneDX
	case strings.HasPrefix(t, "https://spdx.dev/Document"):
		return KindSPDX
	case strings.HasPrefix(t, "https://syft.dev/bom"):
		return KindSyft
	}
	return ""
}

// detectFirst gives kind if the next value is an array whose first element is
// an object with one of the members.
func detectFirst(dec *jsontext.Decoder, kind string, members ...string) string {
	if dec.PeekKind() != '[' {
		_ = dec.SkipValue()
		return ""
	}
	depth := dec.StackDepth()
	if _, err := dec.ReadToken(); err != nil {
		return ""
	}
	if dec.PeekKind() == '{' {
		if _, err := dec.ReadToken(); err != nil {
			return ""
		}
		for dec.PeekKind() == '"' {
			name := readString(dec)
			for _, m := range members {
				if name == m {
					return kind
				}
			}
			if dec.SkipValue() != nil {
				return ""
			}
		}
	}
	for dec.StackDepth() > depth {
		if _, err := dec.ReadToken(); err != nil {
			return ""
		}
	}
	return ""
}

// detectPayload looks into the beginning of a base64 string (a DSSE payload).
func detectPayload(rest []byte, level int) string {
	i := bytes.IndexByte(rest, '"')
	if i < 0 || len(bytes.Trim(rest[:i], ": \t\r\n")) > 0 {
		return ""
	}
	rest = rest[i+1:]
	if i := bytes.IndexByte(rest, '"'); i >= 0 {
		rest = rest[:i]
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(rest)))
	n, _ := base64.StdEncoding.Decode(out, rest[:len(rest)&^3])
	return detectJSON(out[:n], level+1)
}

// readString gives the next value if it is a string, and skips it otherwise.
func readString(dec *jsontext.Decoder) string {
	if dec.PeekKind() != '"' {
		_ = dec.SkipValue()
		return ""
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return ""
	}
	return tok.String()
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

func isCompressed(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// isWide recognises UTF-16 and UTF-32 by their byte order marks, or by the zero
// bytes that the first character of JSON or XML has in them.
func isWide(head []byte) bool {
	if len(head) < 2 {
		return false
	}
	switch {
	case head[0] == 0xff && head[1] == 0xfe, head[0] == 0xfe && head[1] == 0xff:
		return true
	case head[0] == 0 && (head[1] == '{' || head[1] == '<' || head[1] == 0):
		return true
	}
	return (head[0] == '{' || head[0] == '<') && head[1] == 0
}
