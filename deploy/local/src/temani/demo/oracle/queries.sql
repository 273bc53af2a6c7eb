-- requests_with_two_sessions() — I1: more than one session that was not rerouted
SELECT request_id, count(*) AS sessions, array_agg(id ORDER BY id) AS session_ids
FROM chat.sessions WHERE state <> 'rerouted'
GROUP BY request_id HAVING count(*) > 1;

-- unmatched_sessions() — I1: a session whose request says something else
SELECT s.id AS session_id, s.request_id, s.mitra_id, s.state,
       r.state AS request_state, r.session_id AS request_session, r.mitra_id AS request_mitra
FROM chat.sessions AS s
LEFT JOIN pairing.requests AS r ON r.id = s.request_id
WHERE s.state <> 'rerouted'
  AND (r.id IS NULL OR r.state <> 'matched' OR r.session_id IS DISTINCT FROM s.id
       OR r.mitra_id IS DISTINCT FROM s.mitra_id);

-- lonely_matches() — I1: a matched request without its session
SELECT r.id AS request_id, r.session_id
FROM pairing.requests AS r
LEFT JOIN chat.sessions AS s ON s.id = r.session_id AND s.request_id = r.id
WHERE r.state = 'matched' AND s.id IS NULL;

-- double_accepts() — I1: two accepted offers in one search
SELECT request_id, attempt, count(*) AS offers
FROM pairing.offers WHERE state = 'accepted'
GROUP BY request_id, attempt HAVING count(*) > 1;

-- sessions(ids) — I1: what became of sessions that clients were promised
SELECT id, request_id, mitra_id, state FROM chat.sessions WHERE id = ANY($1::uuid[]);

-- shared_slots() — I2: one place held twice
SELECT mitra_id, slot, count(*) AS sessions
FROM chat.sessions WHERE slot IS NOT NULL
GROUP BY mitra_id, slot HAVING count(*) > 1;

-- capacities() — I2: the highest capacity each mitra ever had
SELECT l.mitra_id,
       greatest(l.capacity, coalesce(max((o.body ->> 'capacity')::int), l.capacity)) AS capacity
FROM chat.mitra_load AS l
LEFT JOIN chat.outbox AS o
  ON o.subject = 'evt.chat.capacity_changed.v1' AND (o.body ->> 'mitra_id')::uuid = l.mitra_id
GROUP BY l.mitra_id, l.capacity;

-- slot_holders() — I2: how many hold a place now, and the highest place
SELECT mitra_id, count(*) AS held, max(slot) AS highest
FROM chat.sessions WHERE slot IS NOT NULL GROUP BY mitra_id;

-- session_steps() — I2, I4, I5, I8: each session's events in the order of their commits
SELECT (o.body ->> 'session_id')::uuid AS session_id, o.position,
       split_part(o.subject, '.', 3) AS noun, (o.body ->> 'version')::bigint AS version,
       o.body ->> 'reason' AS reason, o.created_at
FROM chat.outbox AS o
WHERE o.subject LIKE 'evt.chat.session\_%'
ORDER BY o.position;

-- session_rows() — I2, I5, I8: each session as it stands
SELECT id, mitra_id, state, slot, created_at, ends_at, completed_at FROM chat.sessions;

-- request_steps() — I4, I8: each request's events in the order of their commits
SELECT (o.body ->> 'request_id')::uuid AS request_id, o.position,
       split_part(o.subject, '.', 3) AS noun, o.created_at
FROM pairing.outbox AS o
WHERE o.subject LIKE 'evt.pairing.request\_%'
ORDER BY o.position;

-- request_rows() — I4, I5, I8: each request as it stands
SELECT id, state, attempt, wait_until, created_at FROM pairing.requests;

-- online_steps() — I4: each mitra's switches in the order of their commits
SELECT (o.body ->> 'mitra_id')::uuid AS mitra_id, o.position,
       split_part(o.subject, '.', 3) AS noun, (o.body ->> 'version')::bigint AS version
FROM availability.outbox AS o
WHERE o.subject IN ('evt.availability.mitra_online.v1', 'evt.availability.mitra_offline.v1')
ORDER BY o.position;

-- online_rows() — I4: who is online
SELECT mitra_id, is_online, version FROM availability.mitra_status;

-- active_steps() — I4, I9: each mitra's deactivations in the order of their commits
SELECT (o.body ->> 'mitra_id')::uuid AS mitra_id, o.position,
       split_part(o.subject, '.', 3) AS noun, o.created_at
FROM auth.outbox AS o
WHERE o.subject IN ('evt.auth.mitra_deactivated.v1', 'evt.auth.mitra_reactivated.v1')
ORDER BY o.position;

-- active_rows() — I4: who is active
SELECT mitra_id, is_active FROM auth.mitras;

-- unpublished() — I4: events that no stream has confirmed
SELECT 'auth' AS service, id, subject, created_at FROM auth.outbox WHERE published_at IS NULL
UNION ALL
SELECT 'availability', id, subject, created_at FROM availability.outbox WHERE published_at IS NULL
UNION ALL
SELECT 'pairing', id, subject, created_at FROM pairing.outbox WHERE published_at IS NULL
UNION ALL
SELECT 'chat', id, subject, created_at FROM chat.outbox WHERE published_at IS NULL
UNION ALL
SELECT 'sweeper', id, subject, created_at FROM sweeper.outbox WHERE published_at IS NULL;

-- overdue(grace_seconds) — I5: rows that are past their deadline for longer than the grace
SELECT due.owner, due.kind, due.id,
       extract(epoch FROM clock_timestamp() - due.due_at)::float8 AS late_seconds
FROM (
    SELECT 'auth' AS owner, d.kind, d.id, d.due_at FROM auth.due_v1(1000) AS d
    UNION ALL
    SELECT 'availability', d.kind, d.id, d.due_at FROM availability.due_v1(1000) AS d
    UNION ALL
    SELECT 'pairing', d.kind, d.id, d.due_at FROM pairing.due_v1(1000) AS d
    UNION ALL
    SELECT 'chat', d.kind, d.id, d.due_at FROM chat.due_v1(1000) AS d
) AS due
WHERE due.due_at < clock_timestamp() - make_interval(secs => $1);

-- broken_sequences() — I6: sessions whose messages are not 1, 2, 3 …
SELECT s.id AS session_id, s.last_seq, count(m.seq) AS messages, coalesce(max(m.seq), 0) AS highest
FROM chat.sessions AS s
LEFT JOIN chat.messages AS m ON m.session_id = s.id
GROUP BY s.id, s.last_seq
HAVING s.last_seq <> count(m.seq) OR s.last_seq <> coalesce(max(m.seq), 0);

-- messages() — I6: every message
SELECT id, session_id, seq, client_message_id, sender_id FROM chat.messages;

-- doubled_provider_events() — I7: one word of the provider, counted twice
SELECT provider, transaction_id, status, count(*) AS times
FROM chat.payment_events GROUP BY provider, transaction_id, status HAVING count(*) > 1;

-- unbalanced_payments() — I7: the ledger says something else than the payment
SELECT p.id, p.order_id, p.state, p.amount_idr, p.refund_idr,
       coalesce(sum(l.amount_idr) FILTER (WHERE l.kind = 'capture'), 0) AS captured,
       count(l.id) FILTER (WHERE l.kind = 'capture') AS captures,
       coalesce(-sum(l.amount_idr) FILTER (WHERE l.kind = 'refund'), 0) AS refunded
FROM chat.payments AS p
LEFT JOIN chat.ledger AS l ON l.payment_id = p.id
GROUP BY p.id
HAVING coalesce(sum(l.amount_idr) FILTER (WHERE l.kind = 'capture'), 0)
       <> CASE WHEN p.state IN ('paid', 'refund_due', 'refunded') THEN p.amount_idr ELSE 0 END
    OR count(l.id) FILTER (WHERE l.kind = 'capture') > 1
    OR coalesce(-sum(l.amount_idr) FILTER (WHERE l.kind = 'refund'), 0)
       <> CASE WHEN p.state = 'refunded' THEN p.refund_idr ELSE 0 END;

-- payments() — I7: every payment, to compare with the provider's orders
SELECT order_id, state, amount_idr, refund_idr FROM chat.payments;

-- unpaid_talks() — I7: paid time that nobody paid for
SELECT s.id AS session_id, s.state
FROM chat.sessions AS s
WHERE s.activated_at IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM chat.payments AS p
      WHERE p.request_id = s.request_id AND p.extension_id IS NULL
        AND p.state IN ('paid', 'refund_due', 'refunded'));

-- offers_to(mitra, since, until) — I9: offers made to a mitra between two moments
SELECT id, created_at FROM pairing.offers
WHERE mitra_id = $1 AND created_at > $2 AND created_at < $3;

-- sessions_given_to(mitra, since, until) — I9: sessions opened for a mitra between two moments
SELECT id, created_at FROM chat.sessions
WHERE mitra_id = $1 AND created_at > $2 AND created_at < $3;

-- auto_offlined() — I10: who was taken offline for a silence, and when
SELECT mitra_id, ended_at FROM availability.online_intervals WHERE end_reason = 'auto_offline';

-- moment() — the database's clock
SELECT clock_timestamp() AS now;
