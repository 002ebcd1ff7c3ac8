-- The catalog's working state. Identifiers compare by their bytes (COLLATE "C"), the
-- order that package store promises; digests are SHA-256; numbers of statuses and
-- states are those of package store.

-- +goose Up

-- Locked first by every writing transaction, so that they run one after the other. Always empty.
CREATE TABLE writer ();

CREATE TABLE settings (
    name  text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE sources (
    name     text COLLATE "C" PRIMARY KEY,
    kind     text NOT NULL,
    complete boolean NOT NULL,
    cursor   text NOT NULL,
    digest   bytea NOT NULL CHECK (octet_length(digest) = 32),
    imported timestamptz NOT NULL
);

CREATE TABLE documents (
    source   text COLLATE "C" NOT NULL,
    digest   bytea NOT NULL CHECK (octet_length(digest) = 32),
    name     text NOT NULL,
    data     bytea NOT NULL,
    received timestamptz NOT NULL,
    PRIMARY KEY (source, digest)
);

CREATE TABLE claims (
    source    text COLLATE "C" NOT NULL,
    ref       text COLLATE "C" NOT NULL,
    ecosystem text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    document  bytea NOT NULL CHECK (octet_length(document) = 32),
    digest    bytea NOT NULL CHECK (octet_length(digest) = 32),
    status    smallint NOT NULL,
    seen      timestamptz NOT NULL,
    statement bytea NOT NULL,
    PRIMARY KEY (source, ref)
);
CREATE INDEX claims_key ON claims (ecosystem, name);

CREATE TABLE records (
    id        text COLLATE "C" PRIMARY KEY,
    ecosystem text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    state     smallint NOT NULL,
    campaign  text COLLATE "C" NOT NULL,
    published timestamptz NOT NULL,
    modified  timestamptz NOT NULL,
    json      bytea NOT NULL
);
CREATE INDEX records_key ON records (ecosystem, name);
CREATE INDEX records_campaign ON records (campaign, id) WHERE campaign <> '';

CREATE TABLE holds (
    source    text COLLATE "C" NOT NULL,
    ref       text COLLATE "C" NOT NULL,
    guard     text COLLATE "C" NOT NULL,
    ecosystem text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    digest    bytea NOT NULL CHECK (octet_length(digest) = 32),
    reason    text NOT NULL,
    raised    timestamptz NOT NULL,
    state     smallint NOT NULL,
    decision  bigint NOT NULL,
    PRIMARY KEY (source, ref, guard)
);
CREATE INDEX holds_key ON holds (ecosystem, name);
CREATE INDEX holds_state ON holds (state);

CREATE TABLE decisions (
    seq       bigint PRIMARY KEY CHECK (seq > 0),
    time      timestamptz NOT NULL,
    actor     text NOT NULL,
    kind      text NOT NULL,
    ecosystem text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    id        text NOT NULL,
    source    text NOT NULL,
    ref       text NOT NULL,
    versions  text[] NOT NULL,
    reason    text NOT NULL
);
CREATE INDEX decisions_key ON decisions (ecosystem, name);

CREATE TABLE campaigns (
    name       text COLLATE "C" PRIMARY KEY,
    started    timestamptz NOT NULL,
    ended      timestamptz NOT NULL,
    summary    text NOT NULL,
    refs       text[] NOT NULL,
    indicators text[] NOT NULL
);

CREATE TABLE inputs (
    kind  text COLLATE "C" NOT NULL,
    name  text COLLATE "C" NOT NULL,
    data  bytea NOT NULL,
    added timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

-- The names of what could not be read come from archives and may be longer than an
-- index entry can be (about 2,700 bytes), so their SHA-256 is the key.
CREATE TABLE quarantine (
    source   text COLLATE "C" NOT NULL,
    name_key bytea NOT NULL CHECK (octet_length(name_key) = 32),
    digest   bytea NOT NULL CHECK (octet_length(digest) = 32),
    name     text NOT NULL,
    reason   text NOT NULL,
    data     bytea NOT NULL,
    time     timestamptz NOT NULL,
    seq      bigint NOT NULL,
    PRIMARY KEY (source, name_key, digest)
);
CREATE INDEX quarantine_time ON quarantine (time, seq);

CREATE TABLE releases (
    sequence  bigint PRIMARY KEY,
    time      timestamptz NOT NULL,
    digest    bytea NOT NULL CHECK (octet_length(digest) = 32),
    records   bigint NOT NULL,
    disputed  bigint NOT NULL,
    withdrawn bigint NOT NULL
);

CREATE TABLE audit (
    seq    bigint PRIMARY KEY,
    time   timestamptz NOT NULL,
    actor  text NOT NULL,
    action text NOT NULL,
    detail text NOT NULL
);
