package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/claim"
)

func TestCheckText(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string
		bad   bool
	}{
		{"nothing", nil, false},
		{"empty", []string{""}, false},
		{"controls and look-alikes", []string{"\x1b[2J", "\u202e", "\ufeff", "аdmin"}, false},
		{"highest code point", []string{"\U0010ffff"}, false},
		{"NUL/bad-inputs 96", []string{"a", "b\x00"}, true},
		{"cut sequence", []string{"\xc3"}, true},
		{"overlong NUL", []string{"\xc0\x80"}, true}, // RFC 3629, section 3
		{"surrogate", []string{"\xed\xa0\x80"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckText("name", c.texts...)
			if errors.Is(err, ErrText) != c.bad {
				t.Errorf("error is %v, want one: %v", err, c.bad)
			}
			if err != nil && (!strings.HasPrefix(err.Error(), "name ") || strings.ContainsAny(err.Error(), "\x00\x1b")) {
				t.Errorf("error is %q, want what it is about and no raw bytes", err)
			}
		})
	}
}

func TestDistinctKeys(t *testing.T) {
	in := []rapsheet.Key{{Ecosystem: "npm", Name: "b"}, {Ecosystem: "PyPI", Name: "z"}, {Ecosystem: "npm", Name: "a"}, {Ecosystem: "npm", Name: "b"}, {}}
	before := slices.Clone(in)
	got, err := DistinctKeys(in)
	want := []rapsheet.Key{{}, {Ecosystem: "PyPI", Name: "z"}, {Ecosystem: "npm", Name: "a"}, {Ecosystem: "npm", Name: "b"}} // "P" < "n"
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("keys are %v, %v; want %v", got, err, want)
	}
	if !slices.Equal(in, before) {
		t.Errorf("the caller's keys became %v", in)
	}
	for _, bad := range []rapsheet.Key{{Ecosystem: "npm\x00", Name: "a"}, {Ecosystem: "npm", Name: "\xff"}} {
		if _, err := DistinctKeys(append(in, bad)); !errors.Is(err, ErrText) {
			t.Errorf("%q: %v, want ErrText", bad, err)
		}
	}
}

func TestStatement(t *testing.T) {
	good := claim.Claim{Ref: "r", Ecosystem: "npm", Name: "a", Details: `C:\u0000`, Published: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)}
	b, err := Statement(&good)
	want, err2 := good.Marshal()
	if err != nil || err2 != nil || string(b) != string(want) {
		t.Errorf("statement is %s, %v; want %s, %v", b, err, want, err2)
	}
	for _, c := range []struct {
		name   string
		change func(*claim.Claim)
		text   bool // the text is what is wrong
	}{
		{"NUL", func(c *claim.Claim) { c.Details = "a\x00" }, true},
		{"NUL behind a backslash", func(c *claim.Claim) { c.Versions = []string{"\\\x00"} }, true},
		{"not UTF-8", func(c *claim.Claim) { c.Summary = "\xff" }, true},
		{"year 10000", func(c *claim.Claim) { c.Modified = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, false}, // RFC 3339 has four digits
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			c.change(&bad)
			if _, err := Statement(&bad); err == nil || errors.Is(err, ErrText) != c.text {
				t.Errorf("error is %v, want one about text: %v", err, c.text)
			}
		})
	}
}

func TestHasNUL(t *testing.T) {
	for in, want := range map[string]bool{
		``: false, `"a"`: false, `"\u0000"`: true, `"a\u0000b"`: true, `"\\u0000"`: false, `"\\\u0000"`: true, `"\\\\u0000"`: false,
		`"\\u0000\u0000"`: true, `"\u00001"`: true, `"\u0001"`: false, `"u0000"`: false,
	} {
		if got := hasNUL([]byte(in)); got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

// hasNUL agrees with a JSON parser, whatever the string.
func FuzzHasNUL(f *testing.F) {
	for _, s := range []string{"", "\x00", `\u0000`, `\\u0000`, "\\\x00", `\` + "\x00" + `\u0000`, "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := jsontext.AppendQuote(nil, s)
		if err != nil {
			return
		}
		if got, want := hasNUL(b), strings.Contains(s, "\x00"); got != want {
			t.Errorf("%s: %v, want %v", b, got, want)
		}
	})
}
