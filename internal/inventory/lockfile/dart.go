package lockfile

import (
	"context"
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readPubspecLock reads pubspec.lock (https://dart.dev/tools/pub/glossary#lockfile):
// name → description, source and version. Hosted packages carry their registry
// and, since Dart 2.19, the archive's SHA-256. Packages of an SDK lie on the machine.
func readPubspecLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	root, err := readYAML(in)
	if err != nil {
		return err
	}
	if root == nil {
		return errors.New("the file is empty")
	}
	if root.Kind != yaml.MappingNode {
		return errors.New("not a YAML mapping")
	}
	packages := member(root, "packages")
	l := inventory.NewList(ctx, out, "Pub")
	if packages == nil || packages.Kind != yaml.MappingNode {
		return l.End(nil)
	}
	for i := 0; i+1 < len(packages.Content); i += 2 {
		key, p := packages.Content[i], packages.Content[i+1]
		name := key.Value
		version := scalar(member(p, "version"))
		var description, at, sum string
		if d := member(p, "description"); d != nil {
			description = scalar(member(d, "name"))
			at = first(scalar(member(d, "url")), scalar(member(d, "path")), scalar(d))
			sum = scalar(member(d, "sha256"))
		}
		var ev rapsheet.Evidence
		switch scalar(member(p, "source")) {
		case "hosted":
			// What is fetched goes by the name in the description.
			name = first(description, name)
			ev = l.Registry(at)
			if sum != "" {
				ev.Digests = inventory.Integrity([]string{"sha256:" + sum})
			}
		case "git":
			ev = l.Git(at)
		case "path", "sdk":
			ev = inventory.Local(at)
		}
		if err := l.Add(name, version, key.Line, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}
