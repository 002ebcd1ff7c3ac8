package osv

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// members is a set of members that a document gave as "" (or {} for a package):
// the zero value of the field says "not given", and writing gives back what was read.
type members uint16

// Record.
const (
	mSchemaVersion members = 1 << iota
	mModified
	mPublished
	mWithdrawn
	mSummary
	mDetails
)

// Parts of a record; each type has its own set.
const (
	mPackage members = 1 << iota
	mEcosystem
	mName
	mPURL
	mType
	mRepo
	mIntroduced
	mFixed
	mLastAffected
	mLimit
	mScore
	mURL
)

// Marshal writes the record as compact JSON with members in the order of the
// schema, unknown ones last. It fails when a field holds what JSON cannot:
// invalid UTF-8, a raw value that is not JSON, or an unknown member with the name of a field.
func (r *Record) Marshal() ([]byte, error) {
	var b bytes.Buffer
	if err := r.MarshalJSONTo(jsontext.NewEncoder(&b)); err != nil {
		return nil, fmt.Errorf("write record %s: %w", show(r.ID), err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// MarshalJSONTo writes the record to enc, so that a record inside of another
// value is written as by [Record.Marshal].
func (r *Record) MarshalJSONTo(enc *jsontext.Encoder) error {
	w := writer{enc: enc}
	w.token(jsontext.BeginObject)
	w.str("schema_version", r.SchemaVersion, r.empty&mSchemaVersion != 0)
	w.str("id", r.ID, true)
	w.str("modified", string(r.Modified), r.empty&mModified != 0)
	w.str("published", string(r.Published), r.empty&mPublished != 0)
	w.str("withdrawn", string(r.Withdrawn), r.empty&mWithdrawn != 0)
	w.strings("aliases", r.Aliases)
	w.strings("upstream", r.Upstream)
	w.strings("related", r.Related)
	w.str("summary", r.Summary, r.empty&mSummary != 0)
	w.str("details", r.Details, r.empty&mDetails != 0)
	objects(&w, "severity", r.Severity, w.severity)
	objects(&w, "affected", r.Affected, w.affected)
	objects(&w, "references", r.References, w.reference)
	objects(&w, "credits", r.Credits, w.credit)
	w.value("database_specific", r.DatabaseSpecific)
	w.end(r.Unknown)
	return w.err
}

// writer writes members until the first error.
type writer struct {
	enc *jsontext.Encoder
	err error
}

func (w *writer) token(t jsontext.Token) {
	if w.err == nil {
		w.err = w.enc.WriteToken(t)
	}
}

func (w *writer) str(name, s string, always bool) {
	if s == "" && !always {
		return
	}
	w.token(jsontext.String(name))
	w.token(jsontext.String(s))
}

func (w *writer) strings(name string, list []string) {
	if list == nil {
		return
	}
	w.token(jsontext.String(name))
	w.token(jsontext.BeginArray)
	for _, s := range list {
		w.token(jsontext.String(s))
	}
	w.token(jsontext.EndArray)
}

func (w *writer) value(name string, v jsontext.Value) {
	if len(v) == 0 {
		return
	}
	w.token(jsontext.String(name))
	if w.err == nil {
		w.err = w.enc.WriteValue(v)
	}
}

// end writes the members of unknown and closes the object.
func (w *writer) end(unknown jsontext.Value) {
	if len(unknown) > 0 && w.err == nil {
		w.err = w.splice(unknown)
	}
	w.token(jsontext.EndObject)
}

// splice writes the members of an object into the object at hand.
func (w *writer) splice(object jsontext.Value) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(object))
	if d.PeekKind() != '{' {
		return fmt.Errorf("unknown members are not an object: %s", show(string(object)))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		v, err := d.ReadValue()
		if err != nil {
			return err
		}
		if err := w.enc.WriteValue(v); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func objects[T any](w *writer, name string, list []T, write func(*T)) {
	if list == nil {
		return
	}
	w.token(jsontext.String(name))
	w.token(jsontext.BeginArray)
	for i := range list {
		w.token(jsontext.BeginObject)
		write(&list[i])
	}
	w.token(jsontext.EndArray)
}

func (w *writer) affected(a *Affected) {
	p := &a.Package
	if a.empty&mPackage != 0 || p.Ecosystem != "" || p.Name != "" || p.PURL != "" || len(p.Unknown) > 0 {
		w.token(jsontext.String("package"))
		w.token(jsontext.BeginObject)
		w.str("ecosystem", p.Ecosystem, p.empty&mEcosystem != 0)
		w.str("name", p.Name, p.empty&mName != 0)
		w.str("purl", p.PURL, p.empty&mPURL != 0)
		w.end(p.Unknown)
	}
	objects(w, "severity", a.Severity, w.severity)
	objects(w, "ranges", a.Ranges, w.rang)
	w.strings("versions", a.Versions)
	w.value("ecosystem_specific", a.EcosystemSpecific)
	w.value("database_specific", a.DatabaseSpecific)
	w.end(a.Unknown)
}

func (w *writer) rang(r *Range) {
	w.str("type", r.Type, r.empty&mType != 0)
	w.str("repo", r.Repo, r.empty&mRepo != 0)
	objects(w, "events", r.Events, w.event)
	w.value("database_specific", r.DatabaseSpecific)
	w.end(r.Unknown)
}

func (w *writer) event(e *Event) {
	w.str("introduced", e.Introduced, e.empty&mIntroduced != 0)
	w.str("fixed", e.Fixed, e.empty&mFixed != 0)
	w.str("last_affected", e.LastAffected, e.empty&mLastAffected != 0)
	w.str("limit", e.Limit, e.empty&mLimit != 0)
	w.end(e.Unknown)
}

func (w *writer) severity(s *Severity) {
	w.str("type", s.Type, s.empty&mType != 0)
	w.str("score", s.Score, s.empty&mScore != 0)
	w.end(s.Unknown)
}

func (w *writer) reference(r *Reference) {
	w.str("type", r.Type, r.empty&mType != 0)
	w.str("url", r.URL, r.empty&mURL != 0)
	w.end(r.Unknown)
}

func (w *writer) credit(c *Credit) {
	w.str("name", c.Name, c.empty&mName != 0)
	w.str("type", c.Type, c.empty&mType != 0)
	w.strings("contact", c.Contact)
	w.end(c.Unknown)
}
