-- now() — the database's time at this moment, not at the start of the transaction
SELECT clock_timestamp();

-- take_password_try(account_key, address, now, tries, first_wait, longest_wait, forget_after) — count a failure in advance
-- No row while the account waits. The wait is set before the password is looked at, so that of many
-- at once no more are looked at than may be wrong in a row.
INSERT INTO password_tries AS t (account_key, address, failures, blocked_until, last_at)
VALUES ($1, $2, 1, CASE WHEN $4::int <= 1 THEN $3::timestamptz + make_interval(secs => $5::int) END, $3)
ON CONFLICT (account_key, address) DO UPDATE SET
    failures = CASE WHEN t.last_at < $3 - make_interval(secs => $7::int) THEN 1 ELSE t.failures + 1 END,
    blocked_until = CASE
        WHEN t.last_at < $3 - make_interval(secs => $7::int) AND $4::int > 1 THEN NULL
        WHEN t.failures + 1 >= $4::int THEN
            $3 + make_interval(secs => least($6::int,
                $5::int * power(2, least(t.failures + 1 - $4::int, 20))))
    END,
    last_at = $3
WHERE t.blocked_until IS NULL OR t.blocked_until <= $3
RETURNING t.failures;

-- password_blocked_until(account_key, address) — when the wait ends
SELECT blocked_until FROM password_tries WHERE account_key = $1 AND address = $2;

-- forget_password_tries(account_key, address) — the password was right
DELETE FROM password_tries WHERE account_key = $1 AND address = $2;

-- config() — the edited settings
SELECT version, body, updated_at FROM app_config WHERE section = 'auth';

-- put_config(body, expected, by, now) — replace the settings that were read
INSERT INTO app_config AS c (section, version, body, updated_at, updated_by)
SELECT 'auth', 1, $1::jsonb, $4::timestamptz, $3::uuid WHERE $2::bigint = 0
ON CONFLICT (section) DO NOTHING
RETURNING c.version;

-- replace_config(body, expected, by, now) — the same for settings that were edited before
UPDATE app_config SET version = version + 1, body = $1::jsonb, updated_at = $4, updated_by = $3
WHERE section = 'auth' AND version = $2
RETURNING version;

-- audit(audit_id, book, at, action, actor_role, actor_id, subject_id, login_id, phone_masked, address,
--       user_agent, request_id, detail) — one act
INSERT INTO audit (
    audit_id, book, at, action, actor_role, actor_id, subject_id, login_id, phone_masked, address,
    user_agent, request_id, detail
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::jsonb);

-- audit_before(before, subject_id, action, limit) — newest first
SELECT audit_id, at, book, action, actor_role, actor_id, subject_id, login_id, phone_masked, address,
       user_agent, request_id, detail
FROM audit
WHERE ($1::uuid IS NULL OR audit_id < $1)
  AND ($2::uuid IS NULL OR subject_id = $2 OR actor_id = $2)
  AND ($3::text IS NULL OR action = $3)
ORDER BY audit_id DESC
LIMIT $4;

-- due(limit) — what is past its time; the same list that neighbours get
SELECT kind, id FROM due_v1($1);

-- prune_phones(now, limit) — phones that were quiet for longer than any limit looks back
DELETE FROM otp_phones WHERE phone IN (
    SELECT phone FROM otp_phones WHERE touched_at < $1::timestamptz - interval '25 hours'
    LIMIT $2 FOR UPDATE SKIP LOCKED);

-- prune_addresses(now, limit) — the same for addresses
DELETE FROM otp_addresses WHERE address IN (
    SELECT address FROM otp_addresses WHERE touched_at < $1::timestamptz - interval '2 hours'
    LIMIT $2 FOR UPDATE SKIP LOCKED);

-- prune_minutes(now) — minutes of the past
DELETE FROM otp_minutes WHERE minute < $1::timestamptz - interval '1 hour';

-- prune_tries(now, limit) — wrong passwords of a week ago: longer than any configured memory
DELETE FROM password_tries WHERE (account_key, address) IN (
    SELECT account_key, address FROM password_tries
    WHERE last_at < $1::timestamptz - interval '8 days'
    LIMIT $2 FOR UPDATE SKIP LOCKED);

-- prune_logins(now, limit) — logins that ended long ago
DELETE FROM logins WHERE login_id IN (
    SELECT login_id FROM logins
    WHERE state <> 'active' AND ended_at < $1::timestamptz - interval '90 days'
    LIMIT $2 FOR UPDATE SKIP LOCKED);

-- keep_audit(people_days, control_days) — prepare coming months, drop those past their time
SELECT created, dropped FROM keep_audit($1, $2);
