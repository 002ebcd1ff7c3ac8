package sbom

import "strings"

// spdxPackage reads one package of SPDX 2.2 or 2.3
// (https://spdx.github.io/spdx-spec/v2.3/package-information/).
func (j *jsonReader) spdxPackage() error {
	if j.dec.PeekKind() != '{' {
		return j.mismatch("an object")
	}
	if err := j.open(); err != nil {
		return err
	}
	c := j.component(0)
	err := j.members(func(name []byte) error {
		switch string(name) {
		case "name":
			return j.into(&c.name)
		case "versionInfo":
			return j.into(&c.version)
		case "downloadLocation":
			return j.into(&c.url)
		case "primaryPackagePurpose":
			return j.into(&c.kind)
		case "checksums":
			return j.digests(c, "algorithm", "checksumValue")
		case "externalRefs":
			return j.purlReferences(c, "referenceType", "referenceLocator")
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return j.sink.component(c)
}

// purlReferences reads an array of typed references and keeps those that are purls.
func (j *jsonReader) purlReferences(c *component, typeName, valueName string) error {
	return j.list(func() error {
		var kind [64]byte
		var k, v []byte
		err := j.object(func(name []byte) error {
			var err error
			switch string(name) {
			case typeName:
				k, err = j.short(kind[:0])
			case valueName:
				err = j.into(&v)
			default:
				err = j.skip()
			}
			return err
		})
		if err == nil && isPURLReference(string(k)) {
			err = c.addPURL(v)
		}
		return err
	})
}

// isPURLReference knows the reference type "purl" of SPDX 2 (annex F), which RDF
// tools write as an IRI, and the identifier type of SPDX 3.
func isPURLReference(kind string) bool {
	return kind == "purl" || strings.HasSuffix(kind, "/purl") || kind == "packageUrl" || strings.HasSuffix(kind, "/packageUrl")
}

// spdxElement reads one element of an SPDX 3 graph and keeps packages
// (https://spdx.github.io/spdx-spec/v3.0.1/model/Software/Classes/Package/).
func (j *jsonReader) spdxElement() error {
	if j.dec.PeekKind() != '{' {
		return j.skip()
	}
	if err := j.open(); err != nil {
		return err
	}
	c := j.component(0)
	isPackage := false
	var purl []byte
	err := j.members(func(name []byte) error {
		switch string(name) {
		case "type", "@type":
			var kind [64]byte
			v, err := j.short(kind[:0])
			isPackage = isPackage || isSPDX3Package(string(v))
			return err
		case "name":
			return j.into(&c.name)
		case "software_packageVersion":
			return j.into(&c.version)
		case "software_packageUrl":
			return j.into(&purl)
		case "software_downloadLocation":
			return j.into(&c.url)
		case "software_primaryPurpose":
			return j.into(&c.kind)
		case "verifiedUsing":
			return j.digests(c, "algorithm", "hashValue")
		case "externalIdentifier":
			return j.purlReferences(c, "externalIdentifierType", "identifier")
		}
		return j.skip()
	})
	if err != nil || !isPackage {
		return err
	}
	if err := c.addPURL(purl); err != nil {
		return err
	}
	return j.sink.component(c)
}

// isSPDX3Package knows the class of packages by its name in the official
// context, its compact form and its IRI.
func isSPDX3Package(kind string) bool {
	return kind == "software_Package" || kind == "software:Package" ||
		strings.HasPrefix(kind, "https://spdx.org/rdf/3.") && strings.HasSuffix(kind, "/terms/Software/Package")
}
