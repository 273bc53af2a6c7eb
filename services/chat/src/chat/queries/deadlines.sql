-- due(most) — deadlines that have passed, oldest first
SELECT kind, id, due_at FROM due_v1($1);

-- upcoming(within) — in how many seconds the next deadlines come
SELECT extract(epoch FROM soon.at - clock_timestamp())::float8 AS seconds FROM (
    (SELECT pay_by AS at FROM sessions WHERE state = 'pending_payment'
       AND pay_by BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY pay_by LIMIT 100)
    UNION ALL
    (SELECT warn_at FROM sessions WHERE state = 'active' AND warn_at IS NOT NULL
       AND warn_at BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY warn_at LIMIT 100)
    UNION ALL
    (SELECT ends_at FROM sessions WHERE state = 'active'
       AND ends_at BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY ends_at LIMIT 100)
    UNION ALL
    (SELECT show_up_by FROM sessions WHERE state = 'active' AND show_up_by IS NOT NULL
       AND show_up_by BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY show_up_by LIMIT 100)
    UNION ALL
    (SELECT lost_by FROM sessions WHERE state = 'active' AND lost_by IS NOT NULL
       AND lost_by BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY lost_by LIMIT 100)
    UNION ALL
    (SELECT expired_until FROM sessions WHERE state = 'expired' AND open_extension_id IS NULL
       AND expired_until BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval
     ORDER BY expired_until LIMIT 100)
    UNION ALL
    (SELECT closing_until FROM sessions WHERE state = 'closing'
       AND closing_until BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval
     ORDER BY closing_until LIMIT 100)
    UNION ALL
    (SELECT answer_by FROM extensions WHERE state = 'requested'
       AND answer_by BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY answer_by LIMIT 100)
    UNION ALL
    (SELECT pay_by FROM extensions WHERE state = 'accepted'
       AND pay_by BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval ORDER BY pay_by LIMIT 100)
) AS soon;

-- mitras_alive(mitra_ids, silence) — a sign of life of these mitras, where their sessions wait for one
WITH waiting AS (
    SELECT id FROM sessions
    WHERE mitra_id = ANY ($1::uuid[]) AND state = 'active' AND first_reply_at IS NULL
      AND (show_up_by IS NULL OR show_up_by > clock_timestamp())
      AND (lost_by IS NULL OR lost_by > clock_timestamp())
      AND (show_up_by IS NOT NULL OR lost_by IS NULL OR lost_by < clock_timestamp() + $2::interval * 0.9)
    ORDER BY id FOR UPDATE
)
UPDATE sessions AS s SET show_up_by = NULL, lost_by = clock_timestamp() + $2::interval
FROM waiting WHERE s.id = waiting.id;

-- mitra_left(mitra_id, lost) — her last socket is gone: she is lost unless she gives a sign of life in time
WITH waiting AS (
    SELECT id FROM sessions
    WHERE mitra_id = $1 AND state = 'active' AND first_reply_at IS NULL AND show_up_by IS NULL
    ORDER BY id FOR UPDATE
)
UPDATE sessions AS s SET lost_by = least(s.lost_by, clock_timestamp() + $2::interval)
FROM waiting WHERE s.id = waiting.id;

-- reopen_request(request_id, mitra_id) — pairing lets the request search again, without this mitra
SELECT pairing.reopen_request_v1($1, $2);
