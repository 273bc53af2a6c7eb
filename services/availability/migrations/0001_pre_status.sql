-- Who wants to work, and when she was last heard of.
-- Half of each page is free and nothing indexes last_heartbeat_at: every row is rewritten each
-- flush, in its own page, without touching an index.
CREATE TABLE mitra_status (
    mitra_id          uuid PRIMARY KEY,
    is_online         boolean NOT NULL DEFAULT false,
    went_online_at    timestamptz,
    -- The login by which she went online: when it ends, so does her being online.
    online_login_id   uuid,
    last_heartbeat_at timestamptz,
    offline_reason    text CHECK (offline_reason IN
                          ('self', 'auto_offline', 'operator', 'logout', 'deactivated')),
    -- Bumped under the row's lock with every change of is_online; the mirror compares it.
    version           bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    -- A random place in a ring, so that a bounded question meets other mitras each time.
    spread            integer NOT NULL DEFAULT floor(random() * 2147483647)::integer,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (NOT is_online OR (went_online_at IS NOT NULL AND last_heartbeat_at IS NOT NULL))
) WITH (fillfactor = 50);

CREATE INDEX mitra_status_online ON mitra_status (spread, mitra_id) WHERE is_online;

-- When each mitra was online, and why it ended: sums can be reproduced per shift.
CREATE TABLE online_intervals (
    interval_id uuid PRIMARY KEY DEFAULT uuidv7(),
    mitra_id    uuid NOT NULL REFERENCES mitra_status (mitra_id),
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    end_reason  text CHECK (end_reason IN
                    ('self', 'auto_offline', 'operator', 'logout', 'deactivated')),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CHECK (ended_at >= started_at)
);

CREATE UNIQUE INDEX online_intervals_open ON online_intervals (mitra_id) WHERE ended_at IS NULL;
CREATE INDEX online_intervals_mitra ON online_intervals (mitra_id, started_at);

-- Which history of Postgres this is. A promotion or a restore may lose commits, and with them
-- versions; whoever does one of these bumps the epoch, and versions of the old one lose.
CREATE TABLE pg_epoch (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch     bigint NOT NULL CHECK (epoch > 0),
    bumped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason    text NOT NULL
);

INSERT INTO pg_epoch (epoch, reason) VALUES (1, 'the first history');

-- The right to do something alone, for a while.
CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     uuid NOT NULL,
    fence      bigint NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL
);
