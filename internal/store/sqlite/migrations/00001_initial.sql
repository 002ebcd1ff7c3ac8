-- Text is compared by its bytes (BINARY, the default collation). Times are microseconds since
-- 1970-01-01 UTC; the zero time of Go, 0001-01-01, is -62135596800000000. Digests are the 32
-- bytes of a SHA-256. Lists of strings are JSON arrays. Numbers of statuses and states are those
-- of package store.
--
-- Migrations go forward only; one that was released is never edited.

-- +goose Up
CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
    name     TEXT PRIMARY KEY NOT NULL,
    kind     TEXT NOT NULL,
    complete INTEGER NOT NULL,
    cursor   TEXT NOT NULL,
    digest   BLOB NOT NULL,
    imported INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    source   TEXT NOT NULL,
    digest   BLOB NOT NULL,
    name     TEXT NOT NULL,
    received INTEGER NOT NULL,
    data     BLOB NOT NULL,
    UNIQUE (source, digest)
) STRICT;

-- Tables with large values keep their row ids: in a table without, the values would
-- lie in the inner pages of the tree that every look-up passes through.
CREATE TABLE claims (
    source    TEXT NOT NULL,
    ref       TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    status    INTEGER NOT NULL,
    seen      INTEGER NOT NULL,
    document  BLOB NOT NULL,
    digest    BLOB NOT NULL,
    statement BLOB NOT NULL, -- claim.Marshal
    UNIQUE (source, ref)
) STRICT;
CREATE INDEX claims_key ON claims (ecosystem, name);
-- What a source has is what it ever had (counted in the index of the UNIQUE) less what is gone or
-- dropped.
CREATE INDEX claims_past ON claims (source, status) WHERE status IN (4, 5);

CREATE TABLE records (
    id        TEXT NOT NULL UNIQUE,
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    state     INTEGER NOT NULL,
    campaign  TEXT NOT NULL,
    published INTEGER NOT NULL,
    modified  INTEGER NOT NULL,
    json      BLOB NOT NULL
) STRICT;
-- The state is there so that records are counted without reading them.
CREATE INDEX records_key ON records (ecosystem, name, state);
CREATE INDEX records_campaign ON records (campaign, id) WHERE campaign <> '';

CREATE TABLE holds (
    source    TEXT NOT NULL,
    ref       TEXT NOT NULL,
    guard     TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    digest    BLOB NOT NULL,
    reason    TEXT NOT NULL,
    raised    INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    decision  INTEGER NOT NULL,
    PRIMARY KEY (source, ref, guard)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_key ON holds (ecosystem, name, source, ref, guard, state);

CREATE TABLE decisions (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    time      INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    id        TEXT NOT NULL,
    source    TEXT NOT NULL,
    ref       TEXT NOT NULL,
    versions  TEXT NOT NULL,
    reason    TEXT NOT NULL
) STRICT;
CREATE INDEX decisions_key ON decisions (ecosystem, name);

CREATE TABLE campaigns (
    name         TEXT PRIMARY KEY NOT NULL,
    started      INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    summary      TEXT NOT NULL,
    reference_urls TEXT NOT NULL,
    indicators   TEXT NOT NULL
) STRICT;

CREATE TABLE inputs (
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    added INTEGER NOT NULL,
    data  BLOB NOT NULL,
    UNIQUE (kind, name)
) STRICT;

CREATE TABLE quarantine (
    source TEXT NOT NULL,
    name   TEXT NOT NULL,
    digest BLOB NOT NULL,
    reason TEXT NOT NULL,
    time   INTEGER NOT NULL,
    data   BLOB NOT NULL,
    UNIQUE (source, name, digest)
) STRICT;
CREATE INDEX quarantine_time ON quarantine (time);

CREATE TABLE releases (
    sequence  INTEGER PRIMARY KEY,
    time      INTEGER NOT NULL,
    digest    BLOB NOT NULL,
    records   INTEGER NOT NULL,
    disputed  INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    time   INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
