package printable

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "left-pad 1.3.0", "left-pad 1.3.0"},
		{"empty", "", ""},
		{"backslash stays", `C:\x`, `C:\x`},
		{"letters of any script", "naïve 日本語 пакет 🙂", "naïve 日本語 пакет 🙂"},
		{"87 clear screen", "a\x1b[2Jb", `a\x1b[2Jb`},
		{"87 OSC 52 clipboard", "\x1b]52;c;ZWNobw==\a", `\x1b]52;c;ZWNobw==\x07`},
		{"87 OSC 8 link", "\x1b]8;;https://e.example\x1b\\x\x1b]8;;\x1b\\", `\x1b]8;;https://e.example\x1b\x\x1b]8;;\x1b\`},
		{"87 CR overwrites", "evil\rgood", `evil\rgood`},
		{"87 NUL, BS, DEL", "\x00\b\x7f", `\x00\x08\x7f`},
		{"87 C1 as UTF-8", "\u009b31m", `\u009b31m`},
		{"87 C1 as a byte", "\x9b31m", `\x9b31m`},
		{"87 bidi override", "a\u202eb", `a\u202eb`},
		{"87 bidi embeddings", "\u202a\u202b\u202c\u202d", `\u202a\u202b\u202c\u202d`},
		{"87 bidi isolates", "\u2066\u2067\u2068\u2069", `\u2066\u2067\u2068\u2069`},
		{"87 bidi marks", "\u200e\u200f\u061c", `\u200e\u200f\u061c`},
		{"87 zero-width", "a\u200b\u200c\u200d\u2060\ufeffb", `a\u200b\u200c\u200d\u2060\ufeffb`},
		{"87 soft hyphen, grapheme joiner", "a\u00ad\u034fb", `a\u00ad\u034fb`},
		{"87 Hangul fillers", "\u115f\u1160\u3164\uffa0", `\u115f\u1160\u3164\uffa0`},
		{"87 variation selectors", "a\ufe0fb\U000e0100", `a\ufe0fb\U000e0100`},
		{"87 tag characters", "\U000e0041", `\U000e0041`},
		{"87 combining flood", "a" + strings.Repeat("\u0300", 5), "a\u0300\u0300\u0300" + `\u0300\u0300`},
		{"87 mark without a base", "\u0301a\n\u0301", `\u0301a\n\u0301`},
		{"88 newline", "a\nb\r\nc\td", `a\nb\r\nc\td`},
		{"88 Unicode line ends", "\u0085\u2028\u2029", `\u0085\u2028\u2029`},
		{"GitHub command", "::add-mask::x", `:\x3aadd-mask::x`},
		{"GitHub command after spaces", "  ::stop-commands::x", `  :\x3astop-commands::x`},
		{"colons inside", "a::b https://x", "a::b https://x"},
		{"a colon first", ":a::b", ":a::b"},
		{"Azure Pipelines command", "a ##vso[task.setvariable]x", `a #\x23vso[task.setvariable]x`},
		{"TeamCity command", "##teamcity[x] ###", `#\x23teamcity[x] #\x23#`},
		{"spaces that are not a space", "a\u00a0b\u3000c", `a\u00a0b\u3000c`},
		{"private use", "\ue000\U0010fffd", `\ue000\U0010fffd`},
		{"unassigned and non-characters", "\u0378\uffff\U0001fffe", `\u0378\uffff\U0001fffe`},
		{"invalid UTF-8", "a\xff\xc3(\xed\xa0\x80", `a\xff\xc3(\xed\xa0\x80`},
		{"a real replacement character", "\ufffd", "\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Line(tt.in); got != tt.want {
				t.Errorf("Line(%+q)\n got %+q\nwant %+q", tt.in, got, tt.want)
			}
			if got := string(AppendLine([]byte("> "), tt.in)); got != "> "+tt.want {
				t.Errorf("AppendLine(%+q) = %+q", tt.in, got)
			}
		})
	}
}

func TestName(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"ASCII", "@scope/left-pad_2.0", "@scope/left-pad_2.0"},
		// A NuGet package of 2023 that posed as 2Captcha.API: the third letter is Cyrillic.
		{"66 Cyrillic а among ASCII letters", "2Cаptcha.API", "2Cа[U+0430]ptcha.API"},
		{"66 all Cyrillic, looks like paypal", "раураӏ", "р[U+0440]а[U+0430]у[U+0443]р[U+0440]а[U+0430]ӏ[U+04CF]"},
		{"66 Greek omicron", "gοοgle", "gο[U+03BF]ο[U+03BF]gle"},
		{"66 full-width", "ｅｖｉｌ", "ｅ[U+FF45]ｖ[U+FF56]ｉ[U+FF49]ｌ[U+FF4C]"},
		{"66 mathematical", "𝐞vil", "𝐞[U+1D41E]vil"},
		{"66 Unicode hyphen", "left\u2010pad", "left\u2010[U+2010]pad"},
		{"66 division slash", "@a\u2215b", "@a\u2215[U+2215]b"},
		{"an accent is shown too", "pokémon", "poké[U+00E9]mon"},
		{"a script of its own", "测试-2", "测试-2"},
		{"a script of its own with an ASCII word", "vue-测试", "vue-测[U+6D4B]试[U+8BD5]"},
		{"combining", "e\u0301vil", "e\u0301[U+0301]vil"},
		{"87 controls", "a\u202eb\x1b", `a\u202eb\x1b`},
		{"invalid UTF-8", "a\xff", `a\xff`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Name(tt.in); got != tt.want {
				t.Errorf("Name(%+q)\n got %+q\nwant %+q", tt.in, got, tt.want)
			}
		})
	}
	t.Run("ASCII without allocation", func(t *testing.T) {
		if n := testing.AllocsPerRun(100, func() { Name("@scope/left-pad"); Line("app/package-lock.json:12 #1") }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func TestCut(t *testing.T) {
	tests := []struct {
		name, in string
		n        int
		want     string
	}{
		{"short", "abc", 3, "abc"},
		{"ASCII", "abcdefgh", 6, "abc..."},
		{"characters, not bytes", "äöüäöüäö", 8, "äöüäöüäö"},
		{"cut characters", "äöüäöüäö", 7, "äöüä..."},
		{"an escape is not split", "ab\u202ecdef", 8, "ab..."},
		{"an escape counts as printed", "\u202e", 6, `\u202e`},
		{"no room", "abcdef", 0, "..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Cut(tt.in, tt.n); got != tt.want {
				t.Errorf("Cut(%+q, %d) = %+q, want %+q", tt.in, tt.n, got, tt.want)
			}
		})
	}
	t.Run("90 a megabyte costs little", func(t *testing.T) {
		s := strings.Repeat("\u202e", 1<<20)
		if n := testing.AllocsPerRun(3, func() { Cut(s, 100) }); n > 64 {
			t.Errorf("%v allocations", n)
		}
	})
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"left-pad", "a\x1b[2J\u202e\xff\u0300\u0300\u0300\u0300", "2Cаptcha.API", "\n\u0301", "\U000e0041", " ::a::b ####"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		for what, got := range map[string]string{"Line": Line(s), "Name": Name(s), "Cut": Cut(s, n)} {
			if !utf8.ValidString(got) {
				t.Fatalf("%s(%+q) = %+q is not UTF-8", what, s, got)
			}
			for _, r := range got {
				if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) {
					t.Fatalf("%s(%+q) = %+q has %U", what, s, got, r)
				}
			}
			if strings.Contains(got, "##") || strings.HasPrefix(strings.TrimLeft(got, " "), "::") {
				t.Fatalf("%s(%+q) = %+q is a command", what, s, got)
			}
			if again := Line(got); again != got {
				t.Fatalf("%s(%+q) = %+q, escaped again %+q", what, s, got, again)
			}
		}
		if got := Cut(s, n); utf8.RuneCountInString(got) > max(n, 3) {
			t.Fatalf("Cut(%+q, %d) = %+q is too long", s, n, got)
		}
	})
}

func TestLines(t *testing.T) {
	var got []string
	for l := range Lines("one\r\ntwo\x1b[2J\n\nthree") {
		got = append(got, l)
	}
	if want := []string{"one", Line("two\x1b[2J"), "", "three"}; !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
}
