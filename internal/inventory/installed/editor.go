package installed

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isEditor reports whether a directory is one in which an editor of VS Code's family, or its server on
// another machine, keeps extensions/.
func isEditor(dir string) bool {
	switch strings.TrimSuffix(strings.TrimSuffix(dir, "-server"), "-insiders") {
	case ".vscode", ".vscode-server", ".vscode-oss", ".vscode-oss-dev", ".vscode-remote", ".vscodium", ".cursor", ".windsurf", ".windsurf-next",
		".trae", ".kiro", ".positron", ".antigravity", ".theia", "code", "openvscode":
		return true
	}
	return false
}

// isEditorExtension matches …/.vscode/extensions/publisher.name-1.0.0/package.json.
func isEditorExtension(base, file string) bool {
	if base != "package.json" {
		return false
	}
	dir := path.Dir(path.Dir(file))
	return path.Base(dir) == "extensions" && isEditor(path.Base(path.Dir(dir)))
}

// readEditorExtension reads an extension's manifest
// (https://code.visualstudio.com/api/references/extension-manifest). The editor names the directory
// by what the gallery called the extension.
func readEditorExtension(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.All()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "VSCode")
	at, atVersion := extensionDirectory(path.Base(path.Dir(in.Path)))
	var p struct {
		Publisher string `json:"publisher"`
		Name      string `json:"name"`
		Version   string `json:"version"`
		Metadata  struct {
			Source string `json:"source"` // "gallery", "vsix"
		} `json:"__metadata"`
	}
	bad := inventory.DecodeJSON(b, &p)
	var ev rapsheet.Evidence
	kept := editorRecord(in, path.Base(path.Dir(in.Path)))
	// An extension installed from a file may be the gallery's all the same: that says nothing.
	if p.Metadata.Source == "gallery" || kept.Metadata.Source == "gallery" {
		ev.Origin = rapsheet.OriginRegistry
	}
	id := ""
	if bad == nil && p.Publisher != "" && p.Name != "" {
		id = p.Publisher + "." + p.Name
		if err := l.Add(id, p.Version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	if at != "" && !strings.EqualFold(at, id) {
		if err := also(l, id, at, atVersion, ev); err != nil {
			return l.End(err)
		}
	}
	if as := kept.Identifier.ID; as != "" && !strings.EqualFold(as, id) && !strings.EqualFold(as, at) {
		if err := also(l, id, as, kept.Version, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(bad)
}

// editorExtension is what an editor keeps about an extension in the extensions.json beside them (microsoft/vscode,
// src/vs/platform/extensionManagement/common/extensionsProfileScannerService.ts). Which gallery it was is not said.
type editorExtension struct {
	Identifier struct {
		ID string `json:"id"`
	} `json:"identifier"`
	Version          string `json:"version"`
	RelativeLocation string `json:"relativeLocation"`
	Location         struct {
		Path string `json:"path"`
	} `json:"location"`
	Metadata struct {
		Source string `json:"source"` // "gallery", "vsix"
	} `json:"metadata"`
}

// editorRecord gives what the editor keeps about the extension in a directory, nothing about one that it is about to
// remove (.obsolete), or that was put there by hand.
func editorRecord(in *inventory.File, dir string) editorExtension {
	name := path.Join(path.Dir(path.Dir(in.Rel)), "extensions.json")
	kept := in.Once("editor "+name, func() any {
		b, ok := in.ReadFile(name, maxTree)
		var all []editorExtension
		if !ok || inventory.DecodeJSON(b, &all) != nil {
			return map[string]editorExtension(nil)
		}
		byDir := make(map[string]editorExtension, len(all))
		for _, e := range all {
			// Older editors wrote the absolute path only.
			if e.RelativeLocation == "" {
				e.RelativeLocation = path.Base(e.Location.Path)
			}
			byDir[e.RelativeLocation] = e
		}
		return byDir
	}).(map[string]editorExtension)
	return kept[dir]
}

// extensionDirectory splits publisher.name-1.0.0[-platform].
func extensionDirectory(dir string) (id, version string) {
	id, version = nameVersion(dir)
	if publisher, name, ok := strings.Cut(id, "."); !ok || publisher == "" || name == "" {
		return "", ""
	}
	return id, version
}
