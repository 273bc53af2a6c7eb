-- hold(lease, holder, seconds) — take a free lease or keep our own; no row when another holds it
INSERT INTO leases AS l (name, holder, expires_at)
VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, expires_at = excluded.expires_at,
    fence = l.fence + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
RETURNING fence;

-- note_fence(command, fence) — zero rows where a higher one has spoken
INSERT INTO fences AS f (command, highest) VALUES ($1, $2)
ON CONFLICT (command) DO UPDATE
SET highest = excluded.highest, seen_at = clock_timestamp()
WHERE f.highest <= excluded.highest
RETURNING highest;

-- serve(gap_seconds) — a replica is there to bring beats to; after a gap of all of them, anew
UPDATE serving
SET since = CASE WHEN seen_at < clock_timestamp() - $1 * interval '1 second'
                   OR since > clock_timestamp()  -- it went back
                 THEN clock_timestamp() ELSE since END,
    seen_at = clock_timestamp();

-- was_served(seconds, gap_seconds) — whether there has been one for so long, and is
SELECT since <= clock_timestamp() - $1 * interval '1 second'
   AND seen_at >= clock_timestamp() - $2 * interval '1 second'
FROM serving;
