package pythonconfig

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

const (
	pypi = "https://pypi.org/simple"
	// maxNesting and maxDots bound the depth of a file, and the dots in a line of it.
	maxNesting = 64
	maxDots    = 4096
)

// table is a TOML table. Like a nil map, a nil one has nothing in it.
type table map[string]any

// readTOML gives a file's tables; one that is none, or that is too deep, has nothing in it.
func readTOML(b []byte) table {
	doc := map[string]any{}
	if bounded.Deep(b, maxNesting, maxDots) || toml.Unmarshal(b, &doc) != nil {
		return nil
	}
	return doc
}

func (t table) text(key string) string {
	s, _ := t[key].(string)
	return s
}

func (t table) is(key string) bool {
	b, _ := t[key].(bool)
	return b
}

func (t table) table(key string) table {
	m, _ := t[key].(map[string]any)
	return m
}

// tables gives the tables of an array, however it is written.
func (t table) tables(key string) []table {
	var all []table
	switch list := t[key].(type) {
	case []map[string]any:
		for _, m := range list {
			all = append(all, m)
		}
	case []any:
		for _, v := range list {
			if m, ok := v.(map[string]any); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

// list gives the texts of an array; something else in it is a text that is no URL.
func (t table) list(key string) []string {
	v, ok := t[key].([]any)
	if !ok {
		return nil
	}
	all := make([]string, len(v))
	for i := range v {
		all[i], _ = v[i].(string)
	}
	return all
}

// readUv reads the settings of uv (docs.astral.sh/uv/concepts/indexes, docs.astral.sh/uv/reference/settings), those that
// go before others first, and the environment, which goes before all. uv takes a package from the first index that has it, so
// every one of them may be where it came from; one that is explicit is, for the packages that name it.
func readUv(getenv func(string) string, settings ...table) *Indexes {
	p := &Indexes{}
	def := ""
	set := func(url string) {
		if def == "" && url != "" {
			def = url
		}
	}
	// An index may be written as name=url.
	plain := func(v string) string {
		if name, url, ok := strings.Cut(v, "="); ok && !strings.ContainsAny(name, ":/") {
			return url
		}
		return v
	}
	set(plain(getenv("UV_DEFAULT_INDEX")))
	set(getenv("UV_INDEX_URL"))
	for _, name := range []string{"UV_INDEX", "UV_EXTRA_INDEX_URL"} {
		for _, v := range strings.Fields(getenv(name)) {
			p.further(plain(v))
		}
	}
	p.others = p.others || getenv("UV_FIND_LINKS") != "" || isTrue(getenv("UV_NO_INDEX"))
	for _, t := range settings {
		for _, index := range t.tables("index") {
			if index.is("default") {
				set(index.text("url"))
			} else {
				p.further(index.text("url"))
			}
		}
	}
	for _, t := range settings {
		set(t.text("index-url"))
		// [pip] is for "uv pip" only: who installed something is not known so well.
		for _, t := range []table{t, t.table("pip")} {
			for _, url := range t.list("extra-index-url") {
				p.further(url)
			}
			p.others = p.others || len(t.list("find-links")) > 0 || t.is("no-index")
		}
		if url := t.table("pip").text("index-url"); url != "" {
			p.further(url)
		}
	}
	if def != "" {
		p.setIndex(def)
	}
	return p
}

// readPoetry reads [[tool.poetry.source]] (python-poetry.org/docs/repositories). A source with the priority "default" takes
// the place of PyPI, and since Poetry 1.8 so does any primary one (github.com/python-poetry/poetry/pull/8771).
func readPoetry(t table, version string) *Indexes {
	sources := t.tables("source")
	if len(sources) == 0 {
		return nil
	}
	p := &Indexes{}
	instead := false
	var primary []string
	for _, source := range sources {
		url, priority := source.text("url"), strings.ToLower(source.text("priority"))
		if url == "" && strings.EqualFold(source.text("name"), "pypi") {
			url = pypi
		}
		switch {
		case priority == "default", priority == "" && source.is("default"):
			instead = true
			primary = append(primary, url)
		case priority == "primary", priority == "" && !source.is("secondary"):
			instead = instead || since(version, 1, 8)
			primary = append(primary, url)
		default:
			p.further(url)
		}
	}
	if !instead {
		p.further(pypi)
	}
	for i, url := range primary {
		if i == 0 && instead {
			p.setIndex(url)
		} else {
			p.further(url)
		}
	}
	return p
}

// since reports whether a version is major.minor or later.
func since(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(first)
	y, err2 := strconv.Atoi(second)
	return err == nil && err2 == nil && (x > major || x == major && y >= minor)
}

// readPdm reads [[tool.pdm.source]] (pdm-project.org/latest/usage/config, "Configure the package indexes"): the source called
// pypi is in place of PyPI, others are beside it.
func readPdm(t table) *Indexes {
	sources := t.tables("source")
	if len(sources) == 0 {
		return nil
	}
	p := &Indexes{}
	for _, source := range sources {
		switch {
		case source.text("type") == "find_links":
			p.others = true
		case source.text("name") == "pypi":
			p.setIndex(source.text("url"))
		default:
			p.further(source.text("url"))
		}
	}
	return p
}

// readPipenv reads the [[source]] of a Pipfile (pipenv.pypa.io/en/latest/indexes.html): no other index counts.
func readPipenv(t table) *Indexes {
	sources := t.tables("source")
	if len(sources) == 0 {
		return nil
	}
	p := &Indexes{}
	for i, source := range sources {
		if i == 0 {
			p.setIndex(source.text("url"))
		} else {
			p.further(source.text("url"))
		}
	}
	return p
}
