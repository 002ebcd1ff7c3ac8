package cache

import (
	"context"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

func editorKinds() []inventory.Kind {
	return []inventory.Kind{{Name: "vsix-cache", Dir: isVSIXCache, Match: isVSIX, Read: readVSIX}}
}

// isVSIXCache matches where editors of VS Code's family keep the extensions that they downloaded: CachedExtensionVSIXs
// in the user's data, and extensionsCache of their servers on other machines (microsoft/vscode,
// src/vs/platform/extensionManagement/node/extensionDownloader.ts; src/vs/server/node/serverEnvironmentService.ts).
func isVSIXCache(dir string) bool {
	base := path.Base(dir)
	return base == "CachedExtensionVSIXs" || base == "extensionsCache"
}

// vsixName is an archive's name, which has no ending: publisher.name-version.
var vsixName = regexp.MustCompile(`^([^.]+\.[^.]+?)-(\d+\.\d+\.\d+.*)$`)

// editorPlatforms are what may follow the version (microsoft/vscode, src/vs/platform/extensions/common/extensions.ts,
// TargetPlatform).
var editorPlatforms = [...]string{
	"-win32-x64", "-win32-ia32", "-win32-arm64", "-linux-x64", "-linux-arm64", "-linux-armhf", "-alpine-x64", "-alpine-arm64",
	"-darwin-x64", "-darwin-arm64", "-web", "-universal", "-unknown", "-undefined",
}

// isVSIX leaves out signatures and what is being downloaded.
func isVSIX(base, _ string) bool {
	return !strings.HasPrefix(base, ".") && !strings.HasSuffix(base, ".sigzip")
}

// readVSIX reads an archive's name, which is made of what the gallery answered.
func readVSIX(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	stem := strings.TrimSuffix(path.Base(in.Path), ".vsix")
	for _, p := range editorPlatforms {
		if trimmed, ok := strings.CutSuffix(stem, p); ok {
			stem = trimmed
			break
		}
	}
	m := vsixName.FindStringSubmatch(stem)
	if m == nil {
		return nil // a download under a name of its own
	}
	l := inventory.NewList(ctx, out, "VSCode")
	ev := rapsheet.Evidence{Origin: rapsheet.OriginRegistry}
	var err error
	ev.Digests, err = in.ContentDigests(ctx)
	if addErr := l.Add(m[1], m[2], 0, ev); addErr != nil {
		return l.End(addErr)
	}
	return l.End(err)
}
