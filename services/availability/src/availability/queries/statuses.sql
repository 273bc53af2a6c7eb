-- welcome(mitra) — a row for a new mitra, offline
INSERT INTO mitra_status (mitra_id) VALUES ($1) ON CONFLICT (mitra_id) DO NOTHING;

-- lock(mitra) — her row, before anything of hers is looked at or changed
SELECT mitra_id, is_online, version, online_login_id, went_online_at
FROM mitra_status WHERE mitra_id = $1 FOR UPDATE;

-- directory(mitras) — what operators say of them; a statement of its own, after the lock
SELECT mitra_id, is_active FROM auth.mitra_directory_v1($1::uuid[]);

-- set_online(mitra, login) — guarded: zero rows when she is online already
UPDATE mitra_status
SET is_online = true, version = version + 1, online_login_id = $2, offline_reason = NULL,
    went_online_at = clock_timestamp(), last_heartbeat_at = clock_timestamp(),
    changed_at = clock_timestamp()
WHERE mitra_id = $1 AND NOT is_online
RETURNING version, went_online_at;

-- stay_online(mitra, login) — going online again counts as a beat, and from this login on
UPDATE mitra_status
SET last_heartbeat_at = clock_timestamp(), online_login_id = $2
WHERE mitra_id = $1 AND is_online;

-- open_interval(mitra, started_at) — her time online starts
INSERT INTO online_intervals (mitra_id, started_at) VALUES ($1, $2);

-- set_offline(mitras, versions, reason) — guarded by the version; several at once
UPDATE mitra_status AS s
SET is_online = false, version = s.version + 1, offline_reason = $3, online_login_id = NULL,
    changed_at = clock_timestamp()
FROM unnest($1::uuid[], $2::bigint[]) AS asked (mitra_id, version)
WHERE s.mitra_id = asked.mitra_id AND s.is_online AND s.version = asked.version
RETURNING s.mitra_id, s.version;

-- close_intervals(mitras, reason) — their time online ends
UPDATE online_intervals
SET ended_at = greatest(started_at, clock_timestamp()), end_reason = $2
WHERE mitra_id = ANY ($1::uuid[]) AND ended_at IS NULL;

-- lock_stale(mitras, versions, limit_seconds) — those still as seen, locked in the order of ids
SELECT s.mitra_id, s.version
FROM mitra_status AS s
JOIN unnest($1::uuid[], $2::bigint[]) AS asked (mitra_id, version) ON asked.mitra_id = s.mitra_id
WHERE s.is_online AND s.version = asked.version
  AND s.last_heartbeat_at < clock_timestamp() - $3 * interval '1 second'
ORDER BY s.mitra_id
FOR UPDATE OF s;

-- status(mitra) — all facts of one mitra with the age of her beat
SELECT is_online, is_active, load, capacity,
       extract(epoch FROM clock_timestamp() - last_heartbeat_at)::float8 AS beat_age_seconds
FROM mirror_rows_of_v1(ARRAY[$1::uuid]);

-- status_of_unseen(mitra) — the same of a mitra who was never here
SELECT d.is_active, l.load, l.capacity
FROM auth.mitra_directory_v1(ARRAY[$1::uuid]) AS d
JOIN chat.mitra_load_v1(ARRAY[$1::uuid]) AS l ON l.mitra_id = d.mitra_id;

-- due(limit) — mitras who are online although deactivated, as far as this look finds them
SELECT id FROM due_v1($1::integer);
