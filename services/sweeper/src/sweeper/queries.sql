-- ensure_leases(sweeps, shards) — a row for each shard that this build knows
INSERT INTO leases (sweep, shard)
SELECT plan.sweep, plan.shard FROM unnest($1::text[], $2::int[]) AS plan (sweep, shard)
ON CONFLICT (sweep, shard) DO NOTHING;

-- enlist(holder, lease_seconds) — say that this process is alive; how many of us there are
WITH me AS (
    INSERT INTO replicas (holder, expires_at)
    VALUES ($1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (holder) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING holder
)
SELECT count(*) + 1 AS alive FROM replicas, me
WHERE replicas.holder <> me.holder AND replicas.expires_at > clock_timestamp();

-- forget_dead_replicas() — rows of processes that are long gone
DELETE FROM replicas WHERE expires_at < clock_timestamp() - interval '1 minute';

-- leave(holder) — this process stops
DELETE FROM replicas WHERE holder = $1;

-- renew_leases(holder, sweeps, shards, fences, lease_seconds) — keep what is still ours by fence
UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => $5)
FROM unnest($2::text[], $3::int[], $4::bigint[]) AS mine (sweep, shard, fence)
WHERE leases.sweep = mine.sweep AND leases.shard = mine.shard
  AND leases.fence = mine.fence AND leases.holder = $1
RETURNING leases.sweep, leases.shard, leases.fence;

-- take_leases(holder, sweeps, shards, lease_seconds, wanted) — free or run-out shards; a locked row is left
WITH free AS (
    SELECT l.sweep, l.shard
    FROM leases AS l
    JOIN unnest($2::text[], $3::int[]) AS plan (sweep, shard)
      ON plan.sweep = l.sweep AND plan.shard = l.shard
    WHERE l.expires_at <= clock_timestamp()
    ORDER BY l.expires_at, random()
    LIMIT $5::int
    FOR UPDATE OF l SKIP LOCKED
)
UPDATE leases
SET holder = $1, fence = leases.fence + 1,
    expires_at = clock_timestamp() + make_interval(secs => $4)
FROM free
WHERE leases.sweep = free.sweep AND leases.shard = free.shard
RETURNING leases.sweep, leases.shard, leases.fence;

-- release_leases(holder, sweeps, shards, fences) — let others have them at once
UPDATE leases SET expires_at = clock_timestamp(), holder = NULL
FROM unnest($2::text[], $3::int[], $4::bigint[]) AS mine (sweep, shard, fence)
WHERE leases.sweep = mine.sweep AND leases.shard = mine.shard
  AND leases.fence = mine.fence AND leases.holder = $1
RETURNING leases.sweep, leases.shard;

-- fire_slots(holder, sweeps, shards, fences, cadences) — claim the present slot of each, none twice
WITH clock AS MATERIALIZED (
    SELECT extract(epoch FROM clock_timestamp())::float8 AS seconds
),
mine AS MATERIALIZED (
    SELECT asked.sweep, asked.shard, asked.fence,
           floor(clock.seconds / asked.cadence)::bigint AS slot,
           (floor(clock.seconds / asked.cadence) + 1) * asked.cadence - clock.seconds AS next_in
    FROM clock,
         unnest($2::text[], $3::int[], $4::bigint[], $5::float8[])
             AS asked (sweep, shard, fence, cadence)
),
fired AS (
    UPDATE leases SET last_fired_slot = mine.slot, fired_at = clock_timestamp()
    FROM mine
    WHERE leases.sweep = mine.sweep AND leases.shard = mine.shard
      AND leases.fence = mine.fence AND leases.holder = $1
      AND leases.expires_at > clock_timestamp()
      -- Further back than one slot is another cadence, or a clock that went back: nobody waits.
      AND (leases.last_fired_slot < mine.slot OR leases.last_fired_slot > mine.slot + 1)
    RETURNING leases.sweep, leases.shard, leases.last_fired_slot
)
SELECT mine.sweep, mine.shard, mine.fence, mine.next_in, fired.last_fired_slot AS slot
FROM mine LEFT JOIN fired ON fired.sweep = mine.sweep AND fired.shard = mine.shard;

-- list_leases() — for the status page
SELECT sweep, shard, holder, fence, expires_at, last_fired_slot, fired_at,
       expires_at > clock_timestamp() AS held
FROM leases ORDER BY sweep, shard;

-- add_run(sweep, shard, holder, fence, slot, count, skipped, took_ms) — one row a notable pass
INSERT INTO runs (sweep, shard, holder, fence, slot, count, skipped, took_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- prune_runs(keep_seconds, row_limit) — the oldest go first, in bounded bites
DELETE FROM runs WHERE id IN (
    SELECT id FROM runs
    WHERE finished_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY finished_at LIMIT $2::int
);

-- find_brake(sweep) — the stopped pass that waits for a confirmation; a void one is none
SELECT mitra_ids, is_recent(confirmed_at, valid_seconds) AS confirmed FROM brakes
WHERE sweep = $1 AND is_recent(greatest(raised_at, confirmed_at), valid_seconds);

-- raise_brake(sweep, mitra_ids, online, fresh, valid_seconds) — remember whom the stopped pass would have hit
-- Whoever confirmed it meanwhile meant those named then: they stay named, and nobody is added.
-- Whether it is another brake than before, its trigger decides.
INSERT INTO brakes (sweep, mitra_ids, online, fresh, valid_seconds)
VALUES ($1, $2::uuid[], $3, $4, $5)
ON CONFLICT (sweep) DO UPDATE
SET mitra_ids = excluded.mitra_ids, online = excluded.online, fresh = excluded.fresh,
    valid_seconds = excluded.valid_seconds
WHERE NOT is_recent(brakes.confirmed_at, brakes.valid_seconds);

-- release_brake(sweep) — the danger is over or was dealt with
DELETE FROM brakes WHERE sweep = $1;

-- confirm_brake(sweep, confirmed_by) — an operator says: they are really gone
UPDATE brakes SET confirmed_at = clock_timestamp(), confirmed_by = $2
WHERE sweep = $1 AND confirmed_at IS NULL AND is_recent(raised_at, valid_seconds)
RETURNING cardinality(mitra_ids) AS candidates;

-- due_of_auth(row_limit) — what auth says is due
SELECT kind, id, due_at FROM auth.due_v1($1::int);

-- due_of_availability(row_limit) — what availability says is due
SELECT kind, id, due_at FROM availability.due_v1($1::int);

-- due_of_pairing(row_limit) — what pairing says is due
SELECT kind, id, due_at FROM pairing.due_v1($1::int);

-- due_of_chat(row_limit) — what chat says is due
SELECT kind, id, due_at FROM chat.due_v1($1::int);
