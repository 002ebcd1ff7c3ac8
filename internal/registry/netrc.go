package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// maxNetrc and maxNetrcTokens bound a netrc file, in bytes and words.
const (
	maxNetrc       = 1 << 20
	maxNetrcTokens = 100_000
)

var errNetrc = errors.New("not a netrc file")

// login is a user and a password.
type login struct{ user, password string }

// netrcFile reads the login for host from the file at path; a file that is not there has none. Errors name the
// file and nothing that is in it.
func netrcFile(path, host string) (login, bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return login{}, false, nil
	}
	if err != nil {
		return login{}, false, err
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, maxNetrc, "the netrc file")
	if err != nil {
		return login{}, false, fmt.Errorf("%s: %w", path, err)
	}
	l, ok, err := netrc(string(data), host)
	if err != nil {
		return login{}, false, fmt.Errorf("%s: %w", path, err)
	}
	return l, ok, nil
}

// netrc gives the login of the first entry for host, or of the default entry before it
// (https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html; curl's lib/netrc.c for
// quotes, comments and for a macro's end at an empty line). host is a name without a port.
func netrc(text, host string) (l login, ok bool, err error) {
	words := netrcWords{text: text}
	var entry *login
	matched := false
	for n := 0; ; n++ {
		word, more := words.next()
		switch {
		case words.bad || n > maxNetrcTokens:
			return login{}, false, errNetrc
		case !more:
			if entry != nil {
				return *entry, true, nil
			}
			return login{}, false, nil
		}
		switch word {
		case "machine", "default":
			if entry != nil {
				return *entry, true, nil
			}
			matched = word == "default"
			if word == "machine" {
				name, more := words.next()
				if !more {
					return login{}, false, errNetrc
				}
				matched = strings.EqualFold(name, host)
			}
			if matched {
				entry = &login{}
			}
		case "login", "password", "account":
			value, more := words.next()
			if !more || words.bad {
				return login{}, false, errNetrc
			}
			if entry != nil && word == "login" {
				entry.user = value
			}
			if entry != nil && word == "password" {
				entry.password = value
			}
		case "macdef":
			words.skipMacro()
		default:
			return login{}, false, errNetrc
		}
	}
}

type netrcWords struct {
	text string
	bad  bool // a quote without an end, or a control character
}

// next gives the next word; "#" begins a comment where a word could begin.
func (w *netrcWords) next() (string, bool) {
	for {
		w.text = strings.TrimLeft(w.text, " \t\r\n")
		if !strings.HasPrefix(w.text, "#") {
			break
		}
		_, w.text, _ = strings.Cut(w.text, "\n")
	}
	if w.text == "" {
		return "", false
	}
	if w.text[0] != '"' {
		end := strings.IndexAny(w.text, " \t\r\n")
		if end < 0 {
			end = len(w.text)
		}
		word := w.text[:end]
		w.text = w.text[end:]
		w.check(word)
		return word, true
	}
	var b strings.Builder
	for i := 1; i < len(w.text); i++ {
		switch ch := w.text[i]; ch {
		case '"':
			w.text = w.text[i+1:]
			w.check(b.String())
			return b.String(), true
		case '\\':
			if i++; i < len(w.text) {
				b.WriteByte(w.text[i])
			}
		default:
			b.WriteByte(ch)
		}
	}
	w.bad = true
	return "", false
}

func (w *netrcWords) check(word string) {
	for i := range len(word) {
		if word[i] < ' ' || word[i] == 0x7f {
			w.bad = true
		}
	}
}

// skipMacro leaves out the macro's name and its text, which ends at an empty line.
func (w *netrcWords) skipMacro() {
	for {
		_, rest, more := strings.Cut(w.text, "\n")
		if !more {
			w.text = ""
			return
		}
		w.text = rest
		if next, _, _ := strings.Cut(rest, "\n"); strings.TrimRight(next, "\r") == "" {
			return
		}
	}
}

// netrcPath is the file that NETRC names, or ~/.netrc; "" when there is no home either.
func netrcPath(getenv func(string) string) string {
	if p := getenv("NETRC"); p != "" {
		return p
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".netrc")
	}
	return ""
}
