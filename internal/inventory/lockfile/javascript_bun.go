package lockfile

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readBunLock reads bun.lock (bun.com/docs/pm/lockfile): JSON with trailing
// commas and comments. An entry of "packages" is a list that begins with
// "name@version" under the real name, whatever the key says:
//
//	["name@1.0.0", "registry or empty", {…}, "sha512-…"]     from a registry
//	["name@github:owner/repo#commit", {…}, "…"]              from elsewhere
func readBunLock(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	l := listNPM(ctx, in, out)
	return l.End(streamJSON(&jsoncReader{r: in.R}, func(j *jsonStream, key []byte, _ int) error {
		if string(key) != "packages" {
			return j.skip()
		}
		return j.object(func(key []byte, line int) error { return l.bunEntry(j, string(key), line) })
	}))
}

func (l *npmList) bunEntry(j *jsonStream, key string, line int) error {
	if j.dec.PeekKind() != '[' {
		return l.bad(j, key, line)
	}
	var spec, registry, integrity string
	fromRegistry := false
	err := j.array(func(i int) error {
		switch {
		case j.dec.PeekKind() != '"':
			return j.skip()
		case i == 0:
			return j.text(&spec)
		case i == 1:
			fromRegistry = true
			return j.text(&registry)
		}
		return j.text(&integrity)
	})
	if err != nil {
		return err
	}
	if spec == "" {
		return l.badEntry(key, line)
	}
	digests := ecosystem.Integrity(integrity)
	name, ref := nameAndVersion(spec)
	protocol, path, _ := strings.Cut(ref, ":")
	switch {
	case protocol == "root":
		return nil
	case protocol == "workspace" || protocol == "link" || protocol == "file":
		return l.Add(name, "", line, inventory.Local(path))
	case !fromRegistry || isSpecifier(ref):
		return l.resolved(name, "", ref, line, digests)
	case registry == "" || strings.Contains(registry, "/-/"):
		return l.resolved(name, ref, registry, line, digests)
	}
	ev := l.Registry(registry)
	ev.Digests = append(ev.Digests, digests...)
	return l.Add(name, ref, line, ev)
}

// readBunBinary stands for bun.lockb, which only Bun can read. Who moves to
// bun.lock is told to delete it (bun.com/docs/pm/lockfile), so one that was left
// behind beside a bun.lock is mentioned and no more.
func readBunBinary(_ context.Context, in *inventory.File, out *inventory.Sink) error {
	if in.HasSibling("bun.lock") {
		out.Note(rapsheet.NoteInfo, 0, "binary lockfile not read: the bun.lock beside it is")
		return nil
	}
	return errors.New("binary lockfile: run `bun install --save-text-lockfile` and scan the bun.lock it writes")
}

// jsoncReader turns JSON with comments and trailing commas into JSON, keeping
// every line where it is. A comma is held back until what follows it is known.
type jsoncReader struct {
	r     io.Reader
	in    [32 << 10]byte
	out   []byte // what is ready, from off on
	off   int
	state jsoncState
	comma bool
	err   error
}

type jsoncState uint8

const (
	jsoncPlain jsoncState = iota
	jsoncString
	jsoncEscape
	jsoncSlash
	jsoncLine
	jsoncBlock
	jsoncBlockStar
)

// Read implements [io.Reader].
func (c *jsoncReader) Read(p []byte) (int, error) {
	for c.off == len(c.out) {
		if c.err != nil {
			return 0, c.err
		}
		var n int
		n, c.err = c.r.Read(c.in[:])
		c.out, c.off = c.out[:0], 0
		for _, b := range c.in[:n] {
			c.put(b)
		}
		if c.err != nil && c.state == jsoncSlash {
			c.out = append(c.out, '/')
		}
	}
	n := copy(p, c.out[c.off:])
	c.off += n
	return n, nil
}

func (c *jsoncReader) put(b byte) {
	switch c.state {
	case jsoncString:
		if b == '\\' {
			c.state = jsoncEscape
		} else if b == '"' {
			c.state = jsoncPlain
		}
		c.out = append(c.out, b)
	case jsoncEscape:
		c.state = jsoncString
		c.out = append(c.out, b)
	case jsoncLine:
		if b == '\n' {
			c.state = jsoncPlain
			c.out = append(c.out, b)
		}
	case jsoncBlock, jsoncBlockStar:
		switch {
		case b == '\n':
			c.out = append(c.out, b)
			c.state = jsoncBlock
		case b == '/' && c.state == jsoncBlockStar:
			c.state = jsoncPlain
			c.out = append(c.out, ' ')
		case b == '*':
			c.state = jsoncBlockStar
		default:
			c.state = jsoncBlock
		}
	case jsoncSlash:
		switch b {
		case '/':
			c.state = jsoncLine
		case '*':
			c.state = jsoncBlock
		default:
			c.state = jsoncPlain
			c.significant('/')
			c.put(b)
		}
	default:
		switch b {
		case ' ', '\t', '\r', '\n':
			c.out = append(c.out, b)
		case '/':
			c.state = jsoncSlash
		case ',':
			c.significant(0)
			c.comma = true
		case '"':
			c.state = jsoncString
			c.significant(b)
		default:
			c.significant(b)
		}
	}
}

// significant writes b (unless it is 0) behind the comma held back; a comma before a closing bracket is dropped.
func (c *jsoncReader) significant(b byte) {
	if c.comma && b != '}' && b != ']' {
		c.out = append(c.out, ',')
	}
	c.comma = false
	if b != 0 {
		c.out = append(c.out, b)
	}
}
