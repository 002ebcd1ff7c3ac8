package npmconfig

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	tests := []struct {
		name          string
		npmrc, yarnrc string
		want          map[string]string // package → host
	}{
		{"nothing is configured", "", "", map[string]string{"a": "", "@s/a": ""}},
		{"a default and a scope, credentials beside them",
			"; mine\nregistry = https://Registry.Corp.example:8443/npm/\n//registry.corp.example/:_authToken=secret\n@s:registry=https://user:secret@scoped.example/\n", "",
			map[string]string{"a": "registry.corp.example:8443", "@s/a": "scoped.example", "@t/a": "registry.corp.example:8443"}},
		{"an environment variable is not known", "registry=${NPM_REGISTRY}\n", "", map[string]string{"a": ""}},
		{"Yarn's own", "registry=https://npm.example\n", "npmRegistryServer: https://yarn.example\nnpmScopes:\n  s:\n    npmRegistryServer: https://scope.example\n",
			map[string]string{"a": "yarn.example", "@s/a": "scope.example"}},
		{"a file that is wrong counts for nothing", "registry\n=x\n", "npmScopes: [", map[string]string{"a": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{".npmrc": tt.npmrc, ".yarnrc.yml": tt.yarnrc}
			r := Read(func(name string) ([]byte, bool) { return []byte(files[name]), files[name] != "" })
			for name, want := range tt.want {
				if got := r.Host(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func FuzzNpmrc(f *testing.F) {
	f.Add("registry = https://user:pass@Example.org:1/x\n@s:registry=\"http://y\"\n; c\n", "npmScopes:\n  s: {npmRegistryServer: https://z}\n")
	f.Fuzz(func(t *testing.T, npmrc, yarnrc string) {
		r := &Registries{scopes: map[string]string{}}
		r.npmrc(npmrc)
		r.yarnrc([]byte(yarnrc))
		for _, name := range []string{"a", "@s/a", "@", "/"} {
			if h := r.Host(name); h != strings.ToLower(h) || strings.ContainsAny(h, "@/ \n") {
				t.Errorf("host %q of %s", h, name)
			}
		}
	})
}
