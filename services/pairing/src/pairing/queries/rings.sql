-- search(request_id) — a request whose ring is due, and whom not to ask again
SELECT r.id, r.attempt, r.excluded_mitras || coalesce(
    (
        SELECT array_agg(o.mitra_id) FROM offers o
        WHERE o.request_id = r.id AND (o.attempt = r.attempt OR o.state = 'declined')
    ),
    '{}'
) AS exclude
FROM requests r
WHERE r.id = $1 AND r.state = 'searching' AND r.next_ring_at <= clock_timestamp()
  AND r.wait_until > clock_timestamp();

-- lock_ring(request_id, attempt) — the right to send this ring: nobody else has, and nobody is moving the request
SELECT id, customer_id, ring, topic, sensitivity, duration_seconds, price_idr
FROM requests
WHERE id = $1 AND attempt = $2 AND state = 'searching' AND next_ring_at <= clock_timestamp()
  AND wait_until > clock_timestamp()
FOR UPDATE SKIP LOCKED;

-- lock_mitras(mitra_ids) — one ring at a time counts a mitra's open offers, and none is placed while hers are withdrawn; ids in ascending order
SELECT pg_advisory_xact_lock(hashtextextended('pairing.offers:' || m.id::text, 0))
FROM unnest($1::uuid[]) AS m (id);

-- place_offers(request_id, attempt, ring, mitra_ids, excluded_ids, ring_size, spare_offers, life_seconds) — weigh each candidate, note why she is in or out, and write the offers
WITH weighed AS (
    SELECT c.mitra_id, c.place, r.load, r.capacity,
        CASE
            WHEN NOT r.is_active THEN 'deactivated'
            -- Nobody of that name went online, or she left since the mirror was asked.
            WHEN r.is_online IS NOT TRUE THEN 'offline'
            WHEN c.mitra_id = ANY ($5::uuid[]) THEN 'excluded'
            WHEN EXISTS (
                SELECT 1 FROM offers o
                WHERE o.request_id = $1 AND o.attempt = $2 AND o.mitra_id = c.mitra_id
            ) THEN 'asked_before'
            WHEN r.load >= r.capacity THEN 'full'
            WHEN r.capacity - r.load + $7::int <= (
                SELECT count(*) FROM offers o
                WHERE o.mitra_id = c.mitra_id AND o.state = 'open'
                  AND o.expires_at > clock_timestamp()
            ) THEN 'too_many_offers'
            ELSE 'eligible'
        END AS verdict
    FROM unnest($4::uuid[]) WITH ORDINALITY AS c (mitra_id, place)
    LEFT JOIN availability.mirror_rows_of_v1($4::uuid[]) r ON r.mitra_id = c.mitra_id
), ranked AS (
    SELECT w.mitra_id, w.load, w.capacity, w.verdict,
        row_number() OVER (PARTITION BY w.verdict ORDER BY w.place) AS nth
    FROM weighed w
), chosen AS (
    SELECT k.mitra_id, k.load, k.capacity,
        CASE
            WHEN k.verdict <> 'eligible' THEN k.verdict
            WHEN k.nth <= $6 THEN 'offered'
            ELSE 'spare'
        END AS verdict
    FROM ranked k
), noted AS (
    INSERT INTO decisions (request_id, attempt, ring, mitra_id, verdict, load, capacity)
    SELECT $1, $2, $3, c.mitra_id, c.verdict, c.load, c.capacity FROM chosen c
    ON CONFLICT (request_id, attempt, ring, mitra_id) DO UPDATE
    SET verdict = excluded.verdict, load = excluded.load, capacity = excluded.capacity,
        decided_at = excluded.decided_at
)
INSERT INTO offers (request_id, attempt, ring, mitra_id, expires_at)
SELECT $1, $2, $3, c.mitra_id,
    least(clock_timestamp() + make_interval(secs => $8), (SELECT wait_until FROM requests WHERE id = $1))
FROM chosen c
WHERE c.verdict = 'offered'
RETURNING id, mitra_id, created_at, expires_at;

-- close_ring(request_id, placed, ring_seconds, empty_ring_seconds) — plan the next ring: sooner while nobody is asked
UPDATE requests r
SET ring = r.ring + CASE WHEN $2::int > 0 THEN 1 ELSE 0 END,
    asked = r.asked + $2::int,
    version = r.version + CASE WHEN $2::int > 0 THEN 1 ELSE 0 END,
    next_ring_at = clock_timestamp() + make_interval(secs => CASE
        WHEN $2::int > 0 OR EXISTS (
            SELECT 1 FROM offers o
            WHERE o.request_id = r.id AND o.state = 'open' AND o.expires_at > clock_timestamp()
        ) THEN $3::float8
        ELSE $4::float8
    END)
WHERE r.id = $1 AND r.state = 'searching';

-- hasten_rings(request_ids) — nobody is asked any more: the next ring is due at once
WITH idle AS (
    SELECT r.id FROM requests r
    WHERE r.id = ANY ($1::uuid[]) AND r.state = 'searching' AND r.next_ring_at > clock_timestamp()
      AND NOT EXISTS (
          SELECT 1 FROM offers o
          WHERE o.request_id = r.id AND o.state = 'open' AND o.expires_at > clock_timestamp()
      )
    ORDER BY r.id
    FOR UPDATE SKIP LOCKED
)
UPDATE requests r SET next_ring_at = clock_timestamp() FROM idle WHERE r.id = idle.id
RETURNING r.id;

-- due(limit) — deadlines that have passed, as the published function lists them
SELECT kind, id FROM pairing.due_v1($1);

-- seconds_to_next() — until the next deadline of anyone, by Postgres' clock; null when there is none
SELECT extract(epoch FROM least(
    (SELECT min(wait_until) FROM requests WHERE state = 'searching'),
    (SELECT min(next_ring_at) FROM requests WHERE state = 'searching'),
    (SELECT min(expires_at) FROM offers WHERE state = 'open')
) - clock_timestamp())::float8;

-- prune_offers(days, limit) — settled offers of settled requests that are old enough
DELETE FROM offers WHERE id IN (
    SELECT o.id FROM offers o JOIN requests r ON r.id = o.request_id
    WHERE o.settled_at < clock_timestamp() - make_interval(days => $1) AND r.state <> 'searching'
    LIMIT $2
)
RETURNING id;

-- prune_decisions(days, limit) — decisions that are old enough
DELETE FROM decisions WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM decisions
    WHERE decided_at < clock_timestamp() - make_interval(days => $1)
    LIMIT $2
))
RETURNING request_id;
