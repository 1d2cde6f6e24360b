-- Times are microseconds since 1970 in UTC; money and values are millionths.
-- A migration that has been released is never edited: add the next number.

-- What happened, append only. The key of an event is (event_id, type); the
-- rows lie in the order of the reader that matters, all of one customer side
-- by side, so that reading every history is one sequential scan.
CREATE TABLE events (
    customer_id TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    event_id    TEXT    NOT NULL,
    type        INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    value       INTEGER,
    arm         TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    PRIMARY KEY (customer_id, occurred_at, event_id, type)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX events_key ON events (event_id, type);

-- The current state of a customer; NULL is unknown. A customer who only has
-- events has no row here.
CREATE TABLE customers (
    customer_id  TEXT PRIMARY KEY NOT NULL,
    signed_up_at INTEGER,
    churned_at   INTEGER,
    churn_reason TEXT NOT NULL,
    attributes   TEXT,
    consent      TEXT
) STRICT, WITHOUT ROWID;

-- Every state a customer row ever had, and since when we knew it.
CREATE TABLE customer_changes (
    seq          INTEGER PRIMARY KEY,
    customer_id  TEXT    NOT NULL,
    recorded_at  INTEGER NOT NULL,
    signed_up_at INTEGER,
    churned_at   INTEGER,
    churn_reason TEXT    NOT NULL,
    attributes   TEXT,
    consent      TEXT
) STRICT;

CREATE INDEX customer_changes_customer ON customer_changes (customer_id, seq);

-- Whom we were told to forget: SHA-256 of the id and nothing else.
CREATE TABLE erasures (
    customer_hash BLOB PRIMARY KEY NOT NULL,
    erased_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scores (
    customer_id    TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    as_of          INTEGER NOT NULL,
    version        TEXT    NOT NULL,
    probability    REAL    NOT NULL,
    margin         REAL    NOT NULL,
    risk_band      TEXT    NOT NULL,
    residual_value INTEGER NOT NULL,
    body           TEXT    NOT NULL,
    saved_at       INTEGER NOT NULL,
    PRIMARY KEY (customer_id, model, as_of, version)
) STRICT, WITHOUT ROWID;

-- What was decided and with what probability, append only.
CREATE TABLE decisions (
    id                 TEXT PRIMARY KEY NOT NULL,
    customer_id        TEXT    NOT NULL,
    at                 INTEGER NOT NULL,
    action             TEXT    NOT NULL,
    channel            TEXT    NOT NULL,
    arm                TEXT    NOT NULL,
    ghost_action       TEXT    NOT NULL,
    propensity         REAL    NOT NULL,
    risk               REAL    NOT NULL,
    residual_value     INTEGER NOT NULL,
    expected_net_value INTEGER NOT NULL,
    cost               INTEGER NOT NULL,
    basis              TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    version            TEXT    NOT NULL,
    playbook           TEXT    NOT NULL,
    body               TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX decisions_customer ON decisions (customer_id, at);
CREATE INDEX decisions_at ON decisions (at);

CREATE TABLE outcomes (
    decision_id TEXT    NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
    event       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    value       INTEGER NOT NULL,
    PRIMARY KEY (decision_id, event)
) STRICT, WITHOUT ROWID;

-- Which model version served when: a copy of the registry's log.
CREATE TABLE promotions (
    name         TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    alias        TEXT    NOT NULL,
    from_version TEXT    NOT NULL,
    to_version   TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (name, seq)
) STRICT, WITHOUT ROWID;
