// Package pythonconfig reads from which package indexes pip, uv, Poetry, PDM and Pipenv were configured to install: for
// what does not say itself where it came from.
//
// Promise: the files hold credentials too; only hosts are kept.
package pythonconfig

import (
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// MaxSize is how much of a configuration file is worth reading, in bytes.
const MaxSize = 1 << 20

// Indexes are those that a tool is configured for. The zero value is a tool that nobody configured. It is safe
// for concurrent use once made.
type Indexes struct {
	// index is the host that replaces pypi.org, "" if there is none; unclear says that there is one whose host
	// cannot be told.
	index   string
	unclear bool
	// extra are the hosts of further indexes; others says that distributions may also come from
	// somewhere else: a page of links, a directory, an index whose host cannot be told.
	extra  []string
	others bool
	// wide says that the settings of the user, the machine or the environment decide, and not those of a project.
	wide bool
}

// Evidence is that of a distribution which was installed by name: the one host that it can only have come from, where there
// is one. That a user or a machine goes through one index for everything is no evidence against the public one: a
// proxy of it would silence every alarm. Then the origin stays unknown, and the host says what to ask about.
func (p *Indexes) Evidence() rapsheet.Evidence {
	if p == nil || p.Host() == "" {
		return rapsheet.Evidence{}
	}
	if p.wide {
		return rapsheet.Evidence{Host: p.Host()}
	}
	return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: p.Host()}
}

// setIndex sets the index in place of pypi.org, further adds one beside it.
func (p *Indexes) setIndex(url string) {
	p.index = host(url)
	p.unclear = p.index == ""
}

func (p *Indexes) further(url string) {
	if h := host(url); h != "" {
		p.extra = append(p.extra, h)
	} else {
		p.others = true
	}
}

// readPip reads pip's configuration (pip.pypa.io/en/stable/topics/configuration/): the contents of its files
// in the order of their weight, the weightiest last, and the environment, which goes before all of them. What is
// no configuration counts for nothing.
func readPip(getenv func(string) string, files ...[]byte) *Indexes {
	// Of two files, or sections, that set an option the later one counts alone. Options for
	// "pip install" go before [global].
	options := map[string]string{}
	for _, section := range []string{"global", "install"} {
		for _, f := range files {
			parse(string(f), section, options)
		}
	}
	for _, option := range []string{"index-url", "extra-index-url", "find-links", "no-index"} {
		if v := getenv("PIP_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))); v != "" {
			options[option] = v
		}
	}
	p := &Indexes{}
	if v, ok := options["index-url"]; ok {
		p.setIndex(v)
	}
	for _, v := range strings.Fields(options["extra-index-url"]) {
		p.further(v)
	}
	if options["find-links"] != "" || isTrue(options["no-index"]) {
		p.others = true
	}
	return p
}

// Host gives the lower-case host, with its port, that everything that is installed by name comes from. It is ""
// where that cannot be told: no index is configured, or more places than one host are.
func (p *Indexes) Host() string {
	if p.unclear || p.others {
		return ""
	}
	for _, h := range p.extra {
		if h != p.index {
			return ""
		}
	}
	return p.index
}

// Hosts gives the lower-case hosts of all indexes that are configured, sorted.
func (p *Indexes) Hosts() []string {
	all := slices.Clone(p.extra)
	if p.index != "" {
		all = append(all, p.index)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// parse adds the options of one section of an INI file as Python's configparser reads it, which pip uses: "key = value" or
// "key: value", comments on lines of their own, values that go on in indented lines.
func parse(text, section string, options map[string]string) {
	in, key := false, ""
	text = strings.TrimPrefix(text, "\ufeff")
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			continue // a value may go on after an empty line
		case trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case (line[0] == ' ' || line[0] == '\t') && key != "":
			if in {
				options[key] += "\n" + trimmed
			}
			continue
		case trimmed[0] == '[':
			name, _, _ := strings.Cut(trimmed[1:], "]")
			in, key = name == section, ""
			continue
		}
		i := strings.IndexAny(trimmed, "=:")
		if i < 0 {
			key = ""
			continue
		}
		// pip takes index_url for index-url.
		key = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(trimmed[:i])), "_", "-")
		if in {
			options[key] = strings.TrimSpace(trimmed[i+1:])
		}
	}
}

// isTrue reads what pip takes for yes (distutils.util.strtobool).
func isTrue(v string) bool {
	switch strings.ToLower(v) {
	case "y", "yes", "t", "true", "on", "1":
		return true
	}
	return false
}

// host gives the host of an index's address, "" if it is no URL with one: pip expands nothing in its files.
func host(v string) string {
	v = strings.TrimSpace(v)
	if len(strings.Fields(v)) != 1 || strings.ContainsAny(v, "${}") {
		return ""
	}
	if ev := ecosystem.Origin(nil, v); strings.Contains(v, "://") {
		return ev.Host
	}
	return ""
}
