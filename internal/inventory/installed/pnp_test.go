package installed_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// script is what Yarn 4.18.1 writes around the JSON, shortened.
func script(state string) string {
	state = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", "\\\n").Replace(state)
	return "#!/usr/bin/env node\n\"use strict\";\n\nconst RAW_RUNTIME_STATE =\n'" + state + "';\n\n" +
		"function $$SETUP_STATE(hydrateRuntimeState, basePath) {\n  return hydrateRuntimeState(JSON.parse(RAW_RUNTIME_STATE), {basePath: basePath || __dirname});\n}\n"
}

func TestPnP(t *testing.T) {
	registry := func(entries string) string {
		return "{\n\"dependencyTreeRoots\": [{\"name\": \"project\", \"reference\": \"workspace:.\"}],\n\"ignorePatternData\": \"(^\\\\.yarn/it's$)\",\n\"packageRegistryData\": [\n[null, [[null, {\"packageLocation\": \"./\"}]]],\n" + entries + "]}"
	}
	about := `, {"packageLocation": "./x/", "packageDependencies": [["alias", ["other", "npm:1.0.0"]]], "linkType": "HARD"}]`
	one := registry(`["@corp/tool", [["npm:1.0.0"` + about + `]]`)
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"locators of every protocol, each once, under their own names", map[string]string{
			".pnp.cjs": script(registry(`
				["@corp/tool", [["npm:1.0.0"` + about + `, ["npm:2.0.0"` + about + `]],
				["peers", [["npm:1.0.0"` + about + `, ["virtual:0123#npm:1.0.0"` + about + `, ["virtual:4567#npm:1.0.0"` + about + `]],
				["private", [["npm:1.0.0::__archiveUrl=https%3A%2F%2Fuser%3ASECRET%40npm.corp.example%2Fprivate%2F-%2Fprivate-1.0.0.tgz"` + about + `]],
				["mine", [["npm:1.0.0::__archiveUrl=https%3A%2F%2Fregistry.npmjs.org%2Fevil%2F-%2Fevil-2.0.0.tgz"` + about + `]],
				["typescript", [["patch:typescript@npm%3A5.0.0#optional!builtin<compat/typescript>::version=5.0.0&hash=14eedb"` + about + `]],
				["@s/patched", [["patch:@s/patched@npm%3A1.2.3#~/.yarn/patches/x.patch"` + about + `]],
				["git", [["https://github.com/owner/repo.git#commit=0123456789"` + about + `]],
				["ssh", [["git@github.com:owner/repo.git#commit=0123456789"` + about + `]],
				["archive", [["https://registry.yarnpkg.com/archive/-/archive-3.0.0.tgz"` + about + `]],
				["url", [["https://files.example/url.tgz"` + about + `]],
				["project", [["workspace:."` + about + `]],
				["lib", [["workspace:packages/lib"` + about + `]],
				["portal", [["portal:../portal::locator=project%40workspace%3A."` + about + `]]`)),
			".yarnrc.yml": "npmScopes:\n  corp:\n    npmRegistryServer: https://npm.corp.example\n",
		}, []string{
			".pnp.cjs @corp/tool@1.0.0 registry npm.corp.example",
			".pnp.cjs @corp/tool@2.0.0 registry npm.corp.example",
			".pnp.cjs peers@1.0.0 registry",
			".pnp.cjs private@1.0.0 registry npm.corp.example",
			".pnp.cjs mine@1.0.0 registry registry.npmjs.org",
			".pnp.cjs evil@2.0.0 registry registry.npmjs.org",
			".pnp.cjs typescript@5.0.0 registry",
			".pnp.cjs @s/patched@1.2.3 registry",
			".pnp.cjs git@ git github.com",
			".pnp.cjs ssh@ git github.com",
			".pnp.cjs archive@3.0.0 registry registry.yarnpkg.com",
			".pnp.cjs url@ url files.example",
			".pnp.cjs lib@ file",
			".pnp.cjs portal@ file",
		}},
		{"in two files", map[string]string{
			".pnp.cjs":       "function $$SETUP_STATE(hydrateRuntimeState, basePath) {\n  const pnpDataFilepath = path.resolve(__dirname, \".pnp.data.json\");\n  return hydrateRuntimeState(JSON.parse(fs.readFileSync(pnpDataFilepath, 'utf8')), {basePath: basePath || __dirname});\n}",
			".pnp.data.json": one,
		}, []string{".pnp.data.json @corp/tool@1.0.0 registry"}},
		{"as Yarn 2 wrote it", map[string]string{
			".pnp.js": "function $$SETUP_STATE(hydrateRuntimeState, basePath) {\n  return hydrateRuntimeState(" + one + ", {basePath: basePath || __dirname});\n}",
		}, []string{".pnp.js @corp/tool@1.0.0 registry"}},
		{"as Yarn 3 wrote it", map[string]string{
			".pnp.cjs": "function $$SETUP_STATE(hydrateRuntimeState, basePath) {\n  return hydrateRuntimeState(JSON.parse('" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", "\\\r\n").Replace(one) + "'), {basePath});\n}",
		}, []string{".pnp.cjs @corp/tool@1.0.0 registry"}},
		{"what is not known is a note", map[string]string{
			"a/.pnp.cjs":       "module.exports = 1;",
			"b/.pnp.js":        "let packageInformationStores = new Map([[\"a\", new Map([[\"1.0.0\", {}]])]]);",
			"c/.pnp.cjs":       "const RAW_RUNTIME_STATE =\n'{\"packageRegistryData\": [",
			"d/.pnp.cjs":       "const RAW_RUNTIME_STATE = require('x')",
			"e/.pnp.data.json": `{"packageRegistryData": [["a"], [1, []], ["b", [1, []]], ["c", [["npm:1.0.0", {}], [2, {}]]]]}`,
			"f/.pnp.data.json": `{}`,
			"g/.pnp.cjs":       "const RAW_RUNTIME_STATE =\n'\\x41'",
		}, []string{
			"unread a/.pnp.cjs: the list of packages was not found in it: not a script of Yarn 2 or newer that is known",
			"unread b/.pnp.js: the list of packages was not found in it: not a script of Yarn 2 or newer that is known",
			"unread c/.pnp.cjs: the list of packages in it does not end",
			"unread d/.pnp.cjs: the list of packages in it is no text",
			"e/.pnp.data.json c@1.0.0 registry",
			"unread e/.pnp.data.json: entries that are not of the known form",
			"unread f/.pnp.data.json: has no packageRegistryData",
			"unread g/.pnp.cjs: the list of packages in it has an escape that is not known",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := walk(t, clienttest.Tree(t, tt.files)); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

func FuzzPnP(f *testing.F) {
	state := `{"packageRegistryData": [[null, [[null, {}]]], ["a", [["npm:1.0.0", {}], ["virtual:0#patch:b@npm%3A1#x", {}], ["https://h/c/-/c-1.tgz", {}]]]]}`
	fuzzQuiet(f, ".pnp.cjs", ".yarnrc.yml", [2]string{script(state), "npmRegistryServer: https://h"},
		[2]string{"hydrateRuntimeState(" + state + ")", ""}, [2]string{"hydrateRuntimeState(JSON.parse('" + state + "'))", ""},
		[2]string{"hydrateRuntimeState(JSON.parse(fs.readFileSync(pnpDataFilepath", ""})
}
