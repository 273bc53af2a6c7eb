-- bury(consumer, stream, stream_seq, subject, event_id, body, headers, reason, error, deliveries) — keep what could not be handled
INSERT INTO dead_letters
    (consumer, stream, stream_seq, subject, event_id, body, headers, reason, error, deliveries)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (consumer, stream, stream_seq, event_id)
DO UPDATE SET deliveries = excluded.deliveries, error = excluded.error, replayed_at = NULL;

-- waiting(limit) — what nobody has replayed yet, oldest first
SELECT id, consumer, stream, stream_seq, subject, event_id, body, headers, reason, error,
       deliveries, buried_at
FROM dead_letters WHERE replayed_at IS NULL ORDER BY buried_at, id LIMIT $1;

-- one(id) — a single dead letter, replayed or not
SELECT id, consumer, stream, stream_seq, subject, event_id, body, headers, reason, error,
       deliveries, buried_at
FROM dead_letters WHERE id = $1;

-- replayed(id) — it was told again
UPDATE dead_letters SET replayed_at = clock_timestamp() WHERE id = $1;
