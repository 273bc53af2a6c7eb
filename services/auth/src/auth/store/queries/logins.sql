-- active_logins(role, user_id, now) — a person's living logins, oldest first
SELECT login_id, user_id, role, state, generation, seen_generation, rotated_at, device_key, device_name,
       network, user_agent, created_at, last_used_at, expires_at, absolute_expires_at
FROM logins
WHERE role = $1 AND user_id = $2 AND state = 'active' AND expires_at > $3
ORDER BY created_at, login_id;

-- insert_login(login_id, user_id, role, device_key, device_name, network, user_agent, now,
--              expires_at, absolute_expires_at) — a new login with generation 0
INSERT INTO logins (
    login_id, user_id, role, device_key, device_name, network, user_agent,
    rotated_at, created_at, last_used_at, expires_at, absolute_expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8, $9, $10);

-- rotate(login_id, generation, now, customer_idle, mitra_idle, operator_idle) — the next generation
-- Compare-and-set: of many callers with the same token one wins, the others find no row.
UPDATE logins SET
    generation = generation + 1,
    rotated_at = $3,
    last_used_at = $3,
    expires_at = least(absolute_expires_at, $3 + make_interval(secs =>
        CASE role WHEN 'customer' THEN $4::float8 WHEN 'mitra' THEN $5::float8 ELSE $6::float8 END))
WHERE login_id = $1 AND generation = $2 AND state = 'active' AND expires_at > $3
RETURNING login_id, user_id, role, state, generation, seen_generation, rotated_at, device_key,
          device_name, network, user_agent, created_at, last_used_at, expires_at, absolute_expires_at;

-- lock_login(login_id) — a login, locked until the end of the transaction
SELECT login_id, user_id, role, state, generation, seen_generation, rotated_at, device_key, device_name,
       network, user_agent, created_at, last_used_at, expires_at, absolute_expires_at
FROM logins WHERE login_id = $1 FOR NO KEY UPDATE;

-- mark_seen(login_id, generation) — an access token of this generation was honoured
UPDATE logins SET seen_generation = $2
WHERE login_id = $1 AND seen_generation < $2 AND generation >= $2;

-- revoke(login_ids, reason, now) — end those that are still active
-- Locked in the order of their ids, so that two who revoke the same logins never wait in a circle.
WITH held AS (
    SELECT login_id FROM logins
    WHERE login_id = ANY ($1::uuid[]) AND state = 'active'
    ORDER BY login_id FOR NO KEY UPDATE
)
UPDATE logins AS l SET state = 'revoked', ended_at = $3, ended_reason = $2
FROM held
WHERE l.login_id = held.login_id AND l.state = 'active'
RETURNING l.login_id, l.user_id, l.role, l.state, l.generation, l.seen_generation, l.rotated_at,
          l.device_key, l.device_name, l.network, l.user_agent, l.created_at, l.last_used_at,
          l.expires_at, l.absolute_expires_at;

-- expire_login(login_id, now) — end a login that is past its time
UPDATE logins SET state = 'expired', ended_at = $2, ended_reason = 'expired'
WHERE login_id = $1 AND state = 'active' AND expires_at <= $2;

-- untold(seconds, limit) — revoked lately, and Valkey was not told
SELECT login_id FROM logins
WHERE state = 'revoked' AND told_at IS NULL
  AND ended_at > clock_timestamp() - make_interval(secs => $1::float8)
ORDER BY ended_at LIMIT $2;

-- revoked_lately(seconds) — all revoked lately
SELECT login_id FROM logins
WHERE state = 'revoked' AND ended_at > clock_timestamp() - make_interval(secs => $1::float8);

-- told(login_ids) — Valkey knows
UPDATE logins SET told_at = clock_timestamp()
WHERE login_id = ANY ($1::uuid[]) AND state = 'revoked' AND told_at IS NULL;
