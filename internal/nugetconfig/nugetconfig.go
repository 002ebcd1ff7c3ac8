// Package nugetconfig reads from which sources NuGet was configured to restore: for lockfiles and installed packages that
// do not say where a package came from.
//
// Promise: the files hold credentials too; only hosts are kept.
package nugetconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// MaxSize is how much of a configuration file is worth reading, in bytes; maxNesting and maxSources bound what is in it.
const (
	MaxSize    = 1 << 20
	maxNesting = 64
	maxSources = 1000 // and patterns, in all files
)

// Settings gives the files that may be in effect somewhere.
type Settings interface {
	// ReadFile gives a file of the tree that is looked at, by its slash-separated path from the root.
	ReadFile(name string, limit int64) ([]byte, bool)
	// InEffect says that the environment and the settings of this machine count.
	InEffect() bool
	// Getenv gives a variable of that environment, "" where none counts, and MachineFile a file by its absolute path.
	Getenv(name string) string
	MachineFile(name string, limit int64) ([]byte, bool)
}

// Sources are the package sources that are in effect somewhere. It is safe for concurrent use once made.
type Sources struct {
	// hosts are those of the sources by their keys, in lower case; "" is a source whose host cannot be told: a directory,
	// or one with a variable of the environment in it.
	hosts map[string]string
	// patterns are the package patterns of the sources, if there are any, in lower case.
	patterns map[string][]string
	disabled map[string]bool
	// said says that a file names a source, unclear that one could not be read, or that files do not agree.
	said, unclear bool
	// wide says that only the user's files were read.
	wide bool
}

// Evidence is that of a package of which nothing else is known: the one host that it can only have been restored from, where
// there is one. That a user goes through one source for everything is no evidence against the public one: a proxy of it would
// silence every alarm. Then the origin stays unknown, and the host says what to ask about; a pattern that names more than
// everything is evidence whoever wrote it.
func (r *Sources) Evidence(id string) rapsheet.Evidence {
	host, specific := r.host(id)
	if host == "" {
		return rapsheet.Evidence{}
	}
	if r.wide && specific == 0 {
		return rapsheet.Evidence{Host: host}
	}
	return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: host}
}

// nugetOrg is the source that NuGet writes into a user's configuration when there is none.
const nugetOrg = "nuget.org"

// Project reads what is in effect for a project in a directory of the tree
// (learn.microsoft.com/nuget/consume-packages/configuring-nuget-behavior): the files of the directory and of those above it,
// the nearer ones before the farther, and the user's. Files of the machine and further ones of the user
// (NuGet/Config/*.config) are not read.
func Project(s Settings, dir string) *Sources {
	var found [][]byte
	for at := dir; ; at = path.Dir(at) {
		// The spellings that NuGet looks for where file names have case (NuGet.Configuration, Settings.cs).
		for _, name := range []string{"nuget.config", "NuGet.config", "NuGet.Config"} {
			if b, ok := s.ReadFile(path.Join(at, name), MaxSize); ok {
				found = append(found, b)
				break
			}
		}
		if at == "." {
			break
		}
	}
	r := User(s, dir)
	r.wide = len(found) == 0
	for _, b := range slices.Backward(found) {
		r.read(b)
	}
	return r
}

// User reads what users set: those whose homes dir is in, or the one who scans.
func User(s Settings, dir string) *Sources {
	r := &Sources{wide: true, hosts: map[string]string{}, patterns: map[string][]string{}, disabled: map[string]bool{}}
	var found [][]byte
	home := func(read func(string, int64) ([]byte, bool), home, config, roaming string) {
		for _, name := range []string{path.Join(roaming, "NuGet/NuGet.Config"), path.Join(config, "NuGet/NuGet.Config"), path.Join(home, ".nuget/NuGet/NuGet.Config")} {
			if b, ok := read(name, MaxSize); ok {
				found = append(found, b)
			}
		}
	}
	if s.InEffect() {
		at, roaming := s.Getenv("HOME"), s.Getenv("APPDATA")
		if at == "" {
			at = s.Getenv("USERPROFILE")
		}
		home(s.MachineFile, at, path.Join(at, ".config"), roaming)
	} else {
		for at := dir; len(found) == 0; at = path.Dir(at) {
			home(s.ReadFile, at, path.Join(at, ".config"), path.Join(at, "AppData/Roaming"))
			if at == "." {
				break
			}
		}
	}
	if len(found) == 0 {
		r.hosts[nugetOrg] = "api.nuget.org"
	}
	for _, b := range found {
		r.read(b)
	}
	return r
}

// Host gives the lower-case host, with its port, that the package is restored from. It is "" where that cannot be told: no
// source is configured, or the package may come from more places than one host.
//
// With package source mapping the sources with the most specific of the patterns that match are asked: an id goes before
// a prefix, a longer prefix before a shorter (learn.microsoft.com/nuget/consume-packages/package-source-mapping).
func (r *Sources) Host(id string) string {
	host, _ := r.host(id)
	return host
}

// host gives also how specific the pattern was that decided: 0 for none, and for "*".
func (r *Sources) host(id string) (string, int) {
	if r.unclear || !r.said {
		return "", 0
	}
	best := -1
	var from []string
	for key := range r.hosts {
		specific := 0
		if len(r.patterns) > 0 {
			specific = matches(r.patterns[key], strings.ToLower(id))
		}
		switch {
		case r.disabled[key] || specific < 0 || specific < best:
		case specific > best:
			best, from = specific, []string{key}
		default:
			from = append(from, key)
		}
	}
	host := ""
	for i, key := range from {
		if i > 0 && r.hosts[key] != host {
			return "", 0
		}
		host = r.hosts[key]
	}
	return host, max(best, 0)
}

// matches says how specific the best pattern for an id is, -1 if there is none.
func matches(patterns []string, id string) int {
	best := -1
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			if strings.HasPrefix(id, prefix) {
				best = max(best, len(prefix))
			}
		} else if p == id {
			return len(id) + 1
		}
	}
	return best
}

// read reads a file that goes before what was read so far.
func (r *Sources) read(b []byte) {
	if r.parse(b) != nil || len(r.hosts) > maxSources {
		r.unclear = true
	}
}

var errNotRead = errors.New("not read")

// parse reads learn.microsoft.com/nuget/reference/nuget-config-file.
func (r *Sources) parse(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	var open []string
	mapped := "" // the source whose patterns are read
	patterns := 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.Directive:
			return errNotRead
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.StartElement:
			name := strings.ToLower(t.Name.Local)
			if open = append(open, name); len(open) > maxNesting {
				return errNotRead
			}
			if len(open) < 3 || open[0] != "configuration" {
				continue
			}
			key := strings.ToLower(attr(t, "key"))
			switch section := open[1]; {
			case section == "packagesources" && len(open) == 3:
				r.source(name, key, attr(t, "value"))
			case section == "disabledpackagesources" && len(open) == 3:
				switch name {
				case "clear":
					clear(r.disabled)
				case "add":
					r.disabled[key] = strings.EqualFold(attr(t, "value"), "true")
				}
			case section == "packagesourcemapping" && len(open) == 3:
				switch mapped = key; name {
				case "clear":
					clear(r.patterns)
				case "packagesource":
					// How two files about one source go together is not documented.
					if r.patterns[key] != nil {
						return errNotRead
					}
					r.patterns[key] = []string{}
				}
			case section == "packagesourcemapping" && len(open) == 4 && name == "package":
				if patterns++; patterns > maxSources {
					return errNotRead
				}
				r.patterns[mapped] = append(r.patterns[mapped], strings.ToLower(attr(t, "pattern")))
			}
		}
	}
}

// source reads one element of packageSources.
func (r *Sources) source(name, key, value string) {
	switch name {
	case "clear":
		clear(r.hosts)
	case "remove":
		delete(r.hosts, key)
	case "add":
		r.said = true
		r.hosts[key] = ""
		if strings.Contains(value, "://") && !strings.Contains(value, "%") {
			r.hosts[key] = ecosystem.Origin(nil, value).Host
		}
	}
}

// attr gives an attribute, "" if there is none.
func attr(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if strings.EqualFold(a.Name.Local, name) {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}
