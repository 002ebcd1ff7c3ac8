package lint

import "slices"

// Rule is one rule and what the sets of rules make of it.
type Rule struct {
	// Name is short, lower-case, and does not change between versions.
	Name string
	// OSV, Upstream and Served are the severities under each set, "" where the rule does not apply.
	OSV, Upstream, Served Severity
	// Advice says what to do, in one line.
	Advice string
	// Source is where the rule is from.
	Source string
}

func (r *Rule) severity(rules Rules) Severity {
	switch rules {
	case Upstream:
		return r.Upstream
	case Served:
		return r.Served
	}
	return r.OSV
}

// All lists the rules, those about single documents first.
func All() []Rule { return slices.Clone(table[:]) }

// rule is a row of the table.
type rule int

const (
	ruleJSON rule = iota
	ruleLimit
	ruleRequired
	ruleType
	ruleEnum
	ruleUnknownMember
	ruleUnknownNested
	ruleIDPrefix
	ruleSchemaVersion
	ruleTimestamp
	ruleTimeFraction
	ruleTimeOrder
	ruleAliasSelf
	ruleReferenceURL
	ruleSeverityTwice
	ruleOneAffected
	ruleEcosystem
	ruleName
	ruleNameShape
	ruleNameCanonical
	rulePURL
	rulePURLMissing
	rulePURLBare
	rulePURLCanonical
	ruleMatchesNothing
	ruleWildcard
	ruleVersion
	ruleVersionTwice
	ruleRangeSemver
	ruleEvent
	ruleEvents
	ruleEventVersion
	ruleEventOrder
	ruleGitRepo
	ruleGitCommit
	ruleDispute
	ruleReadable
	ruleFileName
	rulePath
	ruleWithdrawnPlace
	ruleUpstreamID
	ruleDraft
	ruleDraftSummary
	ruleDraftDetails
	ruleUpstreamEcosystem
	ruleUpstreamPURL
	ruleGitOnly
	ruleAction
	ruleEcosystemSpecific
	ruleDatabaseSpecific
	ruleOrigins
	ruleIOCs
	ruleEvidence
	ruleServedID
	ruleServedSchema
	rulePublished
	ruleSummary
	ruleAdvisory
	ruleSeverity
	rulePackage
	ruleGoRanges
	ruleIDTwice
	rulePackageTwice
	ruleAliasCycle

	ruleCount
)

const (
	bySchema   = "https://github.com/ossf/osv-schema/blob/v1.7.5/validation/schema.json"
	byProse    = "https://ossf.github.io/osv-schema/"
	byUpstream = "https://github.com/ossf/malicious-packages, cmd/validate and internal/report"
	byUs       = "this project"
)

var table = [ruleCount]Rule{
	ruleJSON:          {"json", Error, Error, Error, "write it as one JSON object in UTF-8 (RFC 8259), each name once", "https://www.rfc-editor.org/rfc/rfc8259"},
	ruleLimit:         {"limit", Error, Error, Error, "split it, or leave out what does not belong into a record", byUs},
	ruleRequired:      {"required", Error, Error, Error, "add it", bySchema},
	ruleType:          {"type", Error, Error, Error, "write a value of the type that the schema wants; leave the member out where there is none", bySchema},
	ruleEnum:          {"enum", Error, Error, Error, "use one of the listed values, in this spelling", bySchema},
	ruleUnknownMember: {"unknown-member", Error, Error, Error, "correct the name, or put it into database_specific", bySchema + " (additionalProperties)"},
	ruleUnknownNested: {"unknown-nested", Warning, Error, Error, "correct the name, or put it into database_specific: strict readers drop the whole record", "osv-scanner and osv.dev decode strictly (protojson)"},
	ruleIDPrefix:      {"id-prefix", Warning, Warning, Warning, "use the prefix of your database, MAL- for malicious packages, or x_ for a private one", bySchema + " (prefix)"},
	ruleSchemaVersion: {"schema-version", Warning, Warning, Warning, "name the version of the schema that it was written for, as in 1.7.5", byProse + "#schema_version-field"},
	ruleTimestamp:     {"timestamp", Error, Error, Error, "write it in UTC as 2026-01-02T15:04:05Z", bySchema + " (timestamp)"},
	ruleTimeFraction:  {"time-fraction", "", "", Error, "leave the fraction out: pip-audit fails on more than six digits", "https://github.com/pypa/pip-audit (strptime %f)"},
	ruleTimeOrder:     {"time-order", Warning, Warning, Error, "correct the times; every change moves modified forward", byProse + "#id-modified-fields"},
	ruleAliasSelf:     {"alias-self", Error, Warning, Error, "take it out of its own aliases", byProse + "#aliases-field"},
	ruleReferenceURL:  {"reference-url", Warning, Warning, Error, "give the full address, https://…", bySchema + " (format uri)"},
	ruleSeverityTwice: {"severity-twice", Error, Error, Error, "give severity at one of the two places", bySchema + " (allOf)"},
	ruleOneAffected:   {"one-affected", Warning, Error, Error, "write one record per package", byUpstream},
	ruleEcosystem:     {"ecosystem", Error, Error, Error, "use an ecosystem of the schema, in its spelling", bySchema + " (ecosystemWithSuffix)"},
	ruleName:          {"name", Error, Error, Error, "write the name as the registry does", byUpstream},
	ruleNameShape:     {"name-shape", Warning, Warning, Error, "write the name as the schema's table of ecosystems says", byProse + "#affectedpackage-field"},
	ruleNameCanonical: {"name-canonical", Warning, Warning, Error, "write the one spelling that all readers look up", "https://peps.python.org/pep-0503/#normalized-names"},
	rulePURL:          {"purl", Error, Error, Error, "write the purl of this package, or leave it out", byUpstream},
	rulePURLMissing:   {"purl-missing", "", "", Error, "add the package's purl", "osv-offline and Dependency-Track match by purl only"},
	rulePURLBare:      {"purl-bare", Warning, Warning, Error, "leave out version, qualifiers and subpath", byProse + "#affectedpackage-field"},
	rulePURLCanonical: {"purl-canonical", "", "", Error, "write the canonical purl: clients compare it as text", "https://github.com/package-url/purl-spec"},
	ruleMatchesNothing: {"matches-nothing", Warning, Warning, Error, "list the versions, or say that all are malicious with a range introduced at 0",
		byProse + "#affected-fields"},
	ruleWildcard:     {"wildcard-and-versions", Warning, Warning, Error, "keep the versions if only those are malicious, else only the range", byProse + "#evaluation"},
	ruleVersion:      {"version", Warning, Warning, Warning, "check the version against the registry", byProse + "#affectedversions-field"},
	ruleVersionTwice: {"version-twice", Warning, Warning, Warning, "list it once", byProse + "#affectedversions-field"},
	ruleRangeSemver:  {"range-semver", Error, Error, Error, "use the type ECOSYSTEM", byProse + "#affectedrangestype-field"},
	ruleEvent:        {"event", Error, Error, Error, "write one object per event", bySchema + " (events)"},
	ruleEvents:       {"events", Error, Error, Error, "say what introduced it, 0 for the beginning, and end it by fixed or last_affected", bySchema + " (events)"},
	ruleEventVersion: {"event-version", Warning, Warning, Error, "use a version of the ecosystem: pip-audit fails on others", byProse + "#affectedrangesevents-fields"},
	ruleEventOrder:   {"event-order", Warning, Warning, Error, "order the events by version, each end behind its beginning", byProse + "#affectedrangesevents-fields"},
	ruleGitRepo:      {"git-repo", Error, Error, Error, "add the address of the repository", bySchema},
	ruleGitCommit:    {"git-commit", Warning, Error, Error, "write the full digest of the commit", byProse + "#affectedrangesevents-fields"},
	ruleDispute:      {"dispute", Warning, Warning, Error, "set withdrawn, and a state, since and reason as docs/output.md says", byUs + ", docs/output.md"},
	ruleReadable:     {"readable", Error, Error, Error, "mend it: it cannot be imported here", byUs + ", package osv"},

	ruleFileName:          {"file-name", "", Error, Error, "name the file after the id", byUpstream},
	rulePath:              {"path", "", Error, "", "move the file to the directory of its package", byUpstream},
	ruleWithdrawnPlace:    {"withdrawn-place", "", Error, "", "move the file between osv/malicious and osv/withdrawn, or set withdrawn", byUpstream},
	ruleUpstreamID:        {"upstream-id", "", Error, "", "leave the id out of a new report: it is assigned on merging", byUpstream},
	ruleDraft:             {"draft-id", "", Error, "", "leave the id out of a new report", byUpstream},
	ruleDraftSummary:      {"draft-summary", "", Warning, "", "leave the summary out: it is overwritten", byUpstream},
	ruleDraftDetails:      {"draft-details", "", Error, "", "leave it out: ingestion writes it", byUpstream},
	ruleUpstreamEcosystem: {"upstream-ecosystem", "", Error, "", "publish it elsewhere: the repository does not take this ecosystem", byUpstream},
	ruleUpstreamPURL:      {"upstream-purl", "", Error, "", "write a purl that reads back to the very name, or leave it out", byUpstream},
	ruleGitOnly:           {"git-only", "", Error, "", "name a package, or give ranges of commits of one repository", byUpstream},
	ruleAction:            {"action", "", Error, "", "name the repository, and versions or commits that stay what they are", byUpstream},
	ruleEcosystemSpecific: {"ecosystem-specific", "", Error, "", "leave it out", byUpstream},
	ruleDatabaseSpecific:  {"database-specific", "", Error, "", "leave out what is not listed", byUpstream},
	ruleOrigins:           {"origins", "", Error, "", "leave origins to ingestion, or write them as it does", byUpstream},
	ruleIOCs:              {"iocs", "", Warning, "", "give domains, ips and urls as arrays of strings", byUpstream},
	ruleEvidence:          {"evidence", "", Warning, "", "say who found it, or where that can be read", byUpstream},

	ruleServedID:     {"served-id", "", "", Error, "use an id with the prefix MAL-: clients know malicious packages by it", "Renovate, scfw, uv, Dependency-Track"},
	ruleServedSchema: {"served-schema", "", "", Error, "write 1.7.4 or 1.7.5", byUs},
	rulePublished:    {"published", "", "", Error, "add when the record was first published", byUs},
	ruleSummary:      {"summary", "", "", Error, "write one line of at most 120 characters, as in Malicious code in name (ecosystem)", byUs},
	ruleAdvisory:     {"advisory", "", "", Warning, "give exactly one reference of type ADVISORY: uv prints the first", "https://github.com/astral-sh/uv"},
	ruleSeverity:     {"severity", "", "", Warning, "leave it out: there is no vulnerability to score", byUs},
	rulePackage:      {"package", "", "", Error, "name the package: pip-audit fails without", "https://github.com/pypa/pip-audit"},
	ruleGoRanges:     {"go-ranges", "", "", Error, "add ranges that cover the same versions", "https://go.dev/doc/security/vuln/database"},

	ruleIDTwice:      {"id-twice", Error, Error, Error, "keep one of them; an id belongs to one record", byUs},
	rulePackageTwice: {"package-twice", Warning, Warning, Warning, "merge the records, or withdraw one", byUpstream},
	ruleAliasCycle:   {"alias-cycle", Warning, Warning, Warning, "keep one of the records and let it name the other ids", byProse + "#aliases-field"},
}
