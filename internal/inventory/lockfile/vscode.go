package lockfile

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isExtensions matches the recommendations of a workspace.
func isExtensions(base, file string) bool {
	return base == "extensions.json" && path.Base(path.Dir(file)) == ".vscode"
}

// readExtensions reads .vscode/extensions.json
// (https://code.visualstudio.com/docs/configure/extensions/extension-marketplace#_workspace-recommended-extensions):
// extensions that the editor proposes to everyone who opens the folder, by
// publisher.name, without versions.
func readExtensions(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "VSCode")
	err = readJSON(plainJSON(b), func(d *document, key string) error {
		if key != "recommendations" {
			return d.skip()
		}
		return d.array(func() error {
			var id string
			if err := d.text(&id); err != nil {
				return err
			}
			if publisher, name, ok := strings.Cut(id, "."); !ok || publisher == "" || name == "" {
				id = ""
			}
			return l.Add(id, "", d.line(), rapsheet.Evidence{})
		})
	})
	return l.End(err)
}

// plainJSON blanks what editors' configuration files may hold beyond JSON:
// comments, and a comma before a closing bracket. Lines and offsets stay.
func plainJSON(b []byte) []byte {
	out := bytes.Clone(b)
	comma := -1 // offset of a comma after which nothing of substance came
	for i := 0; i < len(out); {
		switch c := out[i]; {
		case c == '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
			i++
		case c == '/' && i+1 < len(out) && out[i+1] == '/':
			for ; i < len(out) && out[i] != '\n'; i++ {
				out[i] = ' '
			}
		case c == '/' && i+1 < len(out) && out[i+1] == '*':
			end := bytes.Index(out[i+2:], []byte("*/"))
			if end < 0 {
				return out // the parser will refuse it
			}
			for stop := i + 2 + end + 2; i < stop; i++ {
				if out[i] != '\n' {
					out[i] = ' '
				}
			}
		default:
			switch c {
			case ',':
				comma = i
			case ']', '}':
				if comma >= 0 {
					out[comma] = ' '
				}
				comma = -1
			case ' ', '\t', '\r', '\n':
			default:
				comma = -1
			}
			i++
		}
	}
	return out
}
