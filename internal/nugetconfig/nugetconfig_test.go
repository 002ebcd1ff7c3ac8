package nugetconfig_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/nugetconfig"
)

// settings are files by their names, absolute ones of this machine, and variables by "$" and theirs. Those of the machine
// are in effect where own says so.
type settings struct {
	files map[string]string
	own   bool
}

func (s settings) InEffect() bool { return s.own }

func (s settings) ReadFile(name string, limit int64) ([]byte, bool) {
	text, ok := s.files[name]
	return []byte(text), ok && !strings.HasPrefix(name, "/") && int64(len(text)) <= limit
}

func (s settings) MachineFile(name string, limit int64) ([]byte, bool) {
	text, ok := s.files[name]
	return []byte(text), ok && s.own && strings.HasPrefix(name, "/") && int64(len(text)) <= limit
}

func (s settings) Getenv(name string) string {
	if !s.own {
		return ""
	}
	return s.files["$"+name]
}

// The rules are those of learn.microsoft.com/nuget/consume-packages/configuring-nuget-behavior ("How settings are applied"),
// /nuget/reference/nuget-config-file, and /nuget/consume-packages/package-source-mapping, whose examples of patterns are here.
func TestProject(t *testing.T) {
	config := func(sections string) string {
		return `<?xml version="1.0" encoding="utf-8"?><configuration>` + sections + "</configuration>"
	}
	sources := func(inner string) string { return config("<packageSources>" + inner + "</packageSources>") }
	const (
		public  = `<add key="nuget.org" value="https://api.nuget.org/v3/index.json" protocolVersion="3"/>`
		corp    = `<add key="Corp" value="https://user:secret@NuGet.Corp.example:8443/v3/index.json"/>`
		two     = `<add key="two" value="https://two.example/v3/index.json"/>`
		host    = "nuget.corp.example:8443"
		secrets = `<packageSourceCredentials><Corp><add key="Username" value="u"/><add key="ClearTextPassword" value="secret"/></Corp></packageSourceCredentials>`
	)
	mapping := func(inner string) string {
		return config("<packageSources><clear/>" + public + corp + "</packageSources><packageSourceMapping>" + inner + "</packageSourceMapping>")
	}
	contoso := mapping(`<packageSource key="nuget.org"><package pattern="*"/></packageSource><packageSource key="corp"><package pattern="Contoso.*"/><package pattern="NuGet.Common"/></packageSource>`)
	const dir = "home/anna/src/app"
	type files = map[string]string
	for _, tt := range []struct {
		name  string
		own   bool
		files files
		id    string
		want  string
	}{
		{"nothing", false, files{}, "a", ""},
		{"one source, cleared before it", false, files{dir + "/nuget.config": config("<packageSources><clear/>" + corp + "</packageSources>" + secrets)}, "a", host},
		{"one beside nuget.org, which is there by default", false, files{dir + "/nuget.config": sources(corp)}, "a", ""},
		{"public and private", false, files{dir + "/nuget.config": sources("<clear/>" + public + corp)}, "a", ""},
		{"nuget.org alone", false, files{dir + "/nuget.config": sources("<clear/>" + public)}, "a", "api.nuget.org"},
		{"removed", false, files{dir + "/nuget.config": sources(`<remove key="NuGet.org"/>` + corp)}, "a", host},
		{"disabled", false, files{dir + "/nuget.config": config("<packageSources>" + corp + `</packageSources><disabledPackageSources><add key="nuget.org" value="true"/></disabledPackageSources>`)}, "a", host},
		{"enabled again", false, files{"home/anna/src/nuget.config": config(`<disabledPackageSources><add key="nuget.org" value="true"/></disabledPackageSources>`), dir + "/nuget.config": config("<packageSources>" + corp + `</packageSources><disabledPackageSources><clear/></disabledPackageSources>`)}, "a", ""},
		{"the nearer clears", false, files{"home/anna/src/NuGet.Config": sources(two), dir + "/NuGet.config": sources("<clear/>" + corp)}, "a", host},
		{"the farther counts too", false, files{"home/anna/src/NuGet.Config": sources("<clear/>" + two), dir + "/NuGet.config": sources(corp)}, "a", ""},
		{"the nearer replaces a key", false, files{"home/anna/src/NuGet.Config": sources("<clear/>" + two), dir + "/NuGet.config": sources(`<add key="TWO" value="https://three.example/index.json"/>`)}, "a", "three.example"},
		{"a user without nuget.org", false, files{"home/anna/.nuget/NuGet/NuGet.Config": sources(corp)}, "a", host},
		{"another's", false, files{"home/bert/.nuget/NuGet/NuGet.Config": sources(corp)}, "a", ""},
		{"a user of Windows", false, files{"home/anna/AppData/Roaming/NuGet/NuGet.Config": sources(corp)}, "a", host},
		{"a user with nuget.org, a project beside it", false, files{"home/anna/.nuget/NuGet/NuGet.Config": sources(public), dir + "/nuget.config": sources(corp)}, "a", ""},
		{"the user who scans", true, files{"$HOME": "/h", "/h/.nuget/NuGet/NuGet.Config": sources(corp), "home/anna/.nuget/NuGet/NuGet.Config": sources(two)}, "a", host},
		{"APPDATA", true, files{"$USERPROFILE": "/u", "$APPDATA": "/r", "/r/NuGet/NuGet.Config": sources(corp)}, "a", host},
		{"not this machine's", false, files{"$HOME": "/h", "/h/.nuget/NuGet/NuGet.Config": sources(corp)}, "a", ""},
		{"a directory beside it", false, files{dir + "/nuget.config": sources("<clear/>" + corp + `<add key="local" value="./packages"/>`)}, "a", ""},
		{"a variable", false, files{dir + "/nuget.config": sources(`<clear/><add key="x" value="https://%HOST%/index.json"/>`)}, "a", ""},
		{"mapped by prefix", false, files{dir + "/nuget.config": contoso}, "contoso.utilities", host},
		{"mapped by id", false, files{dir + "/nuget.config": contoso}, "nuget.common", host},
		{"mapped to the public one", false, files{dir + "/nuget.config": contoso}, "Contoso", "api.nuget.org"},
		{"the longest prefix", false, files{dir + "/nuget.config": mapping(`<packageSource key="nuget.org"><package pattern="Microsoft.*"/></packageSource><packageSource key="Corp"><package pattern="Microsoft.Internal.*"/></packageSource>`)}, "Microsoft.Internal.X", host},
		{"an id before its prefix", false, files{dir + "/nuget.config": mapping(`<packageSource key="nuget.org"><package pattern="A.B"/></packageSource><packageSource key="Corp"><package pattern="A.B*"/></packageSource>`)}, "A.B", "api.nuget.org"},
		{"two sources with one pattern", false, files{dir + "/nuget.config": mapping(`<packageSource key="nuget.org"><package pattern="A.*"/></packageSource><packageSource key="Corp"><package pattern="A.*"/></packageSource>`)}, "A.B", ""},
		{"mapped nowhere", false, files{dir + "/nuget.config": mapping(`<packageSource key="Corp"><package pattern="A.*"/></packageSource>`)}, "B", ""},
		{"mapped in two files", false, files{"home/anna/nuget.config": contoso, dir + "/nuget.config": contoso}, "contoso.x", ""},
		{"mapped in two files, cleared", false, files{"home/anna/nuget.config": contoso, dir + "/nuget.config": mapping(`<clear/><packageSource key="Corp"><package pattern="*"/></packageSource>`)}, "b", host},
		{"no XML", false, files{"home/anna/nuget.config": sources("<clear/>" + corp), dir + "/nuget.config": "<configuration><packageSources>"}, "a", ""},
		{"a document type", false, files{dir + "/nuget.config": "<!DOCTYPE x>" + sources("<clear/>"+corp)}, "a", ""},
		{"too deep", false, files{dir + "/nuget.config": config(strings.Repeat("<x>", 100) + strings.Repeat("</x>", 100) + "<packageSources><clear/>" + corp + "</packageSources>")}, "a", ""},
	} {
		if got := nugetconfig.Project(settings{tt.files, tt.own}, dir).Host(tt.id); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A project's own file says nothing of what is in a user's folder.
func TestUser(t *testing.T) {
	s := settings{files: map[string]string{
		"home/a/.nuget/packages/nuget.config": `<configuration><packageSources><clear/><add key="x" value="https://no.example/index.json"/></packageSources></configuration>`,
		"home/a/.nuget/NuGet/NuGet.Config":    `<configuration><packageSources><add key="x" value="https://yes.example/index.json"/></packageSources></configuration>`,
	}}
	if got := nugetconfig.User(s, "home/a/.nuget/packages/x/1.0.0").Host("x"); got != "yes.example" {
		t.Errorf("%q", got)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(`<configuration><packageSources><clear/><add key="a" value="https://u:p@H:1/x"/><remove key="b"/></packageSources><packageSourceMapping><packageSource key="a"><package pattern="x.*"/></packageSource></packageSourceMapping></configuration>`, "x.y")
	f.Add(`<configuration><packageSourceMapping><package pattern="*"/><clear/></packageSourceMapping><disabledPackageSources><add key="a" value="true"/></disabledPackageSources></configuration>`, "a")
	f.Fuzz(func(t *testing.T, text, id string) {
		s := settings{files: map[string]string{"nuget.config": text}}
		if h := nugetconfig.Project(s, ".").Host(id); h != strings.ToLower(h) || strings.ContainsAny(h, "@/ \n") {
			t.Errorf("host %q", h)
		}
	})
}
