-- note_drift(found_by, mitras, facts, causes, held, truly) — keep what was mended; returns how many
SELECT availability.note_drift_v1($1, $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]);

-- note_look(kind, seconds, mitras, found, healed) — all of the mirror was compared
SELECT availability.note_look_v1($1, $2::float8, $3::integer, $4::integer, $5::integer);
