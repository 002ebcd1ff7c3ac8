// Package npmconfig reads which registries are configured beside an npm project: for lockfiles
// and installed packages that do not say where a package came from.
//
// Promise: the files hold credentials too; only hosts are kept.
package npmconfig

import (
	"strings"

	"github.com/rapsheet/rapsheet/ecosystem"
	"go.yaml.in/yaml/v3"
)

// MaxSize is how much of a configuration file is worth reading, in bytes.
const MaxSize = 1 << 20

// Registries are the hosts of the registries configured in a directory. It is safe for concurrent
// use once read.
type Registries struct {
	// def is the host for everything without a scope of its own, scopes those by "@scope"; "" is a
	// registry that cannot be told from the file (it has an environment variable in it).
	def    string
	scopes map[string]string
}

// Read reads .npmrc (docs.npmjs.com/cli/configuring-npm/npmrc) and
// .yarnrc.yml (yarnpkg.com/configuration/yarnrc, npmRegistryServer and npmScopes), which file gives
// by name, false when it is not there. Neither has to be there, or to be right.
func Read(file func(name string) ([]byte, bool)) *Registries {
	r := &Registries{scopes: map[string]string{}}
	if b, ok := file(".npmrc"); ok {
		r.npmrc(string(b))
	}
	if b, ok := file(".yarnrc.yml"); ok {
		r.yarnrc(b)
	}
	return r
}

// Host gives the lower-case host that the package name is installed from, "" when not known.
func (r *Registries) Host(name string) string {
	if scope, _, ok := strings.Cut(name, "/"); ok {
		if h, ok := r.scopes[scope]; ok {
			return h
		}
	}
	return r.def
}

// ScopeHost gives the host that the scope of the package name has for itself, "" when it has none or it is
// not known.
func (r *Registries) ScopeHost(name string) string {
	scope, _, _ := strings.Cut(name, "/")
	return r.scopes[scope]
}

func (r *Registries) npmrc(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key = strings.Trim(strings.TrimSpace(key), `"'`)
		value = strings.TrimSpace(value)
		if key == "registry" {
			r.def = host(value)
		} else if scope, ok := strings.CutSuffix(key, ":registry"); ok && strings.HasPrefix(scope, "@") {
			r.scopes[scope] = host(value)
		}
	}
}

func (r *Registries) yarnrc(b []byte) {
	var config struct {
		Server string `yaml:"npmRegistryServer"`
		Scopes map[string]struct {
			Server string `yaml:"npmRegistryServer"`
		} `yaml:"npmScopes"`
	}
	if yaml.Unmarshal(b, &config) != nil {
		return
	}
	if config.Server != "" {
		r.def = host(config.Server)
	}
	for scope, c := range config.Scopes {
		if c.Server != "" {
			r.scopes["@"+scope] = host(c.Server)
		}
	}
}

// host gives the host of a registry's address, "" if it has to be expanded first.
func host(s string) string {
	s = strings.Trim(s, `"'`)
	if strings.Contains(s, "${") {
		return ""
	}
	return ecosystem.Origin(nil, s).Host
}
