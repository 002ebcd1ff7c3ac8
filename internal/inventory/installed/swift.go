package installed

import (
	"context"
	"fmt"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isSwiftWorkspace matches what the Swift package manager keeps about what it checked out, in .build, and Xcode in
// SourcePackages.
func isSwiftWorkspace(base, _ string) bool { return base == "workspace-state.json" }

// readSwiftWorkspace reads workspace-state.json, versions 1 to 7 (swiftlang/swift-package-manager,
// Sources/Workspace/Workspace+State.swift). Version 4 and older say path where the others say location.
func readSwiftWorkspace(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	var state struct {
		Version int `json:"version"`
		Object  *struct {
			Dependencies []struct {
				PackageRef struct {
					Identity string `json:"identity"`
					Kind     string `json:"kind"`
					Location string `json:"location"`
					Path     string `json:"path"`
				} `json:"packageRef"`
				State struct {
					Name          string `json:"name"`
					Version       string `json:"version"` // of a package from a registry
					CheckoutState struct {
						Version string `json:"version"`
					} `json:"checkoutState"`
				} `json:"state"`
			} `json:"dependencies"`
		} `json:"object"`
	}
	if err := inventory.DecodeJSON(b, &state); err != nil {
		return err
	}
	if state.Object == nil {
		return nil // another program's
	}
	l := inventory.NewList(ctx, out, "SwiftURL")
	for _, d := range state.Object.Dependencies {
		location := d.PackageRef.Location
		if location == "" {
			location = d.PackageRef.Path
		}
		version := d.State.CheckoutState.Version
		var err error
		switch {
		case d.PackageRef.Kind == "registry":
			// A registry's package is known by its identity, which is no address.
			err = l.Add(d.PackageRef.Identity, d.State.Version, 0, rapsheet.Evidence{Origin: rapsheet.OriginRegistry})
		case strings.Contains(location, "://") || strings.Contains(location, "@"):
			err = l.Add(ecosystem.SwiftName(location), version, 0, l.Git(location))
		default:
			err = l.Add(d.PackageRef.Identity, version, 0, inventory.Local(location))
		}
		if err != nil {
			return l.End(err)
		}
	}
	if state.Version > 7 {
		return l.End(fmt.Errorf("version %d of workspace-state.json is not known: there may be more", state.Version))
	}
	return l.End(nil)
}
