-- claim_key(owner, route, key, body_sha256) — no row when the wish is known; waits for a parallel twin
INSERT INTO idempotency (owner, route, key, body_sha256)
VALUES ($1::uuid, $2::text, $3::text, $4::bytea)
ON CONFLICT (owner, route, key) DO UPDATE
SET body_sha256 = excluded.body_sha256,
    status = NULL,
    reply = NULL,
    created_at = clock_timestamp()
WHERE idempotency.created_at <= clock_timestamp() - interval '24 hours'
RETURNING key;

-- find_reply(owner, route, key) — what was answered to this wish
SELECT body_sha256, status, reply
FROM idempotency
WHERE owner = $1::uuid AND route = $2::text AND key = $3::text;

-- save_reply(owner, route, key, status, reply) — in the transaction that did what was wished
UPDATE idempotency
SET status = $4::integer, reply = $5::bytea
WHERE owner = $1::uuid AND route = $2::text AND key = $3::text
RETURNING key;

-- prune_replies(most) — forget wishes older than a day
DELETE FROM idempotency
WHERE (owner, route, key) IN (
    SELECT owner, route, key
    FROM idempotency
    WHERE created_at <= clock_timestamp() - interval '24 hours'
    ORDER BY created_at
    LIMIT $1::integer
);
