package osv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits bound what reading one record may cost. A field that is zero or
// negative has its default. Sizes are in bytes.
type Limits struct {
	// Input is how much may be read at all, clipped or not; 256 MiB.
	Input int64
	// Document is how large the record may be after clipping; 8 MiB.
	Document int64
	// Text is how long a free text may be (summary, details, URLs, credits,
	// strings in unknown members), decoded; 64 KiB. A longer one is cut and ends
	// in [ClipMarker]. It is at least Identifier and 64.
	Text int
	// Identifier is how long an identifier may be (id, alias, ecosystem, name,
	// purl, version, event, …) and the name of a member; 1 KiB. A longer one makes the
	// document unusable.
	Identifier int
	// Versions is how many versions one affected entry may list, and how many
	// strings any other list may have; 100,000.
	Versions int
	// Objects is how many affected entries, ranges, events, references, credits
	// and severities a record may have together; 100,000.
	Objects int
	// Depth is how many arrays and objects may be open at once; 64.
	Depth int
	// Unknown is how large a member may be that is kept as it is: an unknown
	// one, database_specific or ecosystem_specific; 1 MiB without white space. A larger one
	// is left out.
	Unknown int
	// Now is the time after which timestamps are flagged; the zero time means [time.Now].
	Now time.Time
}

// DefaultLimits gives the limits that [Parse] uses.
func DefaultLimits() Limits {
	return Limits{
		Input:      256 << 20,
		Document:   8 << 20,
		Text:       64 << 10,
		Identifier: 1 << 10,
		Versions:   100_000,
		Objects:    100_000,
		Depth:      64,
		Unknown:    1 << 20,
	}
}

// filled gives l with defaults where it says nothing.
func (l Limits) filled() Limits {
	d := DefaultLimits()
	if l.Input <= 0 {
		l.Input = d.Input
	}
	if l.Document <= 0 {
		l.Document = d.Document
	}
	if l.Text <= 0 {
		l.Text = d.Text
	}
	if l.Identifier <= 0 {
		l.Identifier = d.Identifier
	}
	if l.Versions <= 0 {
		l.Versions = d.Versions
	}
	if l.Objects <= 0 {
		l.Objects = d.Objects
	}
	if l.Depth <= 0 {
		l.Depth = d.Depth
	}
	if l.Unknown <= 0 {
		l.Unknown = d.Unknown
	}
	if l.Now.IsZero() {
		l.Now = time.Now()
	}
	l.Text = max(l.Text, l.Identifier, 64)
	return l
}

// FlagKind classifies a [Flag].
type FlagKind string

// Kinds of flags.
const (
	FlagCut       FlagKind = "cut"       // a text is shorter than the document said
	FlagReplaced  FlagKind = "replaced"  // characters that no text may have became U+FFFD
	FlagDropped   FlagKind = "dropped"   // a member or mark of the document is not in the record
	FlagNamed     FlagKind = "named"     // the id comes from the file name, or differs from it
	FlagUnknown   FlagKind = "unknown"   // a member, type or schema version that this package does not know; kept
	FlagEcosystem FlagKind = "ecosystem" // an ecosystem that the schema does not list; kept, and matched by nobody
	FlagTime      FlagKind = "time"      // a timestamp that is missing, in the future, not in UTC, or out of order; kept
	FlagOdd       FlagKind = "odd"       // something else that is legal and strange; kept
)

// Flag is something that the user of a record should know and that did not make
// the document unusable.
type Flag struct {
	Kind FlagKind
	// Pointer is a JSON pointer (RFC 6901) into the document, "" for all of it.
	Pointer string
	// Message is one printable line.
	Message string
}

// String gives the flag as one printable line.
func (f Flag) String() string { return line(f.Pointer, f.Message) }

// maxFlags is how many flags a record may have; a last one counts the rest.
const maxFlags = 100

// Parse reads a record from data with the default limits. See [Read].
func Parse(data []byte) (*Record, []Flag, error) {
	return parse(data, "", DefaultLimits().filled())
}

// ParseNamed is [ReadNamed] for a document in memory; the record does not refer to data.
func ParseNamed(data []byte, name string, lim Limits) (*Record, []Flag, error) {
	return parse(data, name, lim.filled())
}

// Read reads one record from r up to its end. What it cut, replaced or found odd
// is in the flags, at most 101 of them.
//
// An error is [Problems] when the document cannot be a record (then there is no
// record, not even part of one), and otherwise wraps the error of r. Memory
// depends on lim and not on the size of the input.
func Read(r io.Reader, lim Limits) (*Record, []Flag, error) {
	return ReadNamed(r, "", lim)
}

// ReadNamed is [Read] for a document that came in a file of the given name (or
// slash-separated path). The malicious-packages repository keeps reports that
// have no number yet in files named MAL-0000-<anything>.json with an empty id
// (https://github.com/ossf/malicious-packages, "MAL-0000"): such a record gets the
// name without ".json" as its id, and a flag.
func ReadNamed(r io.Reader, name string, lim Limits) (*Record, []Flag, error) {
	lim = lim.filled()
	// A document that is small is read whole: no part of it can exceed a limit of bytes.
	small := smallest(lim)
	var head bytes.Buffer
	switch r := r.(type) {
	case *bytes.Reader:
		head.Grow(min(r.Len(), small) + bytes.MinRead)
	case *strings.Reader:
		head.Grow(min(r.Len(), small) + bytes.MinRead)
	}
	if _, err := head.ReadFrom(io.LimitReader(r, int64(small)+1)); err != nil {
		return nil, nil, &readError{err}
	}
	if head.Len() <= small {
		return parse(head.Bytes(), name, lim)
	}
	return stream(io.MultiReader(&head, r), name, lim)
}

// formatDepth is how deep the format itself nests: record, affected, entry,
// ranges, range, events, event.
const formatDepth = 7

// smallest gives the size up to which no limit of bytes on a part can be exceeded.
func smallest(lim Limits) int {
	if lim.Depth < formatDepth {
		return 0
	}
	return int(min(lim.Input, lim.Document, int64(lim.Text), int64(lim.Unknown)))
}

// parse reads data the short way if it can: in place, with a decoder that
// refuses all that needs care. When that fails, for whatever reason, the long way decides.
func parse(data []byte, name string, lim Limits) (*Record, []Flag, error) {
	if len(data) <= smallest(lim) {
		w := walker{lim: lim, strict: true}
		body, marked := bytes.CutPrefix(data, []byte(byteOrderMark))
		if marked {
			w.flagMark()
		}
		if err := json.Unmarshal(body, (*document)(&w)); err == nil {
			return w.finish(name)
		}
	}
	return stream(bytes.NewReader(data), name, lim)
}

const byteOrderMark = "\xef\xbb\xbf"

func (w *walker) flagMark() { w.flag(FlagDropped, "", "byte order mark at the start") }

// document lets [json.Unmarshal], which keeps decoders for reuse, drive a walker.
type document walker

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (d *document) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	w := (*walker)(d)
	w.d = dec
	return w.readRecord(&w.rec)
}

// stream reads a record through a clipper.
func stream(r io.Reader, name string, lim Limits) (*Record, []Flag, error) {
	var first [4]byte
	n, err := io.ReadFull(r, first[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, &readError{err}
	}
	head := first[:n]
	w := walker{lim: lim}
	switch {
	case n == 0:
		return nil, nil, problem("", "empty")
	case bytes.HasPrefix(head, []byte(byteOrderMark)):
		w.flagMark()
		w.bom = int64(len(byteOrderMark))
		head = head[w.bom:]
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}),
		n >= 2 && (head[0] == 0) != (head[1] == 0), n == 4 && head[0] == 0 && head[1] == 0:
		return nil, nil, problem("", "not UTF-8: looks like UTF-16 or UTF-32")
	}
	w.clip = newClipper(io.MultiReader(bytes.NewReader(head), r), lim)
	// Duplicates are found here and not by the decoder: it would remember the
	// names of a huge member that is about to be left out.
	w.d = jsontext.NewDecoder(w.clip, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := w.document(); err != nil {
		return nil, nil, err
	}
	return w.finish(name)
}

// walker builds a record from tokens. It descends where the format does, so its
// depth is fixed; unknown members are copied by a loop.
type walker struct {
	d    *jsontext.Decoder
	lim  Limits
	rec  Record
	clip *clipper // nil when strict
	bom  int64    // bytes in front of the clipper's input
	// strict says that the decoder refuses duplicate names and invalid UTF-8,
	// that no string or member can be too long, and that an error leads to
	// another attempt, so its text does not matter.
	strict  bool
	cut     int   // index of the next cut
	skipped int64 // bytes of the clipper's output left out
	objects int
	flags   []Flag
	more    int // flags beyond maxFlags
	scratch []byte
}

// errRetry ends a strict attempt.
var errRetry = errors.New("needs the long way")

func (w *walker) flag(kind FlagKind, pointer, format string, args ...any) {
	if len(w.flags) >= maxFlags {
		w.more++
		return
	}
	w.flags = append(w.flags, Flag{kind, pointer, fmt.Sprintf(format, args...)})
}

// document reads the only value of a document.
func (w *walker) document() error {
	switch w.d.PeekKind() {
	case '{':
	case 'n':
		return problem("", "null is not an object")
	case '[':
		return problem("", "an array is not an object: want one record per document")
	case 0:
		if _, err := w.d.ReadToken(); errors.Is(err, io.EOF) {
			return problem("", "empty")
		} else if err != nil {
			return w.syntax(err)
		}
	default:
		return problem("", "not an object")
	}
	if err := w.readRecord(&w.rec); err != nil {
		return err
	}
	if k := w.d.PeekKind(); k != 0 {
		return problem("", "more data behind the record at byte %d", w.offset())
	}
	if _, err := w.d.ReadToken(); !errors.Is(err, io.EOF) {
		if perr := w.source(err); perr != nil {
			return perr
		}
		return problem("", "more data behind the record at byte %d", w.offset())
	}
	return nil
}

// finish names, checks and returns the record.
func (w *walker) finish(name string) (*Record, []Flag, error) {
	r := &w.rec
	if name != "" {
		w.nameRecord(name)
	}
	c := checker{lim: w.lim, flag: w.flag}
	c.record(r)
	if len(c.problems) > 0 {
		return nil, nil, c.problems
	}
	if w.more > 0 {
		w.flags = append(w.flags, Flag{FlagOdd, "", fmt.Sprintf("%d more flags", w.more)})
	}
	rec := *r
	return &rec, w.flags, nil
}

// nameRecord gives the record the id that a file name says, if it has none.
func (w *walker) nameRecord(name string) {
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	id, ok := strings.CutSuffix(base, ".json")
	if !ok || !validID(id) {
		return
	}
	switch {
	case w.rec.ID == "" && strings.HasPrefix(id, "MAL-0000-"):
		w.rec.ID = id
		w.flag(FlagNamed, "/id", "no id in the document: %s is from the file name", id)
	case w.rec.ID != "" && w.rec.ID != id:
		w.flag(FlagNamed, "/id", "the id %s is not the file name %s", show(w.rec.ID), id)
	}
}

// offset gives how many bytes of the source came before the decoder's place.
func (w *walker) offset() int64 {
	n := w.d.InputOffset()
	if w.clip != nil {
		n = w.clip.offset(n)
	}
	return w.bom + n
}

// pointer names the value read last.
func (w *walker) pointer() string { return string(w.d.StackPointer()) }

// fail makes the error about the value read last.
func (w *walker) fail(format string, args ...any) error {
	if w.strict {
		return errRetry
	}
	return problem(w.pointer(), format, args...)
}

// source gives the error of the clipper or of the source in err, if it is one.
func (w *walker) source(err error) error {
	var p Problems
	if errors.As(err, &p) {
		if p[0].Pointer == "" {
			return problem(w.pointer(), "%s", p[0].Message)
		}
		return p
	}
	var r *readError
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// syntax explains an error of the decoder.
func (w *walker) syntax(err error) error {
	if w.strict {
		return errRetry
	}
	if serr := w.source(err); serr != nil {
		return serr
	}
	var s *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return problem(w.pointer(), "truncated: the document ends after %d bytes", w.bom+w.clip.read)
	case errors.As(err, &s):
		return problem(string(s.JSONPointer), "%s at byte %d", printable(s.Err.Error()), w.bom+w.clip.offset(s.ByteOffset))
	}
	return problem(w.pointer(), "%s", printable(err.Error()))
}

// want reports the value ahead as not what it should be, and reads its start.
func (w *walker) want(what string) error {
	if w.strict {
		return errRetry
	}
	k := w.d.PeekKind()
	switch k {
	case 0, '{', '[', ']', '}':
		if _, err := w.d.ReadToken(); err != nil {
			return w.syntax(err)
		}
		return w.fail("want %s, got %s", what, kindName(k))
	}
	raw, err := w.d.ReadValue()
	if err != nil {
		return w.syntax(err)
	}
	return w.fail("want %s, got %s %s", what, kindName(k), show(string(raw)))
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "the string"
	case '0':
		return "the number"
	case 't', 'f', 'n':
		return "the literal"
	}
	return "something else"
}

// null takes a null for a member that is not given.
func (w *walker) null() (bool, error) {
	if w.d.PeekKind() != 'n' {
		return false, nil
	}
	if _, err := w.d.ReadToken(); err != nil {
		return false, w.syntax(err)
	}
	w.flag(FlagDropped, w.pointer(), "null, taken as not given")
	return true, nil
}

// budget holds the part of the document that is kept against its limit.
func (w *walker) budget() error {
	if !w.strict && w.d.InputOffset()-w.skipped > w.lim.Document {
		return w.fail("the document is larger than the limit of %d bytes", w.lim.Document)
	}
	return nil
}

// object reads an object. The name given to member is valid until it reads.
func (w *walker) object(member func(name []byte) error) error {
	if w.d.PeekKind() != '{' {
		return w.want("an object")
	}
	if _, err := w.d.ReadToken(); err != nil {
		return w.syntax(err)
	}
	var seen map[string]struct{}
	for w.d.PeekKind() != '}' {
		name, err := w.name()
		if err != nil {
			return err
		}
		if !w.strict {
			if _, twice := seen[string(name)]; twice {
				return w.fail("duplicate member %s", show(string(name)))
			}
			if seen == nil {
				seen = make(map[string]struct{})
			}
			seen[string(name)] = struct{}{}
		}
		if err := member(name); err != nil {
			return err
		}
		if err := w.budget(); err != nil {
			return err
		}
	}
	if _, err := w.d.ReadToken(); err != nil {
		return w.syntax(err)
	}
	return nil
}

// name reads the name of a member.
func (w *walker) name() ([]byte, error) {
	if w.d.PeekKind() != '"' {
		// A token, because a value may be large.
		if _, err := w.d.ReadToken(); err != nil {
			return nil, w.syntax(err)
		}
		return nil, w.fail("want the name of a member")
	}
	raw, err := w.d.ReadValue()
	if err != nil {
		return nil, w.syntax(err)
	}
	name, broken, err := w.unquote(raw)
	switch {
	case err != nil:
		return nil, err
	case w.wasCut() != nil || len(name) > w.lim.Identifier:
		return nil, w.fail("a member name is longer than the limit of %d bytes: %s", w.lim.Identifier, show(string(name)))
	case broken:
		return nil, w.fail("a member name is not valid UTF-8: %s", show(string(name)))
	case bytes.IndexByte(name, 0) >= 0:
		return nil, w.fail("a member name has a NUL: %s", show(string(name)))
	}
	return name, nil
}

// unquote decodes a string. The result is valid until the next read. Broken
// strings have characters that are not UTF-8 or half a surrogate pair; they are U+FFFD in the result.
func (w *walker) unquote(raw []byte) (s []byte, broken bool, err error) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false, w.fail("want a string, got %s", show(string(raw)))
	}
	plain := raw[1 : len(raw)-1]
	if bytes.IndexByte(plain, '\\') < 0 && (w.strict || utf8.Valid(plain)) {
		return plain, false, nil
	}
	// The decoder has checked the rest of the syntax: an error is about UTF-8.
	w.scratch, err = jsontext.AppendUnquote(w.scratch[:0], raw)
	return w.scratch, err != nil, nil
}

// wasCut gives the cut in the string read last, nil if it is whole.
func (w *walker) wasCut() *cut {
	if w.clip == nil {
		return nil
	}
	end := w.d.InputOffset()
	for ; w.cut < len(w.clip.cuts); w.cut++ {
		k := &w.clip.cuts[w.cut]
		if k.end > end {
			break
		}
		if k.end == end && k.text > 0 {
			w.cut++
			return k
		}
	}
	return nil
}

// str reads a string.
func (w *walker) str(what string) (s []byte, broken bool, c *cut, err error) {
	if w.d.PeekKind() != '"' {
		return nil, false, nil, w.want(what)
	}
	raw, err := w.d.ReadValue()
	if err != nil {
		return nil, false, nil, w.syntax(err)
	}
	s, broken, err = w.unquote(raw)
	return s, broken, w.wasCut(), err
}

// identifier reads a string that must be exactly what its author wrote.
func (w *walker) identifier() (string, error) {
	s, broken, c, err := w.str("a string")
	switch {
	case err != nil:
		return "", err
	case c != nil:
		return "", w.fail("%d bytes are more than the limit of %d: %s", c.text, w.lim.Identifier, show(string(s)))
	case len(s) > w.lim.Identifier:
		return "", w.fail("%d bytes are more than the limit of %d: %s", len(s), w.lim.Identifier, show(string(s)))
	case broken:
		return "", w.fail("not valid UTF-8 or half a surrogate pair: %s", show(string(s)))
	}
	return common(s), nil
}

// common gives s as a string, without allocation for what nearly every record has.
func common(s []byte) string {
	switch string(s) {
	case "0":
		return "0"
	case "npm":
		return "npm"
	case "PyPI":
		return "PyPI"
	case "RubyGems":
		return "RubyGems"
	case "NuGet":
		return "NuGet"
	case RangeSemver:
		return RangeSemver
	case RangeEcosystem:
		return RangeEcosystem
	}
	return string(s)
}

// text reads a string of which a part is better than nothing.
func (w *walker) text() (string, error) {
	s, broken, c, err := w.str("a string")
	if err != nil {
		return "", err
	}
	if broken {
		w.flag(FlagReplaced, w.pointer(), "characters that are not valid UTF-8")
	}
	if bytes.IndexByte(s, 0) >= 0 {
		// PostgreSQL's text type refuses NUL: all backends get the same.
		w.flag(FlagReplaced, w.pointer(), "NUL characters")
		s = bytes.ReplaceAll(s, []byte{0}, []byte("\uFFFD"))
	}
	if c != nil {
		w.flag(FlagCut, w.pointer(), "a text of %d bytes, cut at the limit of %d", c.text, w.lim.Text)
	}
	if len(s) > w.lim.Text {
		// Only replacement characters make a text longer than the clipper let it be.
		if c == nil {
			w.flag(FlagCut, w.pointer(), "a text of %d bytes, cut at the limit of %d", len(s), w.lim.Text)
		}
		n := w.lim.Text - len(ClipMarker)
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		return string(s[:n]) + ClipMarker, nil
	}
	return string(s), nil
}

// setIdentifier and setText read a member into dst and note in empty, as bit,
// that it was given and empty.
func (w *walker) setIdentifier(dst *string, empty *members, bit members) error {
	if null, err := w.null(); null || err != nil {
		return err
	}
	s, err := w.identifier()
	if s == "" {
		*empty |= bit
	}
	*dst = s
	return err
}

func (w *walker) setText(dst *string, empty *members, bit members) error {
	if null, err := w.null(); null || err != nil {
		return err
	}
	s, err := w.text()
	if s == "" {
		*empty |= bit
	}
	*dst = s
	return err
}

func (w *walker) setTime(dst *Timestamp, empty *members, bit members) error {
	return w.setIdentifier((*string)(dst), empty, bit)
}

// list reads an array, or a null as none.
func list[T any](w *walker, dst *[]T, read func(*T) error) error {
	if null, err := w.null(); null || err != nil {
		return err
	}
	if w.d.PeekKind() != '[' {
		return w.want("an array")
	}
	if _, err := w.d.ReadToken(); err != nil {
		return w.syntax(err)
	}
	*dst = []T{}
	for w.d.PeekKind() != ']' {
		var v T
		if err := read(&v); err != nil {
			return err
		}
		*dst = append(*dst, v)
		if err := w.budget(); err != nil {
			return err
		}
	}
	if _, err := w.d.ReadToken(); err != nil {
		return w.syntax(err)
	}
	return nil
}

// strings reads a list of strings.
func (w *walker) strings(dst *[]string, read func() (string, error)) error {
	n := 0
	return list(w, dst, func(s *string) (err error) {
		*s, err = read()
		if n++; n > w.lim.Versions && err == nil {
			err = w.fail("more than the limit of %d entries: %s", w.lim.Versions, show(*s))
		}
		return err
	})
}

// objectsOf reads a list of objects.
func objectsOf[T any](w *walker, dst *[]T, read func(*T) error) error {
	return list(w, dst, func(v *T) error {
		err := read(v)
		if w.objects++; w.objects > w.lim.Objects && err == nil {
			err = w.fail("more than the limit of %d objects in a record", w.lim.Objects)
		}
		return err
	})
}

// free reads a member that may hold any object.
func (w *walker) free(dst *jsontext.Value) error {
	if null, err := w.null(); null || err != nil {
		return err
	}
	if w.d.PeekKind() != '{' {
		return w.want("an object")
	}
	raw, err := w.raw(nil)
	*dst = raw
	return err
}

// unknown reads a member of that name and adds it to the object in dst.
func (w *walker) unknown(dst *jsontext.Value, name []byte) error {
	var b []byte
	if len(*dst) == 0 {
		b = append(b, '{')
	} else {
		b = append((*dst)[:len(*dst)-1], ',')
	}
	before := len(b)
	b, err := jsontext.AppendQuote(b, name)
	if err != nil {
		return w.fail("a member name is not valid UTF-8: %s", show(string(name)))
	}
	pointer := w.pointer()
	b = append(b, ':')
	value := len(b)
	b, err = w.raw(b)
	if err != nil {
		return err
	}
	if len(b) == value {
		// Left out: the object ends where it ended before.
		if before > 1 {
			*dst = append(b[:before-1], '}')
		}
		return nil
	}
	w.flag(FlagUnknown, pointer, "unknown member, kept")
	*dst = append(b, '}')
	return nil
}

// raw reads any value and appends it to dst; a value that is too large is left
// out, with a flag.
func (w *walker) raw(dst []byte) ([]byte, error) {
	if !w.strict {
		return w.copyRaw(dst)
	}
	depth := w.d.StackDepth()
	raw, err := w.d.ReadValue()
	if err != nil {
		return nil, w.syntax(err)
	}
	// More brackets than levels left, or an escape that might be a NUL: the long way looks closer.
	if depth+bytes.Count(raw, []byte("{"))+bytes.Count(raw, []byte("[")) > w.lim.Depth || bytes.Contains(raw, []byte(`\u0000`)) {
		return nil, errRetry
	}
	return append(dst, raw...), nil
}

// copyRaw is raw for a decoder that must not be asked for large values: it copies
// token by token.
func (w *walker) copyRaw(dst []byte) ([]byte, error) {
	start, begin, top := len(dst), w.d.InputOffset(), w.d.StackDepth()
	pointer := ""
	kept := true
	for first := true; first || w.d.StackDepth() > top; first = false {
		kind := w.d.PeekKind()
		container, n := w.d.StackIndex(w.d.StackDepth())
		if kept && !first && kind != '}' && kind != ']' && n > 0 {
			if container == '{' && n%2 == 1 {
				dst = append(dst, ':')
			} else {
				dst = append(dst, ',')
			}
		}
		switch kind {
		case '{', '}', '[', ']':
			if _, err := w.d.ReadToken(); err != nil {
				return nil, w.syntax(err)
			}
			dst = append(dst, byte(kind))
		case '"':
			var err error
			if !first && container == '{' && n%2 == 0 {
				var name []byte
				if name, err = w.name(); err == nil {
					dst, err = jsontext.AppendQuote(dst, name)
				}
			} else {
				var s string
				if s, err = w.text(); err == nil {
					dst, err = jsontext.AppendQuote(dst, s)
				}
			}
			if err != nil {
				return nil, err
			}
		default:
			v, err := w.d.ReadValue()
			if err != nil {
				return nil, w.syntax(err)
			}
			dst = append(dst, v...)
		}
		if first {
			pointer = w.pointer()
		}
		if kept && len(dst)-start > w.lim.Unknown {
			kept = false
		}
		if !kept {
			dst = dst[:start]
		}
	}
	if !kept {
		size := w.d.InputOffset() - begin
		w.skipped += size
		w.flag(FlagDropped, pointer, "%d bytes are more than the limit of %d for one member", size, w.lim.Unknown)
		return dst, nil
	}
	return dst, w.duplicates(dst[start:], pointer)
}

// duplicates fails if an object in value has a member twice.
func (w *walker) duplicates(value []byte, pointer string) error {
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(value))
	_, err := d.ReadValue()
	var s *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &s):
		return problem(pointer+string(s.JSONPointer), "duplicate member %s", show(s.JSONPointer.LastToken()))
	}
	return problem(pointer, "%s", printable(err.Error()))
}

func (w *walker) readRecord(r *Record) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "schema_version":
			return w.setIdentifier(&r.SchemaVersion, &r.empty, mSchemaVersion)
		case "id":
			return w.setIdentifier(&r.ID, &r.empty, 0)
		case "modified":
			return w.setTime(&r.Modified, &r.empty, mModified)
		case "published":
			return w.setTime(&r.Published, &r.empty, mPublished)
		case "withdrawn":
			return w.setTime(&r.Withdrawn, &r.empty, mWithdrawn)
		case "aliases":
			return w.strings(&r.Aliases, w.identifier)
		case "upstream":
			return w.strings(&r.Upstream, w.identifier)
		case "related":
			return w.strings(&r.Related, w.identifier)
		case "summary":
			return w.setText(&r.Summary, &r.empty, mSummary)
		case "details":
			return w.setText(&r.Details, &r.empty, mDetails)
		case "severity":
			return objectsOf(w, &r.Severity, w.readSeverity)
		case "affected":
			return objectsOf(w, &r.Affected, w.readAffected)
		case "references":
			return objectsOf(w, &r.References, w.readReference)
		case "credits":
			return objectsOf(w, &r.Credits, w.readCredit)
		case "database_specific":
			return w.free(&r.DatabaseSpecific)
		}
		return w.unknown(&r.Unknown, name)
	})
}

func (w *walker) readAffected(a *Affected) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "package":
			if null, err := w.null(); null || err != nil {
				return err
			}
			a.empty |= mPackage
			return w.readPackage(&a.Package)
		case "severity":
			return objectsOf(w, &a.Severity, w.readSeverity)
		case "ranges":
			return objectsOf(w, &a.Ranges, w.readRange)
		case "versions":
			return w.strings(&a.Versions, w.identifier)
		case "ecosystem_specific":
			return w.free(&a.EcosystemSpecific)
		case "database_specific":
			return w.free(&a.DatabaseSpecific)
		}
		return w.unknown(&a.Unknown, name)
	})
}

func (w *walker) readPackage(p *Package) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "ecosystem":
			return w.setIdentifier(&p.Ecosystem, &p.empty, mEcosystem)
		case "name":
			return w.setIdentifier(&p.Name, &p.empty, mName)
		case "purl":
			return w.setIdentifier(&p.PURL, &p.empty, mPURL)
		}
		return w.unknown(&p.Unknown, name)
	})
}

func (w *walker) readRange(r *Range) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return w.setIdentifier(&r.Type, &r.empty, mType)
		case "repo":
			return w.setIdentifier(&r.Repo, &r.empty, mRepo)
		case "events":
			return objectsOf(w, &r.Events, w.readEvent)
		case "database_specific":
			return w.free(&r.DatabaseSpecific)
		}
		return w.unknown(&r.Unknown, name)
	})
}

func (w *walker) readEvent(e *Event) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "introduced":
			return w.setIdentifier(&e.Introduced, &e.empty, mIntroduced)
		case "fixed":
			return w.setIdentifier(&e.Fixed, &e.empty, mFixed)
		case "last_affected":
			return w.setIdentifier(&e.LastAffected, &e.empty, mLastAffected)
		case "limit":
			return w.setIdentifier(&e.Limit, &e.empty, mLimit)
		}
		return w.unknown(&e.Unknown, name)
	})
}

func (w *walker) readSeverity(s *Severity) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return w.setText(&s.Type, &s.empty, mType)
		case "score":
			return w.setText(&s.Score, &s.empty, mScore)
		}
		return w.unknown(&s.Unknown, name)
	})
}

func (w *walker) readReference(r *Reference) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return w.setText(&r.Type, &r.empty, mType)
		case "url":
			return w.setText(&r.URL, &r.empty, mURL)
		}
		return w.unknown(&r.Unknown, name)
	})
}

func (w *walker) readCredit(c *Credit) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "name":
			return w.setText(&c.Name, &c.empty, mName)
		case "type":
			return w.setText(&c.Type, &c.empty, mType)
		case "contact":
			return w.strings(&c.Contact, w.text)
		}
		return w.unknown(&c.Unknown, name)
	})
}

// line joins a pointer and a message as one printable line.
func line(pointer, message string) string {
	if pointer == "" {
		return "record: " + message
	}
	return printable(pointer) + ": " + message
}

// shown is how many characters of a hostile value a message has.
const shown = 40

// show quotes a value for a message, in printable characters and cut.
func show(s string) string {
	n := 0
	for i := range s {
		if n++; n > shown {
			return strconv.Quote(s[:i]) + "…"
		}
	}
	return strconv.Quote(s)
}

// printable escapes what a terminal might act on, and cuts in the middle of a long s.
func printable(s string) string {
	const side = 100
	if len(s) > 2*side {
		s = s[:side] + "…" + s[len(s)-side:]
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
