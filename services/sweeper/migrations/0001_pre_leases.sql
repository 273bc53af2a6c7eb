-- Who may drive which shard of which sweep, and what notable passes did.

CREATE TABLE leases (
    sweep           text        NOT NULL,
    shard           int         NOT NULL CHECK (shard >= 0),
    holder          text,
    fence           bigint      NOT NULL DEFAULT 0,
    expires_at      timestamptz NOT NULL DEFAULT '-infinity',
    last_fired_slot bigint      NOT NULL DEFAULT -1,
    fired_at        timestamptz,
    PRIMARY KEY (sweep, shard)
) WITH (fillfactor = 50);

COMMENT ON COLUMN leases.fence IS 'Grows with every change of holder; commands carry it.';
COMMENT ON COLUMN leases.last_fired_slot IS
    'Number of the last slot (time / cadence on the database clock) that was driven: each once.';

-- The processes that want a share, so that each takes a fair part.
CREATE TABLE replicas (
    holder     text        NOT NULL PRIMARY KEY,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE runs (
    id          uuid        NOT NULL PRIMARY KEY DEFAULT uuidv7(),
    sweep       text        NOT NULL,
    shard       int         NOT NULL,
    holder      text        NOT NULL,
    fence       bigint      NOT NULL,
    slot        bigint      NOT NULL,
    count       int         NOT NULL CHECK (count >= 0),
    skipped     text,
    took_ms     int         NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX runs_by_sweep ON runs (sweep, shard, finished_at DESC);
CREATE INDEX runs_by_age ON runs (finished_at);

-- An auto-offline pass that was stopped because it would have hit too many at once.
CREATE TABLE brakes (
    sweep        text        NOT NULL PRIMARY KEY,
    mitra_ids    uuid[]      NOT NULL,
    online       int         NOT NULL,
    fresh        int         NOT NULL,
    raised_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at timestamptz,
    confirmed_by text,
    CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL))
);
