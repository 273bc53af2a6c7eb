-- append(ids, subjects, bodies, headers, claim_seconds) — events of this transaction, claimed by their writer
INSERT INTO outbox (id, subject, body, headers, claimed_until)
SELECT e.id, e.subject, e.body::jsonb, e.headers::jsonb,
       clock_timestamp() + make_interval(secs => $5)
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
     WITH ORDINALITY AS e (id, subject, body, headers, place)
ORDER BY e.place;

-- claim(limit, claim_seconds) — unpublished events that nobody is publishing, oldest first
UPDATE outbox SET claimed_until = clock_timestamp() + make_interval(secs => $2)
WHERE id IN (
    SELECT id FROM outbox
    WHERE published_at IS NULL
      AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
    ORDER BY position LIMIT $1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, subject, body::text AS body, headers::text AS headers, created_at, position;

-- mark(ids, sequences) — the stream holds these; returns sequences that another event already claims
WITH acknowledged AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS a (id, stream_seq)
), marked AS (
    UPDATE outbox o SET published_at = clock_timestamp(), stream_seq = a.stream_seq
    FROM acknowledged a WHERE o.id = a.id AND o.published_at IS NULL
    RETURNING o.id, o.stream_seq
)
SELECT min(other.stream_seq) FROM marked m
JOIN outbox other ON other.stream_seq = m.stream_seq AND other.id <> m.id;

-- highest_seq() — the last sequence that the stream ever gave us
SELECT max(stream_seq) FROM outbox WHERE stream_seq IS NOT NULL;

-- forget_above(stream_seq) — the stream lost everything above: publish it again
UPDATE outbox SET published_at = NULL, stream_seq = NULL, claimed_until = NULL
WHERE stream_seq > $1;

-- backlog() — how many wait, and for how long the oldest has waited, in seconds
SELECT count(*) AS waiting,
       COALESCE(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest
FROM (
    SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT 10000
) AS unpublished;

-- prune(seconds, limit) — published events that nobody will replay
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox
    WHERE published_at IS NOT NULL
      AND published_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY published_at LIMIT $2
);
