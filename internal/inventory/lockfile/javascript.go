package lockfile

import (
	"context"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/npmconfig"
)

// javascriptReaders is the part of the table for npm, Yarn, pnpm, Bun and Deno.
func javascriptReaders() []inventory.Kind {
	return []inventory.Kind{
		// Before package-lock.json, of which the content looks alike.
		{Name: "bun.lock", Match: named("bun.lock"), Read: readBunLock,
			Content: regexp.MustCompile(`\A\s*\{\s*"lockfileVersion"\s*:\s*\d+\s*,\s*("configVersion"\s*:\s*\d+\s*,\s*)?"workspaces"`)},
		{Name: "package-lock.json", Match: named("package-lock.json", "npm-shrinkwrap.json"), Read: readPackageLock,
			Content: regexp.MustCompile(`\A\s*\{(?s:.*?)"lockfileVersion"\s*:\s*[123]\s*[,}]`)},
		{Name: "yarn.lock", Match: named("yarn.lock"), Read: readYarnLock,
			Content: regexp.MustCompile(`(?m)\A(#.*\n)*(# yarn lockfile v1|\s*__metadata:)\s*$`)},
		{Name: "pnpm-lock.yaml", Match: named("pnpm-lock.yaml"), Read: readPnpmLock,
			Content: regexp.MustCompile(`(?m)\A(---\s*\n)?lockfileVersion: ['"]?[5-9]`)},
		{Name: "bun.lockb", Match: named("bun.lockb"), Read: readBunBinary},
		{Name: "deno.lock", Match: named("deno.lock"), Read: readDenoLock,
			Content: regexp.MustCompile(`\A\s*\{\s*"version"\s*:\s*"[2-9]"\s*,\s*"(specifiers|packages|remote|npm|jsr|redirects|workspace)"`)},
		{Name: "package.json", Match: named("package.json"), Read: readPackageJSON},
	}
}

// javascriptLocks are the files beside a package.json that say what its ranges resolved to.
var javascriptLocks = []string{
	"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock",
}

func named(names ...string) func(base, path string) bool {
	return func(base, _ string) bool {
		for _, n := range names {
			if base == n {
				return true
			}
		}
		return false
	}
}

// npmList sends the packages of one JavaScript file.
type npmList struct {
	*inventory.List
	in *inventory.File
	// registries are those configured beside the file, read when first needed.
	registries *npmconfig.Registries
}

func listNPM(ctx context.Context, in *inventory.File, out *inventory.Sink) *npmList {
	return &npmList{List: inventory.NewList(ctx, out, "npm"), in: in}
}

// resolved sends a package that was resolved from raw, a URL as written in the
// file; "" means that the file does not say, and then the registry configured
// beside it counts.
//
// npm and Yarn install what the URL leads to, whatever the entry is called. So
// where the URL is a registry's archive of another name or version, that package
// is sent too.
func (l *npmList) resolved(name, version, raw string, line int, digests []rapsheet.Digest) error {
	if raw == "" {
		ev := l.fromRegistry(name)
		ev.Digests = digests
		return l.Add(name, version, line, ev)
	}
	ev := ecosystem.Origin(l.Ecosystem, raw)
	ev.Digests = append(ev.Digests, digests...)
	if ev.Origin != rapsheet.OriginURL && ev.Origin != rapsheet.OriginRegistry {
		return l.Add(name, version, line, ev)
	}
	other, otherVersion, ok := ecosystem.NPMArchive(ev.URL)
	if !ok {
		return l.Add(name, version, line, ev)
	}
	ev.Origin = rapsheet.OriginRegistry
	if name == other && version == "" {
		version = otherVersion
	}
	if err := l.Add(name, version, line, ev); err != nil {
		return err
	}
	if name != other || otherVersion != "" && withoutBuild(otherVersion) != withoutBuild(version) {
		return l.Add(other, otherVersion, line, ev)
	}
	return nil
}

// fromRegistry is the evidence of a package from whatever registry is configured.
func (l *npmList) fromRegistry(name string) rapsheet.Evidence {
	if l.registries == nil {
		l.registries = npmconfig.Read(func(name string) ([]byte, bool) { return l.in.Sibling(name, npmconfig.MaxSize) })
	}
	return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: l.registries.Host(name)}
}

func withoutBuild(version string) string {
	v, _, _ := strings.Cut(version, "+")
	return v
}

// nameAndVersion splits "name@rest" and "@scope/name@rest"; rest is "" when there is none.
func nameAndVersion(s string) (name, rest string) {
	from := 0
	if strings.HasPrefix(s, "@") {
		from = strings.IndexByte(s, '/') + 1
		if from == 0 {
			from = 1
		}
	}
	i := strings.IndexByte(s[from:], '@')
	if i < 0 {
		return s, ""
	}
	return s[:from+i], s[from+i+1:]
}

// isSpecifier reports whether what stands in a version's place is no version but
// says where the package comes from: a URL, a path, "github:owner/name".
func isSpecifier(s string) bool { return strings.ContainsAny(s, ":/") }
