-- What operators may know of the mirror: what it held otherwise than Postgres and when that was
-- mended, the last look at all of it, the reseeds they ordered. And the highest fence of a command.

-- A command of a sweep carries the fence of its lease: whoever lost the lease speaks too late.
CREATE TABLE fences (
    command text PRIMARY KEY,
    highest bigint NOT NULL CHECK (highest >= 0),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE mirror_drift (
    drift_id        uuid PRIMARY KEY DEFAULT uuidv7(),
    mitra_id        uuid NOT NULL,
    fact            text NOT NULL CHECK (fact IN ('online', 'active', 'load', 'available', 'all')),
    cause           text NOT NULL CHECK (cause IN ('missed', 'wrong', 'kept_answer', 'stranger')),
    -- NULL: it held nothing of the kind.
    mirror_value    text,
    postgres_value  text,
    found_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- It cannot have been so for longer: since the truth changed, or since all of it was compared.
    at_most_seconds float8 CHECK (at_most_seconds >= 0),
    found_by        text NOT NULL CHECK (found_by IN ('reconcile', 'reseed', 'beat'))
);

CREATE INDEX mirror_drift_found ON mirror_drift (found_at);

-- The last full look at the mirror, of each kind.
CREATE TABLE mirror_looks (
    kind       text PRIMARY KEY CHECK (kind IN ('reconcile', 'reseed')),
    mitras     int NOT NULL CHECK (mitras >= 0),
    found      int NOT NULL CHECK (found >= 0),
    healed     int NOT NULL CHECK (healed BETWEEN 0 AND found),
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL CHECK (ended_at >= started_at)
);

-- What became of a reseed that an operator ordered; whichever replica is asked can tell.
CREATE TABLE reseeds (
    reseed_id  uuid PRIMARY KEY,
    asked_by   uuid NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    state      text NOT NULL DEFAULT 'waiting'
                   CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    -- How many mitras there are to read, and how many were.
    total      int NOT NULL CHECK (total >= 0),
    mitras     int NOT NULL DEFAULT 0 CHECK (mitras >= 0),
    healed     int CHECK (healed >= 0),
    strangers  int CHECK (strangers >= 0),
    error      text,
    -- Moved on while it works: who is silent for long was lost with its replica.
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((state = 'done') = (healed IS NOT NULL AND strangers IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL))
);

CREATE INDEX reseeds_asked ON reseeds (asked_at);

-- note_drift_v1: keep what was mended, with how long it can have been so at the most. A change that
-- is younger than 2 s was on its way: that is no drift. Returns how many rows were kept.
CREATE FUNCTION note_drift_v1(p_found_by text, p_mitras uuid[], p_facts text[], p_causes text[],
                              p_held text[], p_true text[])
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
DECLARE
    v_now  timestamptz := clock_timestamp();
    v_look timestamptz;
    v_kept int;
BEGIN
    SELECT max(l.started_at) INTO v_look FROM availability.mirror_looks AS l;
    INSERT INTO availability.mirror_drift
        (mitra_id, fact, cause, mirror_value, postgres_value, found_at, at_most_seconds, found_by)
    SELECT aged.mitra_id, aged.fact, aged.cause, aged.held, aged.truly, v_now, aged.seconds,
           p_found_by
    FROM (
        SELECT m.mitra_id, m.fact, m.cause, m.held, m.truly, m.place, change.seconds AS changed,
               least(change.seconds, extract(epoch FROM v_now - v_look)::float8) AS seconds
        FROM unnest(p_mitras, p_facts, p_causes, p_held, p_true)
            WITH ORDINALITY AS m (mitra_id, fact, cause, held, truly, place)
        LEFT JOIN availability.mitra_status AS s ON s.mitra_id = m.mitra_id
        LEFT JOIN auth.mitra_directory_v2(p_mitras) AS d ON d.mitra_id = m.mitra_id
        LEFT JOIN chat.mitra_load_v2(p_mitras) AS c ON c.mitra_id = m.mitra_id
        CROSS JOIN LATERAL (
            -- NULL where nobody knows: greatest() and least() would leave that out.
            SELECT extract(epoch FROM CASE WHEN known.since > v_now THEN interval '0'
                                           ELSE v_now - known.since END)::float8
            FROM (SELECT CASE m.fact WHEN 'online' THEN s.changed_at
                                     WHEN 'active' THEN d.changed_at
                                     WHEN 'load' THEN c.changed_at END) AS known (since)
        ) AS change (seconds)
    ) AS aged
    WHERE NOT (aged.cause = 'missed' AND coalesce(aged.changed < 2, false))
    ORDER BY aged.place LIMIT 200;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    RETURN v_kept;
END $$;

-- note_look_v1: all of the mirror was compared with Postgres; what that found and healed.
CREATE FUNCTION note_look_v1(p_kind text, p_seconds float8, p_mitras int, p_found int, p_healed int)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    INSERT INTO availability.mirror_looks AS l (kind, mitras, found, healed, started_at, ended_at)
    VALUES (p_kind, p_mitras, p_found, p_healed,
            v_now - greatest(0, p_seconds) * interval '1 second', v_now)
    ON CONFLICT (kind) DO UPDATE
    SET mitras = excluded.mitras, found = excluded.found, healed = excluded.healed,
        started_at = excluded.started_at, ended_at = excluded.ended_at
    WHERE l.ended_at <= excluded.ended_at;
END $$;

REVOKE ALL ON FUNCTION note_drift_v1(text, uuid[], text[], text[], text[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION note_look_v1(text, float8, int, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_drift_v1(text, uuid[], text[], text[], text[], text[])
    TO availability, sweeper, sweeper_owner, pairing, pairing_owner, chat, chat_owner;
GRANT EXECUTE ON FUNCTION note_look_v1(text, float8, int, int, int)
    TO availability, sweeper, sweeper_owner;
