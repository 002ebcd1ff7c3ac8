package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

// Limits of GitHub code scanning for one run, the strictest reader known:
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
const (
	maxSARIFResults       = 25_000
	maxSARIFNotifications = 1_000
	maxSARIFText          = 1024 // characters of a rule's descriptions
)

// malwareSeverity is above the 9.0 from which code scanning says "critical".
const malwareSeverity = "10.0"

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool              sarifTool         `json:"tool"`
	AutomationDetails sarifAutomation   `json:"automationDetails"`
	Invocations       []sarifInvocation `json:"invocations"`
	Results           []sarifResult     `json:"results"`
	ColumnKind        string            `json:"columnKind"`
	Properties        sarifRunBag       `json:"properties"`
}

type sarifRunBag struct {
	Catalogs []jsonCatalog `json:"catalogs"`
	Summary  jsonSummary   `json:"summary"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitzero"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID                   string       `json:"id"`
	Name                 string       `json:"name"`
	ShortDescription     sarifText    `json:"shortDescription"`
	FullDescription      sarifText    `json:"fullDescription"`
	HelpURI              string       `json:"helpUri,omitzero"`
	Help                 sarifText    `json:"help"`
	DefaultConfiguration sarifConfig  `json:"defaultConfiguration"`
	Properties           sarifRuleBag `json:"properties"`
}

type sarifRuleBag struct {
	SecuritySeverity string   `json:"security-severity,omitzero"`
	Precision        string   `json:"precision"`
	Tags             []string `json:"tags"`
}

type sarifConfig struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool                `json:"executionSuccessful"`
	ExitCode            int                 `json:"exitCode"`
	StartTimeUTC        string              `json:"startTimeUtc,omitzero"`
	EndTimeUTC          string              `json:"endTimeUtc,omitzero"`
	Notifications       []sarifNotification `json:"toolExecutionNotifications"`
}

type sarifNotification struct {
	Descriptor sarifDescriptor `json:"descriptor"`
	Level      string          `json:"level"`
	Message    sarifText       `json:"message"`
	Locations  []sarifLocation `json:"locations,omitzero"`
}

type sarifDescriptor struct {
	ID string `json:"id"`
}

type sarifResult struct {
	RuleID              string            `json:"ruleId"`
	RuleIndex           int               `json:"ruleIndex"`
	Level               string            `json:"level"`
	Message             sarifText         `json:"message"`
	Locations           []sarifLocation   `json:"locations"`
	PartialFingerprints map[string]string `json:"partialFingerprints"`
	Properties          sarifResultBag    `json:"properties"`
}

type sarifResultBag struct {
	Package    jsonPackage `json:"package"`
	Verdict    string      `json:"verdict"`
	Provenance string      `json:"provenance"`
	Kind       string      `json:"kind"`
	Campaign   string      `json:"campaign,omitzero"`
	// Layer and Gone are those of an image, Holding what a registry says about all places.
	Layer   string       `json:"layer,omitzero"`
	Gone    string       `json:"gone,omitzero"`
	Holding *jsonHolding `json:"holding,omitzero"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId,omitzero"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

// writeSARIF writes SARIF 2.1.0 as GitHub code scanning wants it: a rule per
// record, a result per place.
func writeSARIF(buf *bytes.Buffer, r *result) error {
	run := sarifRun{
		Tool:              sarifTool{sarifDriver{Name: r.scan.Tool, Version: r.scan.Version, InformationURI: toolURL}},
		AutomationDetails: sarifAutomation{toolName + "/malicious-packages/"},
		ColumnKind:        "utf16CodeUnits",
		Properties:        sarifRunBag{Summary: newJSONSummary(&r.sum)},
	}
	sum := &run.Properties.Summary
	sum.Findings, sum.Disputed, sum.Other = len(r.malicious), len(r.disputed), r.others()
	for _, c := range r.scan.Catalogs {
		run.Properties.Catalogs = append(run.Properties.Catalogs, newJSONCatalog(c, r.scan.Started))
	}
	rules := map[string]int{}
	left := 0
	for _, f := range r.all() {
		if n := len(run.Results); n >= maxSARIFResults {
			left += len(f.Locations)
			continue
		}
		rule := newSARIFRule(f)
		index, ok := rules[rule.ID]
		if !ok {
			index = len(run.Tool.Driver.Rules)
			rules[rule.ID] = index
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		}
		nth := map[string]int{}
		for i, l := range f.Locations {
			if len(run.Results) >= maxSARIFResults {
				left += len(f.Locations) - i
				break
			}
			nth[l.Path]++
			run.Results = append(run.Results, newSARIFResult(f, l, rule, index, nth[l.Path]))
		}
	}
	run.Invocations = []sarifInvocation{newSARIFInvocation(r, left)}
	return encode(buf, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// newSARIFRule gives the rule of f's record. Findings that are no alarm get a rule
// of their own: code scanning takes the severity from the rule.
func newSARIFRule(f *rapsheet.Finding) sarifRule {
	a := advisory(f)
	short := printable.Cut(summary(f), maxSARIFText)
	rule := sarifRule{
		ID:                   f.Record.ID,
		Name:                 "MaliciousPackage",
		ShortDescription:     sarifText{short},
		FullDescription:      sarifText{cmp.Or(prose(a.Details, maxSARIFText), short)},
		Help:                 sarifText{strings.Join(advice([]*rapsheet.Finding{f}), "\n\n")},
		DefaultConfiguration: sarifConfig{"error"},
		Properties:           sarifRuleBag{malwareSeverity, "very-high", []string{"security", "malware"}},
	}
	if l := links(a, 1); len(l) > 0 {
		rule.HelpURI = l[0]
	}
	if f.Warning() {
		rule.ID += "/" + noAlarm(f)
		rule.Name = "DisputedRecord"
		rule.Help = sarifText{disputedNote}
		rule.DefaultConfiguration.Level = "warning"
		rule.Properties = sarifRuleBag{Precision: "low", Tags: []string{"security"}}
		return rule
	}
	if !f.Malicious() {
		rule.ID += "/" + noAlarm(f)
		rule.Name = "NameOnRecord"
		rule.Help = sarifText{"This matches a record and does not mean that anything malicious is here."}
		rule.DefaultConfiguration.Level = "note"
		rule.Properties = sarifRuleBag{Precision: "low", Tags: []string{"security"}}
	}
	return rule
}

func newSARIFResult(f *rapsheet.Finding, l rapsheet.Location, rule sarifRule, index, nth int) sarifResult {
	text := title(f.Package) + " (" + printable.Line(f.Package.Ecosystem) + ") "
	switch {
	case f.Malicious():
		text += "is on record as malicious: "
	case f.Warning():
		text += "matches a disputed record: "
	default:
		text += "matches a record: "
	}
	text += why(f) + "."
	return sarifResult{
		RuleID: rule.ID, RuleIndex: index, Level: rule.DefaultConfiguration.Level,
		Message:             sarifText{sarifEscape(text)},
		Locations:           []sarifLocation{newSARIFLocation(l.Path, l.Line)},
		PartialFingerprints: map[string]string{"primaryLocationLineHash": fingerprint(f, rule.ID, l.Path) + ":" + strconv.Itoa(nth)},
		Properties: sarifResultBag{
			Package: jsonPackage{f.Package.Ecosystem, f.Package.Name, f.Package.Version, purl(f.Package)},
			Verdict: string(f.Verdict), Provenance: string(f.Provenance), Kind: l.Kind, Campaign: campaign(advisory(f)),
			Layer: l.Layer, Gone: l.Gone, Holding: newJSONHolding(f.Holding),
		},
	}
}

// fingerprint tells one alert from another across scans: by what was found in
// which file, whatever the line and the time.
func fingerprint(f *rapsheet.Finding, rule, path string) string {
	h := sha256.New()
	for _, s := range []string{rule, f.Package.Ecosystem, f.Package.Name, f.Package.Version, path} {
		h.Write(strconv.AppendInt(nil, int64(len(s)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// sarifEscape keeps text from being read as an embedded link, "[text](target)"
// (SARIF 2.1.0, 3.11.6).
func sarifEscape(s string) string {
	if !strings.Contains(s, "](") {
		return s
	}
	return strings.NewReplacer("[", `\[`, "]", `\]`).Replace(s)
}

func newSARIFLocation(name string, line int) sarifLocation {
	return sarifLocation{sarifPhysical{newSARIFArtifact(name), sarifRegion{max(line, 1)}}}
}

// newSARIFArtifact gives a relative path relative to the root of the sources, and
// an absolute one as a file URI (SARIF 2.1.0, 3.4 and 3.10.2).
func newSARIFArtifact(name string) sarifArtifact {
	switch {
	case name == "":
		// Code scanning refuses a result without a file.
		name = "-"
	case strings.HasPrefix(name, "/"):
		return sarifArtifact{URI: "file://" + percent(path.Clean(name), "/")}
	case len(name) >= 3 && name[1] == ':' && name[2] == '/':
		return sarifArtifact{URI: "file:///" + name[:2] + percent(path.Clean(name[2:]), "/")}
	}
	return sarifArtifact{URI: percent(path.Clean(name), "/"), URIBaseID: "%SRCROOT%"}
}

// percent encodes all bytes but the unreserved ones (RFC 3986, 2.3) and those in
// keep, so that no path starts a scheme or an authority.
func percent(s, keep string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// newSARIFInvocation says how the scan went; left is how many results the limit
// kept out.
func newSARIFInvocation(r *result, left int) sarifInvocation {
	inv := sarifInvocation{ExecutionSuccessful: r.sum.Complete, ExitCode: r.sum.Status()}
	if !r.scan.Started.IsZero() {
		inv.StartTimeUTC = r.scan.Started.UTC().Format(time.RFC3339)
		inv.EndTimeUTC = r.scan.Started.Add(r.sum.Elapsed).UTC().Format(time.RFC3339)
	}
	add := func(id, level, text string) {
		inv.Notifications = append(inv.Notifications, sarifNotification{
			Descriptor: sarifDescriptor{id}, Level: level, Message: sarifText{sarifEscape(text)}})
	}
	if r.onlyBuiltIn() {
		add("built-in-catalog", "warning", builtInWarning(r))
	}
	if left > 0 {
		add("results-left-out", "warning", count(left, "result")+" more than the "+number(maxSARIFResults)+" that code scanning takes were left out; the JSON format has all")
	}
	rest := 0
	for _, n := range r.notes {
		if len(inv.Notifications) >= maxSARIFNotifications {
			rest++
			continue
		}
		level := "note"
		switch n.Kind {
		case rapsheet.NoteUnread:
			level = "error"
		case rapsheet.NoteUnmatchable:
			level = "warning"
		}
		add(string(n.Kind), level, noteLine(n))
		if n.Path != "" {
			inv.Notifications[len(inv.Notifications)-1].Locations = []sarifLocation{newSARIFLocation(n.Path, n.Line)}
		}
	}
	if rest > 0 {
		add("notes-left-out", "warning", "and "+count(rest, "more note"))
	}
	return inv
}
