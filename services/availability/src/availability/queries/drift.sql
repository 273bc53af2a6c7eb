-- drift_page(before, limit) — what was mended, the newest first
SELECT m.drift_id, m.mitra_id, m.fact, m.cause, m.mirror_value, m.postgres_value, m.found_at,
       m.at_most_seconds, m.found_by
FROM mirror_drift AS m
WHERE $1::uuid IS NULL OR m.drift_id < $1
ORDER BY m.drift_id DESC LIMIT $2;

-- names_of(mitras) — display names
SELECT mitra_id, display_name FROM auth.mitra_directory_v2($1::uuid[]);

-- looks() — the last full look at the mirror, of each kind
SELECT kind, mitras, found, healed, started_at, ended_at FROM mirror_looks;

-- prune_drift(keep_days, keep_rows, limit) — the oldest go first, in bounded bites
DELETE FROM mirror_drift WHERE drift_id IN (
  SELECT old.drift_id FROM mirror_drift AS old
  WHERE old.found_at < clock_timestamp() - $1 * interval '1 day'
     OR old.drift_id <= (SELECT last.drift_id FROM mirror_drift AS last
                         ORDER BY last.drift_id DESC OFFSET $2 LIMIT 1)
  ORDER BY old.drift_id LIMIT $3
);

-- prune_reseeds(keep_days, limit) — the same of reseeds
DELETE FROM reseeds WHERE reseed_id IN (
  SELECT reseed_id FROM reseeds
  WHERE asked_at < clock_timestamp() - $1 * interval '1 day' ORDER BY asked_at LIMIT $2
);

-- add_reseed(reseed_id, asked_by) — an operator orders one
INSERT INTO reseeds (reseed_id, asked_by, total)
SELECT $1, $2, count(*) FROM mitra_status;

-- move_reseed(reseed_id, mitras) — how far it is; it works
UPDATE reseeds SET state = 'running', mitras = $2, changed_at = clock_timestamp()
WHERE reseed_id = $1 AND state IN ('waiting', 'running');

-- wait_reseed(reseed_id) — another one is at it; this one waits for its turn
UPDATE reseeds SET changed_at = clock_timestamp() WHERE reseed_id = $1 AND state = 'waiting';

-- finish_reseed(reseed_id, mitras, healed, strangers) — done
UPDATE reseeds
SET state = 'done', mitras = $2, healed = $3, strangers = $4, changed_at = clock_timestamp()
WHERE reseed_id = $1 AND state IN ('waiting', 'running');

-- fail_reseed(reseed_id, error) — it could not be done
UPDATE reseeds SET state = 'failed', error = $2, changed_at = clock_timestamp()
WHERE reseed_id = $1 AND state IN ('waiting', 'running');

-- reseed(reseed_id) — what became of it
SELECT reseed_id, state, asked_at, total, mitras, healed, strangers, error, changed_at,
       extract(epoch FROM clock_timestamp() - changed_at)::float8 AS silent_seconds
FROM reseeds WHERE reseed_id = $1;
