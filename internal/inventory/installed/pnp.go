package installed

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/npmconfig"
)

// isPnP matches the files in which Yarn's Plug'n'Play says what is installed.
func isPnP(base, _ string) bool {
	return base == ".pnp.cjs" || base == ".pnp.data.json" || base == ".pnp.js"
}

// readPnP reads what Yarn 2 and newer install without node_modules (yarnpkg.com/advanced/pnp-spec): JSON, in
// .pnp.data.json or inside of the script .pnp.cjs, which is never run. Packages are listed under their own names,
// whatever aliases they are installed as.
func readPnP(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if path.Base(in.Rel) != ".pnp.data.json" {
		if b, err = pnpState(b); err != nil || b == nil {
			return err
		}
	}
	var state struct {
		// [[name, [[reference, …], …]], …]
		Packages []jsontext.Value `json:"packageRegistryData"`
	}
	if err := inventory.DecodeJSON(b, &state); err != nil {
		return err
	}
	if state.Packages == nil {
		return errors.New("has no packageRegistryData")
	}
	p := &pnp{List: inventory.NewList(ctx, out, "npm"), sent: map[[2]string]bool{}}
	p.config = npmconfig.Read(func(name string) ([]byte, bool) { return in.Sibling(name, npmconfig.MaxSize) })
	for _, entry := range state.Packages {
		if err := p.entry(entry); err != nil {
			return p.End(err)
		}
	}
	if p.odd > 0 {
		out.Send(rapsheet.Sighting{}, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: in.Path, Message: "entries that are not of the known form", Count: p.odd})
	}
	return p.End(nil)
}

// pnpState gives the JSON in the script, nil where the script takes it from the file beside it.
func pnpState(script []byte) ([]byte, error) {
	const hydrate = "hydrateRuntimeState("
	if _, rest, ok := bytes.Cut(script, []byte("RAW_RUNTIME_STATE =")); ok {
		return pnpString(bytes.TrimLeft(rest, " \t\r\n"))
	}
	for rest := script; ; {
		var ok bool
		if _, rest, ok = bytes.Cut(rest, []byte(hydrate)); !ok {
			return nil, errors.New("the list of packages was not found in it: not a script of Yarn 2 or newer that is known")
		}
		argument := bytes.TrimPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("JSON.parse("))
		switch {
		case bytes.HasPrefix(argument, []byte("fs.readFileSync(pnpDataFilepath")):
			return nil, nil
		case bytes.HasPrefix(argument, []byte("'")):
			return pnpString(argument)
		case bytes.HasPrefix(argument, []byte("{")): // before Yarn 3.1
			v, err := jsontext.NewDecoder(bytes.NewReader(argument), jsontext.AllowDuplicateNames(true)).ReadValue()
			return v, err
		}
	}
}

var errPnPString = errors.New("the list of packages in it does not end")

// pnpString reads the literal 'text' at the beginning of b (ECMA-262, 12.9.4). Yarn escapes with it nothing but quotes,
// backslashes and the ends of lines.
func pnpString(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != '\'' {
		return nil, errors.New("the list of packages in it is no text")
	}
	text := make([]byte, 0, len(b))
	for i := 1; i < len(b); i++ {
		switch c := b[i]; c {
		case '\'':
			return text, nil
		case '\n':
			return nil, errPnPString
		case '\\':
			if i++; i == len(b) {
				return nil, errPnPString
			}
			switch b[i] {
			case '\n':
			case '\r':
				if i+1 < len(b) && b[i+1] == '\n' {
					i++
				}
			case '\\', '\'', '"':
				text = append(text, b[i])
			case 'n':
				text = append(text, '\n')
			case 't':
				text = append(text, '\t')
			case 'u':
				if i+4 >= len(b) {
					return nil, errPnPString
				}
				r, err := strconv.ParseUint(string(b[i+1:i+5]), 16, 16)
				if err != nil {
					return nil, errors.New("the list of packages in it has an escape that is not known")
				}
				text = append(text, string(rune(r))...)
				i += 4
			default:
				return nil, errors.New("the list of packages in it has an escape that is not known")
			}
		default:
			text = append(text, c)
		}
	}
	return nil, errPnPString
}

// pnp sends the packages of one file, each once: a package with peers is listed once for each set of those.
type pnp struct {
	*inventory.List
	config *npmconfig.Registries
	sent   map[[2]string]bool
	odd    int
}

// entry sends the packages of [name, [[reference, …], …]].
func (p *pnp) entry(raw jsontext.Value) error {
	var pair []jsontext.Value
	var name string
	var references []jsontext.Value
	if inventory.DecodeJSON(raw, &pair) != nil || len(pair) != 2 || inventory.DecodeJSON(pair[1], &references) != nil {
		p.odd++
		return nil
	}
	if pair[0].Kind() == 'n' {
		return nil // the project
	}
	if inventory.DecodeJSON(pair[0], &name) != nil {
		p.odd++
		return nil
	}
	for _, raw := range references {
		var about []jsontext.Value
		var reference string
		if inventory.DecodeJSON(raw, &about) != nil || len(about) == 0 || inventory.DecodeJSON(about[0], &reference) != nil {
			p.odd++
			continue
		}
		if rest, ok := strings.CutPrefix(reference, "virtual:"); ok {
			_, reference, _ = strings.Cut(rest, "#")
		}
		if key := [2]string{name, reference}; !p.sent[key] {
			p.sent[key] = true
			if err := p.locator(name, reference, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// locator sends the package of a locator, name@reference (yarnpkg.com/advanced/lexicon, "Locator").
func (p *pnp) locator(name, reference string, depth int) error {
	protocol, rest, _ := strings.Cut(reference, ":")
	plain, parameters, _ := strings.Cut(rest, "::")
	switch protocol {
	case "workspace":
		if plain == "." {
			return nil
		}
		return p.Add(name, "", 0, inventory.Local(plain))
	case "link", "portal", "file":
		at, _, _ := strings.Cut(plain, "#")
		return p.Add(name, "", 0, inventory.Local(at))
	case "npm":
		ev := ecosystem.Origin(p.Ecosystem, reference)
		if ev.URL == "" {
			ev.Host = p.config.Host(name)
		}
		if err := p.Add(name, plain, 0, ev); err != nil {
			return err
		}
		// Yarn installs what the address leads to, whatever the package is listed as.
		if other, version, ok := ecosystem.NPMArchive(ev.URL); ok && (other != name || version != "" && version != plain) {
			return p.Add(other, version, 0, ev)
		}
		return nil
	case "patch": // a package from elsewhere, with changes
		source, _, _ := strings.Cut(plain, "#")
		source, err := url.PathUnescape(source)
		at := strings.LastIndexByte(source, '@')
		if i := strings.Index(source, "@npm:"); i > 0 {
			at = i
		}
		if err != nil || at <= 0 || depth > 3 {
			query, _ := url.ParseQuery(parameters)
			return p.Add(name, query.Get("version"), 0, rapsheet.Evidence{})
		}
		return p.locator(source[:at], source[at+1:], depth+1)
	}
	from, _, _ := strings.Cut(reference, "::")
	ev := ecosystem.Origin(p.Ecosystem, from)
	if other, version, ok := ecosystem.NPMArchive(ev.URL); ok {
		ev.Origin = rapsheet.OriginRegistry
		if other != name {
			if err := p.Add(name, "", 0, ev); err != nil {
				return err
			}
		}
		return p.Add(other, version, 0, ev)
	}
	return p.Add(name, "", 0, ev)
}
