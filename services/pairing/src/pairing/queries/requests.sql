-- request_by_key(customer_id, idempotency_key) — what this key made before, with the fingerprint of its body
SELECT id, customer_id, state, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    attempt, ring, asked, created_at, wait_until, settled_at, mitra_id, session_id, version,
    fingerprint
FROM requests WHERE customer_id = $1 AND idempotency_key = $2;

-- offered_tier(tier_id) — the tier's version that is on offer now
SELECT tier_id, version, duration_seconds, price_idr FROM chat.tier_v1($1);

-- open_request(customer_id, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity, wait_seconds, idempotency_key, fingerprint) — a new search whose first ring is due at once; no row while the service is closed, when the customer searches already or the key was used
INSERT INTO requests (
    customer_id, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    wait, wait_until, next_ring_at, idempotency_key, fingerprint
)
SELECT
    $1, $2, $3, $4, $5, $6, $7,
    make_interval(secs => $8), clock_timestamp() + make_interval(secs => $8), clock_timestamp(),
    $9, $10
WHERE service_open()
ON CONFLICT DO NOTHING
RETURNING id, customer_id, state, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    attempt, ring, asked, created_at, wait_until, settled_at, mitra_id, session_id, version;

-- service_now() — whether new requests are taken; else why not, and when again as far as it is known
WITH plan AS MATERIALIZED (
    SELECT starts_at, is_open, why FROM availability.service_plan_v1()
)
SELECT is_open, why, (SELECT min(starts_at) FROM plan WHERE is_open) AS opens_at
FROM plan ORDER BY starts_at LIMIT 1;

-- open_request_of(customer_id) — the request this customer searches with now
SELECT id FROM requests WHERE customer_id = $1 AND state = 'searching';

-- request(request_id) — one request, whoever asked
SELECT id, customer_id, state, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    attempt, ring, asked, created_at, wait_until, settled_at, mitra_id, session_id, version
FROM requests WHERE id = $1;

-- current_request(customer_id, outcome_seconds) — the open request, else the newest one that was settled lately
SELECT id, customer_id, state, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    attempt, ring, asked, created_at, wait_until, settled_at, mitra_id, session_id, version
FROM requests
WHERE customer_id = $1
  AND (state = 'searching' OR settled_at > clock_timestamp() - make_interval(secs => $2))
ORDER BY (state = 'searching') DESC, id DESC
LIMIT 1;

-- list_requests(state, after, limit) — newest first, those before the cursor
SELECT id, customer_id, state, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    attempt, ring, asked, created_at, wait_until, settled_at, mitra_id, session_id, version
FROM requests
WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC
LIMIT $3;

-- cancel_request(request_id, customer_id) — the customer's own searching request ends; no row when it is not searching
UPDATE requests
SET state = 'cancelled', next_ring_at = NULL, settled_at = clock_timestamp(), version = version + 1
WHERE id = $1 AND customer_id = $2 AND state = 'searching'
RETURNING id, customer_id, state, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity,
    attempt, ring, asked, created_at, wait_until, settled_at, mitra_id, session_id, version;

-- expire_requests(request_ids) — those whose wait is over and that nobody else is moving just now
WITH due AS (
    SELECT id FROM requests
    WHERE id = ANY ($1::uuid[]) AND state = 'searching' AND wait_until <= clock_timestamp()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE requests r
SET state = 'expired', next_ring_at = NULL, settled_at = clock_timestamp(), version = r.version + 1
FROM due
WHERE r.id = due.id AND r.state = 'searching'
RETURNING r.id, r.customer_id, r.state, r.tier_id, r.tier_version, r.duration_seconds, r.price_idr, r.topic,
    r.sensitivity, r.attempt, r.ring, r.asked, r.created_at, r.wait_until, r.settled_at, r.mitra_id,
    r.session_id, r.version;

-- withdraw_offers_of(request_ids, reason) — all open offers of requests that the caller has locked
WITH falling AS (
    SELECT id FROM offers
    WHERE request_id = ANY ($1::uuid[]) AND state = 'open'
    ORDER BY id
    FOR UPDATE
)
UPDATE offers o
SET state = 'withdrawn', reason = $2, settled_at = clock_timestamp()
FROM falling
WHERE o.id = falling.id AND o.state = 'open'
RETURNING o.id, o.mitra_id, o.request_id;

-- tell_chat_ended(request_ids, reason) — what was paid for these requests falls due for refund
SELECT chat.request_ended_v1(ended.id, $2)
FROM unnest($1::uuid[]) WITH ORDINALITY AS ended (id, place)
ORDER BY ended.place;

-- mitras(mitra_ids) — how the directory names them
SELECT mitra_id, display_name, is_active FROM auth.mitra_directory_v1($1::uuid[]);

-- offers_of_request(request_id) — everyone who was asked, in order
SELECT id, attempt, ring, mitra_id, state, reason, created_at, expires_at, delivered_at, seen_at,
    settled_at
FROM offers WHERE request_id = $1
ORDER BY id;

-- decisions_of_request(request_id) — everyone who was considered, ring by ring
SELECT attempt, ring, mitra_id, verdict, load, capacity, decided_at
FROM decisions WHERE request_id = $1
ORDER BY attempt, ring, mitra_id;

-- stats() — searches now and outcomes of the last hour
WITH hour AS (
    SELECT state, extract(epoch FROM settled_at - created_at)::float8 AS waited
    FROM requests WHERE settled_at > clock_timestamp() - interval '1 hour'
), asked AS (
    SELECT state, extract(epoch FROM settled_at - created_at)::float8 AS answered
    FROM offers WHERE created_at > clock_timestamp() - interval '1 hour'
)
SELECT
    (SELECT count(*) FROM requests WHERE state = 'searching') AS searching,
    (SELECT extract(epoch FROM clock_timestamp() - min(wait_until - wait))::float8
     FROM requests WHERE state = 'searching') AS oldest_search_seconds,
    (SELECT count(*) FROM hour WHERE state = 'matched') AS matched,
    (SELECT count(*) FROM hour WHERE state = 'expired') AS expired,
    (SELECT count(*) FROM hour WHERE state = 'cancelled') AS cancelled,
    (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY waited)
     FROM hour WHERE state = 'matched') AS wait_p50_seconds,
    (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY waited)
     FROM hour WHERE state = 'matched') AS wait_p95_seconds,
    (SELECT count(*) FROM asked) AS offers,
    (SELECT count(*) FROM asked WHERE state = 'accepted') AS accepted,
    (SELECT count(*) FROM asked WHERE state = 'declined') AS declined,
    (SELECT count(*) FROM asked WHERE state = 'expired') AS unanswered,
    (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY answered)
     FROM asked WHERE state = 'accepted') AS answer_p50_seconds;
