package lockfile

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isVerificationMetadata matches Gradle's file of expected checksums.
func isVerificationMetadata(base, file string) bool {
	return base == "verification-metadata.xml" && path.Base(path.Dir(file)) == "gradle"
}

// readVerificationMetadata reads gradle/verification-metadata.xml
// (https://docs.gradle.org/current/userguide/dependency_verification.html): the
// components a build may use, with the digests of their artifacts. Old versions
// stay in it until somebody takes them out.
func readVerificationMetadata(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.AnyText()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "Maven")
	var name, version string
	var line int
	var digests []string
	err = readXML(b, "verification-metadata", func(e *element) error {
		switch kind := e.Name.Local; {
		case kind == "component" && e.parent() == "components":
			name, version, line, digests = "", e.attr("version"), e.line, nil
			if g, a := e.attr("group"), e.attr("name"); g != "" && a != "" {
				name = g + ":" + a
			}
		case e.parent() == "artifact", kind == "also-trust":
			if kind == "also-trust" {
				kind = e.parent()
			}
			if len(digests) < 1024 {
				digests = append(digests, strings.ToLower(kind)+":"+e.attr("value"))
			}
		}
		return nil
	}, func(element, _ string) error {
		if element != "component" {
			return nil
		}
		return l.Add(name, version, line, rapsheet.Evidence{Digests: inventory.Integrity(digests)})
	})
	return l.End(err)
}
