// Package installed reads what package managers leave where they install: node_modules,
// site-packages, gem directories, the extensions of editors.
//
// Flow: [Kinds] is the table that a walk of package inventory is given beside the lockfiles. Most
// kinds read one small file that stands in every installed package and says its name and version;
// what the package manager wrote beside it, for the whole tree, says where it came from.
//
// Promise: nothing is run, and no name is believed alone: a package that is called
// otherwise than the directory it is installed in is reported under both names, unless
// somebody declared the directory's as an alias. Files are bounded in size; what cannot be
// understood is a note that names it.
package installed

import (
	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// Kinds gives the files that say what is installed.
func Kinds() []inventory.Kind {
	return []inventory.Kind{
		{Name: "node_modules", Match: isNodePackage, Read: readNodePackage, Installed: true},
		{Name: ".pnp.cjs", Match: isPnP, Read: readPnP},
		{Name: "site-packages", Match: isPythonMetadata, Read: readPythonMetadata, Installed: true},
		{Name: "pipx", Match: isPipxMetadata, Read: readPipxMetadata, Installed: true},
		{Name: "uv-tool", Match: isUvReceipt, Read: readUvReceipt, Installed: true},
		{Name: "conda", Match: isCondaHistory, Read: readConda, Installed: true},
		{Name: "conda", Match: isCondaCache, Read: readConda, Installed: true},
		{Name: "gem", Match: isGemspec, Read: readGemspec, Installed: true},
		{Name: "cargo-install", Match: isCargoInstalls, Read: readCargoInstalls, Installed: true},
		{Name: "cargo-vendor", Match: isCargoChecksum, Read: readCargoVendor},
		{Name: "go-vendor", Match: isGoVendor, Read: readGoVendor},
		{Name: executable, Dir: isProgramDirectory, Match: isProgram, Read: readProgram, Installed: true, Unsure: true},
		{Name: "Go and Rust programs", Match: never, Content: executableHead, Read: readNamedProgram},
		{Name: "bundler-git", Match: isBundlerGit, Read: readBundlerGit, Installed: true},
		{Name: "hex", Match: isHexMetadata, Read: readHexMetadata, Installed: true},
		{Name: "swift-checkouts", Match: isSwiftWorkspace, Read: readSwiftWorkspace, Installed: true},
		{Name: "r-package", Match: isRDescription, Read: readRDescription, Installed: true},
		{Name: "ghc-package", Match: isGHCPackage, Read: readGHCPackage, Installed: true},
		{Name: "runner-action", Match: isRunnerAction, Read: readRunnerAction},
		{Name: "chrome-extension", Match: isChromeExtension, Read: readChromeExtension},
		{Name: "firefox-extensions", Match: isFirefoxExtensions, Read: readFirefoxExtensions},
		{Name: "editor-extension", Match: isEditorExtension, Read: readEditorExtension, Installed: true},
	}
}

// also sends a package that calls itself name under the name that it is installed under, too.
func also(l *inventory.List, name, at, version string, ev rapsheet.Evidence) error {
	if name != "" && !l.Out.Note(rapsheet.NoteInfo, 0, "calls itself %q where %q is installed: both were looked up", name, at) {
		return inventory.ErrStopped
	}
	return l.Add(at, version, 0, ev)
}
