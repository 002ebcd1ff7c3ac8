package lockfile

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/nugetconfig"
)

// NuGet's own hashes are not digests of what the registry serves and are left
// out: contentHash in packages.lock.json, and sha512 in project.assets.json and
// .deps.json, are over the package without its signature
// (https://github.com/NuGet/Home/wiki/Nupkg-Content-Hash), while every package
// on nuget.org carries the repository's.

const nuGet = "NuGet"

// nuGetSources are those that NuGet is configured for in the directory that the file is in, read when first needed.
type nuGetSources struct {
	in *inventory.File
	*nugetconfig.Sources
}

// of is the evidence of a package that the file says no source of.
func (s *nuGetSources) of(id string) rapsheet.Evidence {
	if s.Sources == nil {
		dir := path.Dir(s.in.Rel)
		s.Sources = s.in.Once("nuget's sources in "+dir, func() any { return nugetconfig.Project(s.in, dir) }).(*nugetconfig.Sources)
	}
	return s.Evidence(id)
}

// readPackagesLock reads packages.lock.json
// (https://learn.microsoft.com/nuget/consume-packages/package-references-in-project-files#locking-dependencies):
// target framework → package → what was resolved. A package used by several frameworks is sent for each.
func readPackagesLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, nuGet)
	sources := nuGetSources{in: in}
	err = readJSON(b, func(d *document, key string) error {
		if key != "dependencies" {
			return d.skip()
		}
		return d.object(func(framework string) error {
			return d.object(func(name string) error {
				line := d.line()
				var kind, resolved string
				err := d.object(func(key string) error {
					switch key {
					case "type":
						return d.text(&kind)
					case "resolved":
						return d.text(&resolved)
					}
					return d.skip()
				})
				if err != nil {
					return err
				}
				ev := projectEvidence(kind)
				if ev.Origin == rapsheet.OriginUnknown {
					ev = sources.of(name)
				}
				return l.Add(name, resolved, line, ev)
			})
		})
	})
	return l.End(err)
}

// projectEvidence tells a project of the solution from a package.
func projectEvidence(kind string) rapsheet.Evidence {
	if strings.EqualFold(kind, "project") {
		return rapsheet.Evidence{Origin: rapsheet.OriginFile}
	}
	return rapsheet.Evidence{}
}

// library is one member of libraries in project.assets.json and .deps.json.
type library struct {
	name, version, kind string
	line                int
}

func (d *document) libraries(all *[]library) error {
	return d.object(func(key string) error {
		lib := library{line: d.line()}
		lib.name, lib.version, _ = strings.Cut(key, "/")
		err := d.object(func(key string) error {
			if key == "type" {
				return d.text(&lib.kind)
			}
			return d.skip()
		})
		if len(*all) >= inventory.MaxEntries {
			return fmt.Errorf("more than %d packages", inventory.MaxEntries)
		}
		*all = append(*all, lib)
		return err
	})
}

// readProjectAssets reads obj/project.assets.json, what NuGet's restore resolved.
// Which source a package came from is not said; when restore had one only, or
// several on one host, it is that, and else the configuration may say it.
func readProjectAssets(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	var found []library
	sources := make(map[string]string)
	err = readJSON(b, func(d *document, key string) error {
		switch key {
		case "libraries":
			return d.libraries(&found)
		case "project":
			return d.object(func(key string) error {
				if key != "restore" {
					return d.skip()
				}
				return d.object(func(key string) error {
					if key != "sources" {
						return d.skip()
					}
					return d.object(func(url string) error {
						sources[url] = url
						return d.skip()
					})
				})
			})
		}
		return d.skip()
	})
	l := inventory.NewList(ctx, out, nuGet)
	from := commonIndex(l, sources)
	// The file is in obj/ of the project; files above that count.
	configured := nuGetSources{in: in}
	for _, lib := range found {
		ev := projectEvidence(lib.kind)
		if ev.Origin == rapsheet.OriginUnknown {
			ev = from
		}
		if ev.Origin == rapsheet.OriginUnknown {
			ev = configured.of(lib.name)
		}
		if err := l.Add(lib.name, lib.version, lib.line, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(err)
}

// isDepsJSON matches the description of a built application.
func isDepsJSON(base, _ string) bool { return strings.HasSuffix(base, ".deps.json") }

// readDepsJSON reads *.deps.json, which lies beside a built application
// (https://github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md).
// Other tools use the ending too: a file without the member runtimeTarget or libraries is none of .NET's.
func readDepsJSON(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if len(b) > 0 && strings.HasPrefix(strings.TrimLeft(string(b[:min(len(b), 64)]), " \t\r\n"), "[") {
		return nil
	}
	var found []library
	err = readJSON(b, func(d *document, key string) error {
		if key == "libraries" {
			return d.libraries(&found)
		}
		return d.skip()
	})
	l := inventory.NewList(ctx, out, nuGet)
	for _, lib := range found {
		if err := l.Add(lib.name, lib.version, lib.line, projectEvidence(lib.kind)); err != nil {
			return l.End(err)
		}
	}
	return l.End(err)
}

// readPackagesConfig reads packages.config (https://learn.microsoft.com/nuget/reference/packages-config).
func readPackagesConfig(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.AnyText()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, nuGet)
	sources := nuGetSources{in: in}
	err = readXML(b, "packages", func(e *element) error {
		if e.Name.Local != "package" || e.parent() != "packages" {
			return nil
		}
		return l.Add(e.attr("id"), e.attr("version"), e.line, sources.of(e.attr("id")))
	}, nil)
	return l.End(err)
}

// isMSBuild matches project files and the files they share package versions through.
func isMSBuild(base, _ string) bool {
	for _, ext := range []string{".csproj", ".fsproj", ".vbproj"} {
		if strings.HasSuffix(base, ext) {
			return true
		}
	}
	return base == "Directory.Packages.props" || base == "Directory.Build.props" || base == "Directory.Build.targets"
}

// reference is a package reference that is being read.
type reference struct {
	names, version string
	line           int
}

// readMSBuild reads the package references of a project file
// (https://learn.microsoft.com/nuget/consume-packages/package-references-in-project-files)
// and of central package management. Conditions and properties are not
// evaluated: a version that uses one is seen as none.
func readMSBuild(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.AnyText()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, nuGet)
	var open *reference
	err = readXML(b, "Project", func(e *element) error {
		switch {
		case isPackageItem(e.Name.Local) && strings.EqualFold(e.parent(), "ItemGroup"):
			open = &reference{names: first(e.attr("Include"), e.attr("Update")), line: e.line,
				version: first(e.attr("VersionOverride"), e.attr("Version"))}
		}
		return nil
	}, func(name, text string) error {
		switch {
		case open == nil:
		case name == "VersionOverride" || (name == "Version" && open.version == ""):
			open.version = text
		case isPackageItem(name):
			ref := open
			open = nil
			// An item's name may be a list of names (MSBuild, "Items").
			for n := range strings.SplitSeq(ref.names, ";") {
				if n = strings.TrimSpace(n); n == "" {
					continue
				}
				if strings.ContainsAny(n, "$@*") {
					l.Skip("package references that MSBuild has to evaluate")
					continue
				}
				if err := l.Add(n, nugetVersion(ref.version), ref.line, rapsheet.Evidence{}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return l.End(err)
}

func isPackageItem(name string) bool {
	for _, item := range []string{"PackageReference", "PackageVersion", "GlobalPackageReference"} {
		if strings.EqualFold(name, item) {
			return true
		}
	}
	return false
}

// first gives the first of its arguments that is not empty.
func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// plainVersion is a NuGet version: numbers, a label, metadata.
var plainVersion = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// nugetVersion is the version that a reference resolves to. "1.2" means 1.2 or
// above, and NuGet resolves the lowest that exists and fits; "[1.2]" means that
// one (https://learn.microsoft.com/nuget/concepts/package-versioning). Ranges
// and floating versions are none.
func nugetVersion(v string) string {
	v = strings.TrimSpace(v)
	if inner, ok := strings.CutPrefix(v, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			v = strings.TrimSpace(inner)
			if from, to, ok := strings.Cut(v, ","); ok && strings.TrimSpace(from) == strings.TrimSpace(to) {
				v = strings.TrimSpace(from)
			}
		}
	}
	if !plainVersion.MatchString(v) {
		return ""
	}
	return v
}

// paketSpec is "Name (1.2.3)" with settings after it.
var paketSpec = regexp.MustCompile(`^([^\s()]+) \(([^()\s]+)\)`)

// readPaketLock reads paket.lock (https://fsprojects.github.io/Paket/lock-file.html):
// groups, in them sections by kind, in them remotes at 2, packages at 4 and
// their dependencies at 6.
func readPaketLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, nuGet)
	section, remote := "", ""
	err = inventory.Lines(b, func(n int, line string) error {
		body := strings.TrimLeft(line, " ")
		switch indent := len(line) - len(body); {
		case body == "":
		case indent == 0:
			section, remote = strings.TrimSpace(line), ""
		case strings.HasPrefix(body, "remote:"):
			remote = strings.TrimSpace(strings.TrimPrefix(body, "remote:"))
		case indent != 4:
		case section != "NUGET":
			l.Skip("files from repositories and URLs: no packages of a registry")
		default:
			m := paketSpec.FindStringSubmatch(body)
			if m == nil {
				return l.Add("", "", n, rapsheet.Evidence{})
			}
			ev := inventory.Local(remote)
			if strings.Contains(remote, "://") {
				ev = l.Registry(remote)
			}
			return l.Add(m[1], m[2], n, ev)
		}
		return nil
	})
	return l.End(err)
}
