-- hold_session(session_id) — locks everything a step of this session may touch, in the one order
SELECT hold_session($1) AS now;

-- read_stories(session_ids) — sessions with their horizons, open extension and payments
SELECT s.id, s.request_id, s.customer_id, s.mitra_id, s.state, s.slot, s.tier_id, s.tier_version,
       s.duration_seconds, s.price_idr, s.topic, s.sensitivity, s.created_at, s.version, s.open_extension_id,
       s.pay_by, s.activated_at, s.first_reply_at, s.ends_at, s.warn_at, s.show_up_by, s.lost_by, s.expired_until,
       s.closing_until, s.completed_at, s.ended_reason, s.last_seq, s.customer_delivered_seq, s.customer_read_seq,
       s.mitra_delivered_seq, s.mitra_read_seq, clock_timestamp() AS read_at,
       e.id AS e_id, e.session_id AS e_session_id, e.tier_id AS e_tier_id, e.tier_version AS e_tier_version,
       e.duration_seconds AS e_duration_seconds, e.price_idr AS e_price_idr, e.sensitivity AS e_sensitivity,
       e.state AS e_state, e.requested_at AS e_requested_at, e.answer_by AS e_answer_by,
       e.answered_at AS e_answered_at, e.pay_by AS e_pay_by, e.resolved_at AS e_resolved_at,
       e.resolved_reason AS e_resolved_reason,
       p.id AS p_id, p.request_id AS p_request_id, p.session_id AS p_session_id, p.extension_id AS p_extension_id,
       p.customer_id AS p_customer_id, p.order_id AS p_order_id, p.amount_idr AS p_amount_idr, p.state AS p_state,
       p.created_at AS p_created_at, p.expires_at AS p_expires_at, p.token AS p_token,
       p.redirect_url AS p_redirect_url, p.transaction_id AS p_transaction_id, p.paid_at AS p_paid_at,
       p.check_at AS p_check_at, p.checks AS p_checks, p.refund_idr AS p_refund_idr,
       p.refund_reason AS p_refund_reason, p.refund_at AS p_refund_at, p.refund_tries AS p_refund_tries,
       p.refunded_at AS p_refunded_at,
       x.id AS x_id, x.request_id AS x_request_id, x.session_id AS x_session_id, x.extension_id AS x_extension_id,
       x.customer_id AS x_customer_id, x.order_id AS x_order_id, x.amount_idr AS x_amount_idr, x.state AS x_state,
       x.created_at AS x_created_at, x.expires_at AS x_expires_at, x.token AS x_token,
       x.redirect_url AS x_redirect_url, x.transaction_id AS x_transaction_id, x.paid_at AS x_paid_at,
       x.check_at AS x_check_at, x.checks AS x_checks, x.refund_idr AS x_refund_idr,
       x.refund_reason AS x_refund_reason, x.refund_at AS x_refund_at, x.refund_tries AS x_refund_tries,
       x.refunded_at AS x_refunded_at
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place)
JOIN sessions AS s ON s.id = asked.id
LEFT JOIN extensions AS e ON e.id = s.open_extension_id
LEFT JOIN payments AS p ON p.request_id = s.request_id AND p.extension_id IS NULL
LEFT JOIN payments AS x ON x.extension_id = s.open_extension_id
ORDER BY asked.place;

-- save_session(id, state, slot, sensitivity, open_extension_id, pay_by, activated_at, ends_at, warn_at, show_up_by,
--   lost_by, expired_until, closing_until, completed_at, ended_reason) — writes a held session
UPDATE sessions
SET state = $2, slot = $3, sensitivity = $4, open_extension_id = $5, pay_by = $6, activated_at = $7, ends_at = $8,
    warn_at = $9, show_up_by = $10, lost_by = $11, expired_until = $12, closing_until = $13, completed_at = $14,
    ended_reason = $15
WHERE id = $1
RETURNING version;

-- session_of_request(request_id) — the session that a request has now
SELECT id FROM sessions WHERE request_id = $1 AND state <> 'rerouted';

-- free_slot(mitra_id) — the lowest free slot of a mitra whose load row is held
SELECT min(free.slot)
FROM mitra_load AS l, generate_series(1, l.capacity) AS free (slot)
WHERE l.mitra_id = $1
  AND l.capacity > (SELECT count(*) FROM sessions AS s WHERE s.mitra_id = $1 AND s.slot IS NOT NULL)
  AND NOT EXISTS (SELECT FROM sessions AS s WHERE s.mitra_id = $1 AND s.slot = free.slot);

-- customer_sessions(customer_id, states, before, most) — ids of a customer's sessions, newest first
SELECT id FROM sessions
WHERE customer_id = $1 AND state = ANY ($2::text[]) AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4;

-- mitra_sessions(mitra_id, states, before, most) — ids of a mitra's sessions, newest first, none she lost
SELECT id FROM sessions
WHERE mitra_id = $1 AND state = ANY ($2::text[]) AND state <> 'rerouted' AND ($3::uuid IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4;

-- search_sessions(state, topic, sensitivity, mitra_id, customer_id, created_from, created_until, before,
--   most) — ids of the sessions an operator looks for, newest first
SELECT id FROM sessions
WHERE ($1::text IS NULL OR state = $1)
  AND ($2::text IS NULL OR strpos(lower(topic), lower($2)) > 0)
  AND ($3::text IS NULL OR sensitivity = $3)
  AND ($4::uuid IS NULL OR mitra_id = $4)
  AND ($5::uuid IS NULL OR customer_id = $5)
  AND ($6::timestamptz IS NULL OR created_at >= $6)
  AND ($7::timestamptz IS NULL OR created_at < $7)
  AND ($8::uuid IS NULL OR id < $8)
ORDER BY id DESC LIMIT $9;

-- living_sessions(mitra_id) — a mitra's sessions that have not ended
SELECT id FROM sessions
WHERE mitra_id = $1 AND state IN ('pending_payment', 'active', 'expired', 'closing') ORDER BY id;

-- move_horizon(session_id, user_id, delivered, read) — moves a party's horizons forward, never past the last message
UPDATE sessions
SET customer_delivered_seq = CASE WHEN customer_id = $2
        THEN greatest(customer_delivered_seq, least(greatest($3::bigint, $4::bigint), last_seq))
        ELSE customer_delivered_seq END,
    customer_read_seq = CASE WHEN customer_id = $2
        THEN greatest(customer_read_seq, least($4::bigint, last_seq)) ELSE customer_read_seq END,
    mitra_delivered_seq = CASE WHEN customer_id <> $2
        THEN greatest(mitra_delivered_seq, least(greatest($3::bigint, $4::bigint), last_seq))
        ELSE mitra_delivered_seq END,
    mitra_read_seq = CASE WHEN customer_id <> $2
        THEN greatest(mitra_read_seq, least($4::bigint, last_seq)) ELSE mitra_read_seq END
WHERE id = $1 AND (customer_id = $2 OR (mitra_id = $2 AND state <> 'rerouted'))
  AND ((customer_id = $2 AND (customer_delivered_seq < least(greatest($3::bigint, $4::bigint), last_seq)
                              OR customer_read_seq < least($4::bigint, last_seq)))
    OR (customer_id <> $2 AND (mitra_delivered_seq < least(greatest($3::bigint, $4::bigint), last_seq)
                               OR mitra_read_seq < least($4::bigint, last_seq))))
RETURNING CASE WHEN customer_id = $2 THEN customer_delivered_seq ELSE mitra_delivered_seq END AS delivered_seq,
          CASE WHEN customer_id = $2 THEN customer_read_seq ELSE mitra_read_seq END AS read_seq;

-- log_sensitivity(session_id, changed_by, role, from_level, to_level, reason) — the audit row of a raised sensitivity
INSERT INTO sensitivity_log (session_id, changed_by, role, from_level, to_level, reason)
VALUES ($1, $2, $3, $4, $5, $6);

-- sensitivity_changes(session_id) — who raised it, oldest first
SELECT changed_by, role, from_level, to_level, reason, changed_at
FROM sensitivity_log WHERE session_id = $1 ORDER BY id;
