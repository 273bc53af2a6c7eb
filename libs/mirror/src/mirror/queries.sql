-- rows_after(after, limit) — all facts of the next mitras in the order of their ids
SELECT mitra_id, is_online, online_version,
       extract(epoch FROM clock_timestamp() - last_heartbeat_at) * 1000 AS beat_age_ms,
       is_active, active_version, load, capacity, load_version, pg_epoch
FROM availability.mirror_rows_v1($1::uuid, $2::integer);

-- rows_of(mitras) — all facts of these mitras; those whom availability does not know are left out
SELECT mitra_id, is_online, online_version,
       extract(epoch FROM clock_timestamp() - last_heartbeat_at) * 1000 AS beat_age_ms,
       is_active, active_version, load, capacity, load_version, pg_epoch
FROM availability.mirror_rows_of_v1($1::uuid[]);

-- find_available(limit, exclude, fresh_ms) — the same question to Postgres
SELECT mitra_id FROM availability.find_available_v1($1::integer, $2::uuid[], $3::integer);

-- is_reachable(mitras, fresh_ms) — the same question to Postgres
SELECT mitra_id, reachable, available
FROM availability.is_reachable_v1($1::uuid[], $2::integer);

-- counts(fresh_ms) — the same question to Postgres
SELECT online, reachable, available FROM availability.counts_v1($1::integer);

-- loads() — the same question to Postgres
SELECT load, mitras FROM availability.loads_v1() ORDER BY load;

-- record_beats(mitras, ages_ms) — write beats down by their age, so that no two clocks must agree
SELECT mitra_id, outcome
FROM availability.record_beats_v1(
  $1::uuid[],
  (SELECT array_agg(clock_timestamp() - age * interval '1 millisecond' ORDER BY place)
   FROM unnest($2::float8[]) WITH ORDINALITY AS a (age, place))
);

-- take_seeding(holder, life_ms) — take or keep the right to seed; no row when another holds it
SELECT pg_epoch FROM availability.take_seeding_v1($1::uuid, $2::integer);

-- release_seeding(holder) — give it back
SELECT availability.release_seeding_v1($1::uuid);
