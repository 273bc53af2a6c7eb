-- add_load(mitra_id, capacity, capacity_from) — the load row of a mitra, if she has none
INSERT INTO mitra_load (mitra_id, capacity, capacity_from) VALUES ($1, $2, $3) ON CONFLICT (mitra_id) DO NOTHING;

-- add_usual_load(mitra_id) — the load row that open_session_v1 would make, if she has none
INSERT INTO mitra_load (mitra_id, capacity, capacity_from)
SELECT $1, default_capacity, 'default' FROM limits ON CONFLICT (mitra_id) DO NOTHING;

-- hold_load(mitra_id) — locks her load row
SELECT capacity, capacity_from, version FROM mitra_load WHERE mitra_id = $1 FOR UPDATE;

-- set_capacity(mitra_id, capacity, capacity_from) — how many sessions she may hold from now on
UPDATE mitra_load SET capacity = $2, capacity_from = $3, version = version + 1, changed_at = clock_timestamp()
WHERE mitra_id = $1
RETURNING version;

-- load_of(mitra_id) — slots held, capacity and version, from one statement
SELECT mitra_id, load, capacity, version FROM mitra_load_v1(ARRAY[$1::uuid]);

-- is_active_mitra(mitra_id) — what the directory says now
SELECT EXISTS (SELECT FROM auth.mitra_directory_v1(ARRAY[$1::uuid]) AS d WHERE d.is_active);

-- is_known_mitra(mitra_id) — whether the directory has her, active or not
SELECT EXISTS (SELECT FROM auth.mitra_directory_v1(ARRAY[$1::uuid]));

-- mitra_names(mitra_ids) — display names
SELECT mitra_id AS id, display_name FROM auth.mitra_directory_v1($1::uuid[]);

-- customer_names(customer_ids) — display names
SELECT customer_id AS id, display_name FROM auth.customer_directory_v1($1::uuid[]);

-- note_act(operator_id, act, subject_id, detail) — what an operator did
INSERT INTO operator_acts (operator_id, act, subject_id, detail) VALUES ($1, $2, $3, $4::jsonb);
