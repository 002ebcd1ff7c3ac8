package installed

import (
	"context"
	"io/fs"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxBrowserExtensions bounds the extensions of a profile that are counted.
const maxBrowserExtensions = 10_000

// noExtensionRecords is what is said of browsers' extensions: no records exist about them.
const noExtensionRecords = "extensions of a browser: an ecosystem without records"

// isChromeExtension matches an extension of a profile of Chrome and what is built on Chromium (Edge, Brave, Vivaldi,
// Opera): …/Extensions/<id>/<version>_<n>/manifest.json, the id being 32 letters from a to p
// (https://chromium.googlesource.com/chromium/src/+/main/docs/user_data_dir.md; components/crx_file/id_util.h).
func isChromeExtension(base, file string) bool {
	if base != "manifest.json" {
		return false
	}
	above := path.Dir(path.Dir(file))
	return path.Base(path.Dir(above)) == "Extensions" && isChromeID(path.Base(above))
}

func isChromeID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "abcdefghijklmnop") == ""
}

// readChromeExtension counts the extensions of a profile, once: at the first of them.
func readChromeExtension(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	var profile []string
	if in.FS != nil {
		dir := path.Dir(path.Dir(path.Dir(in.Rel)))
		profile = in.Once("extensions "+dir, func() any { return chromeExtensions(in, dir) }).([]string)
	}
	// Where the walk began below Extensions, the profile cannot be seen and each stands for itself.
	if len(profile) == 0 || profile[0] == in.Rel {
		inventory.NewList(ctx, out, "").Unmatchable(0, max(1, len(profile)), noExtensionRecords)
	}
	return nil
}

// chromeExtensions gives the manifests below an Extensions directory, sorted.
func chromeExtensions(in *inventory.File, dir string) (all []string) {
	for _, id := range in.Subdirectories(dir) {
		if !isChromeID(id) {
			continue
		}
		for _, version := range in.Subdirectories(path.Join(dir, id)) {
			manifest := path.Join(dir, id, version, "manifest.json")
			if info, err := fs.Stat(in.FS, manifest); err == nil && info.Mode().IsRegular() {
				if all = append(all, manifest); len(all) == maxBrowserExtensions {
					return all
				}
			}
		}
	}
	return all
}

// isFirefoxExtensions matches what Firefox and its kin keep about the add-ons of a profile, and not what editors call so.
func isFirefoxExtensions(base, file string) bool {
	return base == "extensions.json" && path.Base(path.Dir(file)) != "extensions" && path.Base(path.Dir(file)) != ".vscode"
}

// readFirefoxExtensions counts the add-ons of a profile (mozilla-central, toolkit/mozapps/extensions/internal/XPIDatabase.sys.mjs).
func readFirefoxExtensions(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	if !in.HasSibling("prefs.js", "times.json", "compatibility.ini") {
		return nil // another program's
	}
	b, err := in.All()
	if err != nil {
		return err
	}
	var profile struct {
		Addons []struct {
			Location string `json:"location"` // "app-profile", "app-builtin", "app-system-defaults"
		} `json:"addons"`
	}
	if err := inventory.DecodeJSON(b, &profile); err != nil {
		return err
	}
	n := 0
	for _, a := range profile.Addons {
		if !strings.HasPrefix(a.Location, "app-builtin") && !strings.HasPrefix(a.Location, "app-system") {
			n++ // not the browser's own
		}
	}
	if n > 0 {
		inventory.NewList(ctx, out, "").Unmatchable(0, n, noExtensionRecords)
	}
	return nil
}
