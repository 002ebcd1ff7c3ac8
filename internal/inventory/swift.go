package inventory

import (
	"context"
	"strings"

	"github.com/rapsheet/rapsheet"
)

// readPackageResolved reads Package.resolved of the Swift package manager,
// versions 1 to 3 (https://github.com/swiftlang/swift-package-manager,
// Sources/PackageGraph/ResolvedPackagesStore.swift). OSV's SwiftURL ecosystem
// names a package by the address of its repository without the scheme.
func readPackageResolved(ctx context.Context, in *input, out *sink) error {
	b, err := in.text()
	if err != nil {
		return err
	}
	l := list(ctx, out, "SwiftURL")
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
	return l.end(err)
}

func (d *document) swiftPins(l *entries) error {
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
			return l.add(identity, version, line, rapsheet.Evidence{Origin: rapsheet.OriginRegistry})
		case kind == "localSourceControl" || kind == "fileSystem" || location == "":
			return l.add(identity, version, line, local(location))
		}
		return l.add(swiftName(location), version, line, l.git(location))
	})
}

// swiftName is the SwiftURL name of a repository: "github.com/apple/swift-nio"
// for https://github.com/apple/swift-nio.git and git@github.com:apple/swift-nio.git.
func swiftName(location string) string {
	name := location
	if _, rest, ok := strings.Cut(location, "://"); ok {
		name = rest
	} else if host, rest, ok := strings.Cut(location, ":"); ok {
		name = host + "/" + rest
	}
	if host, rest, ok := strings.Cut(name, "/"); ok {
		host = host[strings.LastIndexByte(host, '@')+1:]
		name = strings.ToLower(host) + "/" + rest
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, "/"), ".git")
}
