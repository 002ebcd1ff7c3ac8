package lockfile

import (
	"strings"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"go.yaml.in/yaml/v3"
)

// maxConfig is how much of a configuration file is read.
const maxConfig = 1 << 20

// npmRegistries are the registries configured beside a lockfile. Only hosts are
// kept: these files hold credentials too.
type npmRegistries struct {
	// def is the host for everything without a scope of its own, scopes those by "@scope"; "" is a
	// registry that cannot be told from the file (it has an environment variable in it).
	def    string
	scopes map[string]string
}

// readRegistries reads .npmrc (docs.npmjs.com/cli/configuring-npm/npmrc) and
// .yarnrc.yml (yarnpkg.com/configuration/yarnrc, npmRegistryServer and npmScopes).
// Neither has to be there, or to be right.
func readRegistries(in *inventory.File) *npmRegistries {
	r := &npmRegistries{scopes: map[string]string{}}
	if b, ok := in.Sibling(".npmrc", maxConfig); ok {
		r.npmrc(string(b))
	}
	if b, ok := in.Sibling(".yarnrc.yml", maxConfig); ok {
		r.yarnrc(b)
	}
	return r
}

// host gives the lower-case host that name is installed from, "" when not known.
func (r *npmRegistries) host(name string) string {
	if scope, _, ok := strings.Cut(name, "/"); ok {
		if h, ok := r.scopes[scope]; ok {
			return h
		}
	}
	return r.def
}

func (r *npmRegistries) npmrc(text string) {
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
			r.def = registryHost(value)
		} else if scope, ok := strings.CutSuffix(key, ":registry"); ok && strings.HasPrefix(scope, "@") {
			r.scopes[scope] = registryHost(value)
		}
	}
}

func (r *npmRegistries) yarnrc(b []byte) {
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
		r.def = registryHost(config.Server)
	}
	for scope, c := range config.Scopes {
		if c.Server != "" {
			r.scopes["@"+scope] = registryHost(c.Server)
		}
	}
}

// registryHost gives the host of a registry's address, "" if it has to be expanded first.
func registryHost(s string) string {
	s = strings.Trim(s, `"'`)
	if strings.Contains(s, "${") {
		return ""
	}
	return ecosystem.Origin(nil, s).Host
}
