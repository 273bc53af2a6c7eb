-- note(consumer, event_id) — remember an event; no row when it was known already
INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)
ON CONFLICT DO NOTHING RETURNING event_id;

-- prune(seconds, limit) — forget events that no stream can deliver again
DELETE FROM inbox WHERE ctid IN (
    SELECT ctid FROM inbox
    WHERE handled_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY handled_at LIMIT $2
);
