-- What was said of an event beside the version in events, which came first:
-- corrections, repetitions recorded at another time, and cancellations, which
-- have nothing but their key. A cancellation may be there before its event.
-- The rows of a customer lie side by side, as those of events do.
CREATE TABLE corrections (
    customer_id TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    type        INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    cancelled   INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    value       INTEGER,
    arm         TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    PRIMARY KEY (customer_id, event_id, type, recorded_at, cancelled)
) STRICT, WITHOUT ROWID;
