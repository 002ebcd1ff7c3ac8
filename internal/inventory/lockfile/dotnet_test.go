package lockfile

import (
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// None of NuGet's files but project.assets.json names sources: those that are configured beside it and above count
// (learn.microsoft.com/nuget/consume-packages/configuring-nuget-behavior), one by one with package source mapping.
func TestNuGetConfiguration(t *testing.T) {
	const lock = `{"version": 1, "dependencies": {"net8.0": {"Corp.A": {"type": "Direct", "resolved": "1.0.0"}, "b": {"type": "Transitive", "resolved": "2.0.0"}, "own": {"type": "Project"}}}}`
	const private = `<configuration><packageSources><clear/><add key="corp" value="https://user:secret@nuget.corp.example/v3/index.json"/></packageSources></configuration>`
	const mapped = `<configuration><packageSources><clear/><add key="corp" value="https://user:secret@nuget.corp.example/v3/index.json"/><add key="nuget.org" value="https://api.nuget.org/v3/index.json"/></packageSources>
		<packageSourceMapping><packageSource key="corp"><package pattern="Corp.*"/></packageSource><packageSource key="nuget.org"><package pattern="*"/></packageSource></packageSourceMapping></configuration>`
	const assets = `{"version": 3, "libraries": {"Corp.A/1.0.0": {"type": "package"}, "b/2.0.0": {"type": "package"}, "own/1.0.0": {"type": "project"}}, "project": {"restore": {"sources": {"https://nuget.corp.example/v3/index.json": {}, "https://api.nuget.org/v3/index.json": {}}}}}`
	root := clienttest.Tree(t, map[string]string{
		"none/packages.lock.json":        lock,
		"private/nuget.config":           private,
		"private/app/packages.lock.json": lock,
		"private/old/packages.config":    `<packages><package id="b" version="2.0.0"/></packages>`,
		"private/public/nuget.config":    `<configuration><packageSources><add key="nuget.org" value="https://api.nuget.org/v3/index.json"/></packageSources></configuration>`,
		"private/public/packages.config": `<packages><package id="b" version="2.0.0"/></packages>`,
		"map/NuGet.Config":               mapped,
		"map/packages.lock.json":         lock,
		"map/obj/project.assets.json":    assets,
		"mix/obj/project.assets.json":    assets,
	})
	want := []string{
		"map/obj/project.assets.json Corp.A@1.0.0 registry nuget.corp.example", "map/obj/project.assets.json b@2.0.0 registry api.nuget.org", "map/obj/project.assets.json own@1.0.0 file",
		"map/packages.lock.json Corp.A@1.0.0 registry nuget.corp.example", "map/packages.lock.json b@2.0.0 registry api.nuget.org", "map/packages.lock.json own@ file",
		"mix/obj/project.assets.json Corp.A@1.0.0", "mix/obj/project.assets.json b@2.0.0", "mix/obj/project.assets.json own@1.0.0 file",
		"none/packages.lock.json Corp.A@1.0.0", "none/packages.lock.json b@2.0.0", "none/packages.lock.json own@ file",
		"private/app/packages.lock.json Corp.A@1.0.0 registry nuget.corp.example", "private/app/packages.lock.json b@2.0.0 registry nuget.corp.example", "private/app/packages.lock.json own@ file",
		"private/old/packages.config b@2.0.0 registry nuget.corp.example",
		"private/public/packages.config b@2.0.0",
	}
	got := clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: otherReaders()}))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%q\nwant\n\t%q", got, want)
	}
}
