package sbom

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/rapsheet/rapsheet/ecosystem"
)

// maxSyftSchema is the newest major version of Syft's JSON schema whose
// artifacts are known to be read in full
// (https://github.com/anchore/syft/tree/main/schema/json).
const maxSyftSchema = 16

// syftArtifact reads one artifact of Syft's own JSON.
func (j *jsonReader) syftArtifact() error {
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
		case "version":
			return j.into(&c.version)
		case "type":
			return j.into(&c.kind)
		case "purl":
			return j.into(&c.purl)
		case "metadata":
			if j.dec.PeekKind() == '{' {
				return j.object(func(name []byte) error { return j.syftMetadata(c, name) })
			}
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return j.sink.component(c)
}

// syftMetadata reads what Syft keeps of a lockfile's entry: where it was
// resolved from and its integrity. Fields of the same purpose in the metadata
// of installed packages ("url" of npm) are the project's repository.
func (j *jsonReader) syftMetadata(c *component, name []byte) error {
	switch string(name) {
	case "resolved":
		c.resolved = true
		return j.into(&c.url)
	case "integrity":
		v, err := j.text()
		if err != nil || len(v) > maxURL {
			return err
		}
		for _, d := range ecosystem.Integrity(string(v)) {
			c.addDigest([]byte(d.Algorithm), []byte(d.Hex))
		}
		return nil
	}
	return j.skip()
}

func (j *jsonReader) syftSchema(name []byte) error {
	if string(name) != "version" {
		return j.skip()
	}
	v, err := j.text()
	if err != nil || len(v) == 0 {
		return err
	}
	major, _, _ := bytes.Cut(v, []byte{'.'})
	if n, err := strconv.Atoi(string(major)); err != nil || n > maxSyftSchema {
		j.sink.unread(j.line(), fmt.Sprintf("Syft schema %s is not known (up to %d is): packages may be missing", printable(string(v), 20), maxSyftSchema))
	}
	return nil
}
