-- claim_request(offer_id, mitra_id) — the one guarded write that decides who wins: request still searching, my offer open and unexpired
WITH claimed AS (
    UPDATE requests r
    SET state = 'matched', mitra_id = $2, next_ring_at = NULL, settled_at = clock_timestamp(),
        version = r.version + 1
    FROM offers o
    WHERE o.id = $1 AND o.mitra_id = $2 AND o.state = 'open' AND o.expires_at > clock_timestamp()
      AND r.id = o.request_id AND r.attempt = o.attempt
      AND r.state = 'searching' AND r.wait_until > clock_timestamp()
    RETURNING r.id, r.customer_id, r.tier_id, r.tier_version, r.duration_seconds, r.price_idr,
        r.topic, r.sensitivity, r.settled_at,
        extract(epoch FROM r.settled_at - (r.wait_until - r.wait))::float8 AS waited_seconds
), taken AS (
    -- Guarded anew: the claim may have waited for a lock while the offer's life ended.
    UPDATE offers o
    SET state = 'accepted', settled_at = clock_timestamp(),
        delivered_at = coalesce(o.delivered_at, clock_timestamp()),
        seen_at = coalesce(o.seen_at, clock_timestamp())
    FROM claimed
    WHERE o.id = $1 AND o.state = 'open' AND o.expires_at > clock_timestamp()
    RETURNING o.id
)
SELECT claimed.id, claimed.customer_id, claimed.tier_id, claimed.tier_version,
    claimed.duration_seconds, claimed.price_idr, claimed.topic, claimed.sensitivity,
    claimed.settled_at, claimed.waited_seconds, EXISTS (SELECT 1 FROM taken) AS taken
FROM claimed;

-- open_session(request_id, customer_id, mitra_id, tier_id, tier_version, duration_seconds, price_idr, topic, sensitivity) — the winner's session, in the slot rules of chat
SELECT outcome, session_id, state
FROM chat.open_session_v1($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- finish_claim(request_id, session_id, offer_id) — note the session and take the offer back from everyone else
WITH noted AS (
    UPDATE requests SET session_id = $2 WHERE id = $1 AND state = 'matched'
), falling AS (
    SELECT id FROM offers WHERE request_id = $1 AND state = 'open' AND id <> $3
    ORDER BY id
    FOR UPDATE
)
UPDATE offers o
SET state = 'withdrawn', reason = 'taken', settled_at = clock_timestamp()
FROM falling
WHERE o.id = falling.id AND o.state = 'open'
RETURNING o.id, o.mitra_id, o.request_id;

-- standing(offer_id, mitra_id) — the offer beside its request, after a claim that found nothing
SELECT o.state AS offer_state, o.expires_at <= clock_timestamp() AS late,
    o.attempt AS offer_attempt, o.request_id, r.customer_id, r.state AS request_state,
    r.attempt AS request_attempt, r.mitra_id, r.session_id
FROM offers o JOIN requests r ON r.id = o.request_id
WHERE o.id = $1 AND o.mitra_id = $2;

-- session_of_request(request_id, mitra_id) — the living session of a request, as chat says, if it is this mitra's
SELECT session_id, state FROM chat.session_of_request_v1($1) WHERE mitra_id = $2;

-- request_of_offer(offer_id, mitra_id) — which attempt of which request an offer is for
SELECT request_id, attempt FROM offers WHERE id = $1 AND mitra_id = $2;

-- offer(offer_id, mitra_id) — one offer of this mitra, whatever its state
SELECT o.id, o.request_id, o.attempt, o.mitra_id, o.state, o.reason, o.created_at, o.expires_at,
    r.topic, r.sensitivity, r.duration_seconds, r.price_idr
FROM offers o JOIN requests r ON r.id = o.request_id
WHERE o.id = $1 AND o.mitra_id = $2;

-- open_offers(mitra_id) — what an active mitra may accept at this moment
SELECT o.id, o.request_id, o.attempt, o.mitra_id, o.state, o.reason, o.created_at, o.expires_at,
    r.topic, r.sensitivity, r.duration_seconds, r.price_idr
FROM offers o JOIN requests r ON r.id = o.request_id
WHERE o.mitra_id = $1 AND o.state = 'open' AND o.expires_at > clock_timestamp()
  AND r.state = 'searching' AND r.attempt = o.attempt AND r.wait_until > clock_timestamp()
  AND EXISTS (
      SELECT 1 FROM auth.mitra_directory_v1(ARRAY[$1::uuid]) d WHERE d.is_active
  )
ORDER BY o.id;

-- decline_offer(offer_id, mitra_id) — her no; no row when the offer is not open any more
UPDATE offers
SET state = 'declined', settled_at = clock_timestamp(),
    delivered_at = coalesce(delivered_at, clock_timestamp()),
    seen_at = coalesce(seen_at, clock_timestamp())
WHERE id = $1 AND mitra_id = $2 AND state = 'open' AND expires_at > clock_timestamp()
RETURNING request_id;

-- note_seen(offer_id, mitra_id) — she looked at it; keeps the first time
UPDATE offers
SET seen_at = coalesce(seen_at, clock_timestamp()),
    delivered_at = coalesce(delivered_at, clock_timestamp())
WHERE id = $1 AND mitra_id = $2
RETURNING id;

-- note_delivered(offer_id, mitra_id) — her app has it; keeps the first time
UPDATE offers
SET delivered_at = coalesce(delivered_at, clock_timestamp())
WHERE id = $1 AND mitra_id = $2
RETURNING id;

-- expire_offers(offer_ids) — those whose life is over and that nobody else is moving just now
WITH due AS (
    SELECT id FROM offers
    WHERE id = ANY ($1::uuid[]) AND state = 'open' AND expires_at <= clock_timestamp()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE offers o
SET state = 'expired', settled_at = clock_timestamp()
FROM due
WHERE o.id = due.id AND o.state = 'open'
RETURNING o.id, o.mitra_id, o.request_id;

-- withdraw_offers_of_gone(mitra_id, reason, fresh_ms) — open offers of a mitra whom availability does not call reachable now
WITH falling AS (
    SELECT id FROM offers
    WHERE mitra_id = $1 AND state = 'open' AND NOT EXISTS (
        SELECT 1 FROM availability.is_reachable_v1(ARRAY[$1::uuid], $3) p WHERE p.reachable
    )
    ORDER BY id
    FOR UPDATE
)
UPDATE offers o
SET state = 'withdrawn', reason = $2, settled_at = clock_timestamp()
FROM falling
WHERE o.id = falling.id AND o.state = 'open'
RETURNING o.id, o.mitra_id, o.request_id;

-- withdraw_offers_of_inactive(mitra_id, reason) — open offers of a mitra whom the directory does not call active now
WITH falling AS (
    SELECT id FROM offers
    WHERE mitra_id = $1 AND state = 'open' AND NOT EXISTS (
        SELECT 1 FROM auth.mitra_directory_v1(ARRAY[$1::uuid]) d WHERE d.is_active
    )
    ORDER BY id
    FOR UPDATE
)
UPDATE offers o
SET state = 'withdrawn', reason = $2, settled_at = clock_timestamp()
FROM falling
WHERE o.id = falling.id AND o.state = 'open'
RETURNING o.id, o.mitra_id, o.request_id;
