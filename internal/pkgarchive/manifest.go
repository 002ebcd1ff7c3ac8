package pkgarchive

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/textproto"
	"path"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxLines bounds the lines of a manifest in which its name may stand.
const maxLines = 10_000

// CoreMetadata reads name and version from the headers of Python's METADATA and PKG-INFO
// (packaging.python.org/en/latest/specifications/core-metadata/): as in a mail, the first of a name counts, and no
// more than 10,000 lines. What is not there is "".
func CoreMetadata(b []byte) (name, version string) {
	for n, line := range lines(string(bytes.TrimPrefix(b, []byte("\ufeff")))) {
		if line == "" || n >= maxLines {
			break // the headers are over
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || key == "" || key[0] == ' ' || key[0] == '\t' {
			continue // a continuation
		}
		switch value = strings.TrimSpace(value); textproto.CanonicalMIMEHeaderKey(key) {
		case "Name":
			if name == "" {
				name = value
			}
		case "Version":
			if version == "" {
				version = value
			}
		}
		if name != "" && version != "" {
			break
		}
	}
	return name, version
}

func (r *reader) coreMetadata(format string, b []byte, member string) error {
	if _, err := text(b); err != nil {
		return err
	}
	name, version := CoreMetadata(b)
	r.add(format, true, Package{Ecosystem: "PyPI", Name: name, Version: version, Member: member})
	return nil
}

// lines iterates over the lines of s with their numbers from 0, without their ends.
func lines(s string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(s) {
			if !yield(n, strings.TrimRight(line, "\r\n")) {
				return
			}
			n++
		}
	}
}

// decode reads JSON as package managers do: the last of equal members counts, and a byte order mark is passed over.
func decode(b []byte, into any) error {
	s, err := text(b)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(s), into, jsontext.AllowDuplicateNames(true)); err != nil {
		var semantic *json.SemanticError
		if errors.As(err, &semantic) {
			return errors.New("is not what it should be")
		}
		return errors.New("is no JSON")
	}
	return nil
}

// packageJSON reads npm's manifest (docs.npmjs.com/cli/configuring-npm/package-json). npm pack puts it into package/.
func (r *reader) packageJSON(b []byte, member string) error {
	var p struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := decode(b, &p); err != nil {
		return err
	}
	sure := strings.TrimPrefix(member, "./") == "package/package.json"
	r.add(NPM, sure, Package{Ecosystem: "npm", Name: p.Name, Version: p.Version, Member: member})
	return nil
}

// composerJSON reads getcomposer.org/doc/04-schema.md; the version is mostly left to the repository's tag.
func (r *reader) composerJSON(b []byte, member string) error {
	var p struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := decode(b, &p); err != nil {
		return err
	}
	r.add(Composer, false, Package{Ecosystem: "Packagist", Name: p.Name, Version: p.Version, Member: member})
	return nil
}

// extensionJSON reads the manifest of an editor's extension
// (code.visualstudio.com/api/references/extension-manifest).
func (r *reader) extensionJSON(b []byte, member string) error {
	var p struct {
		Publisher string `json:"publisher"`
		Name      string `json:"name"`
		Version   string `json:"version"`
	}
	if err := decode(b, &p); err != nil {
		return err
	}
	r.extension(p.Publisher, p.Name, p.Version, member)
	return nil
}

func (r *reader) extension(publisher, name, version, member string) {
	p := Package{Ecosystem: "VSCode", Version: version, Member: member}
	if publisher != "" && name != "" {
		p.Name = publisher + "." + name
	}
	for _, c := range r.claims {
		if c.format == VSIX && strings.EqualFold(c.pkg.Name, p.Name) && c.pkg.Version == version {
			return // the two manifests may differ in case
		}
	}
	r.add(VSIX, true, p)
}

// extensionXML reads extension.vsixmanifest, by which the galleries go.
func (r *reader) extensionXML(b []byte, member string) error {
	var p struct {
		Identity []struct {
			ID        string `xml:"Id,attr"`
			Version   string `xml:"Version,attr"`
			Publisher string `xml:"Publisher,attr"`
		} `xml:"Metadata>Identity"`
	}
	if err := decodeXML(b, &p); err != nil {
		return err
	}
	for _, id := range p.Identity {
		r.extension(id.Publisher, id.ID, id.Version, member)
	}
	return nil
}

// nuspec reads learn.microsoft.com/nuget/reference/nuspec.
func (r *reader) nuspec(b []byte, member string) error {
	var p struct {
		Metadata []struct {
			ID      string `xml:"id"`
			Version string `xml:"version"`
		} `xml:"metadata"`
	}
	if err := decodeXML(b, &p); err != nil {
		return err
	}
	for _, m := range p.Metadata {
		r.add(NuGet, true, Package{Ecosystem: "NuGet", Name: strings.TrimSpace(m.ID), Version: strings.TrimSpace(m.Version), Member: member})
	}
	return nil
}

// decodeXML reads a document without a document type, whose encoding is UTF-8.
func decodeXML(b []byte, into any) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		return nil, errors.New("is no UTF-8")
	}
	if bytes.Contains(b, []byte("<!DOCTYPE")) {
		return errors.New("has a document type, which is not read")
	}
	if err := d.Decode(into); err != nil {
		return errors.New("is no XML that can be read")
	}
	return nil
}

// pomProperties reads what Maven writes into a jar (maven.apache.org/shared/maven-archiver/#pom.properties): a Java
// properties file with three plain values.
func (r *reader) pomProperties(b []byte, member string) error {
	values := map[string]string{}
	for n, line := range lines(string(b)) {
		if n > maxLines {
			break
		}
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(key, "#") {
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	group, artifact, version := values["groupId"], values["artifactId"], values["version"]
	if group == "" || artifact == "" {
		// META-INF/maven/{group}/{artifact}/pom.properties
		dir := path.Dir(member)
		group, artifact = path.Base(path.Dir(dir)), path.Base(dir)
	}
	r.add(Jar, true, Package{Ecosystem: "Maven", Name: group + ":" + artifact, Version: version, Member: member})
	return nil
}

// cargoTOML reads the [package] table of the manifest that cargo package writes (doc.rust-lang.org/cargo/commands/cargo-package.html):
// one key a line, plain strings.
func (r *reader) cargoTOML(b []byte, member string) error {
	s, err := text(b)
	if err != nil {
		return err
	}
	p := Package{Ecosystem: "crates.io", Member: member}
	in := false
	for n, line := range lines(s) {
		if n > maxLines {
			break
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = line == "[package]" || line == "[project]"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !in || !ok {
			continue
		}
		switch key = strings.TrimSpace(key); {
		case key == "name" && p.Name == "":
			p.Name = quoted(value)
		case key == "version" && p.Version == "":
			p.Version = quoted(value)
		}
	}
	r.add(Crate, false, p)
	return nil
}

// quoted is the text between the quotes that value begins with, or value up to a comment.
func quoted(value string) string {
	value = strings.TrimSpace(value)
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
			return value[1 : 1+end]
		}
		return ""
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}

// gemspec reads the specification that rubygems writes as YAML (Gem::Specification#to_yaml): name and version are at its
// top, the version is an object of its own. It is read by its lines: a YAML parser would build what it says.
func (r *reader) gemspec(b []byte, member string) error {
	s, err := text(b)
	if err != nil {
		return err
	}
	p := Package{Ecosystem: "RubyGems", Member: member}
	version := false
	for n, line := range lines(s) {
		if n > maxLines {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		inner := strings.HasPrefix(line, " ")
		switch key = strings.TrimSpace(key); {
		case !ok:
		case inner && version && key == "version":
			p.Version, version = quoted(value), false
		case inner:
		case key == "name":
			p.Name = quoted(value)
			version = false
		case key == "version":
			if value = strings.TrimSpace(value); strings.HasPrefix(value, "!") {
				version = true
			} else {
				p.Version = quoted(value)
			}
		default:
			version = false
		}
	}
	r.add(Gem, true, p)
	return nil
}
