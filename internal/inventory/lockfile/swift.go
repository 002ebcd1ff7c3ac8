package lockfile

import (
	"context"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readPackageResolved reads Package.resolved of the Swift package manager,
// versions 1 to 3 (https://github.com/swiftlang/swift-package-manager,
// Sources/PackageGraph/ResolvedPackagesStore.swift). OSV's SwiftURL ecosystem
// names a package by the address of its repository without the scheme.
func readPackageResolved(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "SwiftURL")
	err = readJSON(b, func(d *document, key string) error {
		switch key {
		case "pins":
			return d.swiftPins(l)
		case "object": // version 1
			return d.object(func(key string) error {
				if key == "pins" {
					return d.swiftPins(l)
				}
				return d.skip()
			})
		}
		return d.skip()
	})
	return l.End(err)
}

func (d *document) swiftPins(l *inventory.List) error {
	return d.array(func() error {
		var identity, kind, location, version string
		line := 0
		err := d.object(func(key string) error {
			if line == 0 {
				line = d.line()
			}
			switch key {
			case "identity", "package":
				return d.text(&identity)
			case "kind":
				return d.text(&kind)
			case "location", "repositoryURL":
				return d.text(&location)
			case "state":
				return d.object(func(key string) error {
					if key == "version" {
						return d.text(&version)
					}
					return d.skip()
				})
			}
			return d.skip()
		})
		if err != nil {
			return err
		}
		switch {
		case kind == "registry":
			// A registry's package is known by its identity, which is no address.
			return l.Add(identity, version, line, rapsheet.Evidence{Origin: rapsheet.OriginRegistry})
		case kind == "localSourceControl" || kind == "fileSystem" || location == "":
			return l.Add(identity, version, line, inventory.Local(location))
		}
		return l.Add(ecosystem.SwiftName(location), version, line, l.Git(location))
	})
}
