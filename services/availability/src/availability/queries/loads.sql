-- loads(mitras) — slots and capacity, with the version and the history of Postgres they belong to
SELECT l.mitra_id, l.load, l.capacity, l.version, e.epoch
FROM chat.mitra_load_v1($1::uuid[]) AS l CROSS JOIN pg_epoch AS e;
