-- add_extension(session_id, tier_id, tier_version, duration_seconds, price_idr, sensitivity, requested_at,
--   answer_by) — an extension that waits for its answer
INSERT INTO extensions (session_id, tier_id, tier_version, duration_seconds, price_idr, sensitivity, state,
                        requested_at, answer_by)
VALUES ($1, $2, $3, $4, $5, $6, 'requested', $7, $8)
RETURNING id, session_id, tier_id, tier_version, duration_seconds, price_idr, sensitivity, state, requested_at,
          answer_by, answered_at, pay_by, resolved_at, resolved_reason;

-- read_extension(extension_id) — an extension, open or settled
SELECT id, session_id, tier_id, tier_version, duration_seconds, price_idr, sensitivity, state, requested_at,
       answer_by, answered_at, pay_by, resolved_at, resolved_reason
FROM extensions WHERE id = $1;

-- session_extensions(session_id) — all extensions of a session, oldest first
SELECT id, session_id, tier_id, tier_version, duration_seconds, price_idr, sensitivity, state, requested_at,
       answer_by, answered_at, pay_by, resolved_at, resolved_reason
FROM extensions WHERE session_id = $1 ORDER BY id;

-- save_extension(id, state, answered_at, pay_by, resolved_at, resolved_reason) — writes a held extension
UPDATE extensions SET state = $2, answered_at = $3, pay_by = $4, resolved_at = $5, resolved_reason = $6
WHERE id = $1;

-- add_payment(request_id, session_id, extension_id, customer_id, order_id, amount_idr, expires_at,
--   check_at) — a pending payment, unless there is one for this request or extension
INSERT INTO payments (request_id, session_id, extension_id, customer_id, provider, order_id, amount_idr, state,
                      expires_at, check_at)
VALUES ($1, $2, $3, $4, 'midtrans', $5, $6, 'pending', $7, $8)
ON CONFLICT DO NOTHING;

-- payment_of(request_id, extension_id) — the payment of a request (extension NULL) or of an extension
SELECT id, request_id, session_id, extension_id, customer_id, order_id, amount_idr, state, created_at, expires_at,
       token, redirect_url, transaction_id, paid_at, check_at, checks, refund_idr, refund_reason, refund_at,
       refund_tries, refunded_at
FROM payments
WHERE CASE WHEN $2::uuid IS NULL THEN request_id = $1 AND extension_id IS NULL ELSE extension_id = $2 END;

-- payment_of_order(order_id) — the payment behind an order id
SELECT id, request_id, session_id, extension_id, customer_id, order_id, amount_idr, state, created_at, expires_at,
       token, redirect_url, transaction_id, paid_at, check_at, checks, refund_idr, refund_reason, refund_at,
       refund_tries, refunded_at
FROM payments WHERE order_id = $1;

-- session_payments(session_id) — all payments of a session and its request, oldest first
SELECT p.id, p.request_id, p.session_id, p.extension_id, p.customer_id, p.order_id, p.amount_idr, p.state,
       p.created_at, p.expires_at, p.token, p.redirect_url, p.transaction_id, p.paid_at, p.check_at, p.checks,
       p.refund_idr, p.refund_reason, p.refund_at, p.refund_tries, p.refunded_at
FROM sessions AS s
JOIN payments AS p ON p.session_id = s.id OR (p.request_id = s.request_id AND p.extension_id IS NULL)
WHERE s.id = $1
ORDER BY p.id;

-- paid_parts(session_id) — what was paid for a session and not given back, with the seconds it bought
SELECT p.id, p.request_id, p.session_id, p.extension_id, p.customer_id, p.order_id, p.amount_idr, p.state,
       p.created_at, p.expires_at, p.token, p.redirect_url, p.transaction_id, p.paid_at, p.check_at, p.checks,
       p.refund_idr, p.refund_reason, p.refund_at, p.refund_tries, p.refunded_at,
       coalesce(e.duration_seconds, s.duration_seconds) AS bought_seconds
FROM sessions AS s
JOIN payments AS p ON p.session_id = s.id OR (p.request_id = s.request_id AND p.extension_id IS NULL)
LEFT JOIN extensions AS e ON e.id = p.extension_id
WHERE s.id = $1 AND p.state = 'paid' AND (e.id IS NULL OR e.state = 'applied')
ORDER BY p.id;

-- save_payment(id, state, transaction_id, paid_at, check_at, refund_idr, refund_reason, refund_at,
--   refunded_at) — writes a held payment
UPDATE payments
SET state = $2, transaction_id = coalesce($3, transaction_id), paid_at = $4, check_at = $5, refund_idr = $6,
    refund_reason = $7, refund_at = $8, refunded_at = $9
WHERE id = $1;

-- note_word(payment_id, transaction_id, status, amount_idr, source) — what the provider said, once
INSERT INTO payment_events (payment_id, provider, transaction_id, status, amount_idr, source)
VALUES ($1, 'midtrans', $2, $3, $4, $5)
ON CONFLICT ON CONSTRAINT payment_events_once DO NOTHING
RETURNING id;

-- keep_checkout(payment_id, order_id, token, redirect_url) — where to pay, if nobody was faster
UPDATE payments SET token = $3, redirect_url = $4 WHERE id = $1 AND order_id = $2 AND token IS NULL;

-- rename_order(payment_id, old_order_id, new_order_id) — another order id for a payment nobody could pay yet
UPDATE payments SET order_id = $3 WHERE id = $1 AND order_id = $2 AND token IS NULL;

-- read_payment(payment_id) — a payment
SELECT id, request_id, session_id, extension_id, customer_id, order_id, amount_idr, state, created_at, expires_at,
       token, redirect_url, transaction_id, paid_at, check_at, checks, refund_idr, refund_reason, refund_at,
       refund_tries, refunded_at
FROM payments WHERE id = $1;

-- due_checks(most) — payments to ask the provider about, each for one replica
SELECT id, request_id, session_id, extension_id, customer_id, order_id, amount_idr, state, created_at, expires_at,
       token, redirect_url, transaction_id, paid_at, check_at, checks, refund_idr, refund_reason, refund_at,
       refund_tries, refunded_at, clock_timestamp() AS now
FROM payments WHERE check_at <= clock_timestamp() ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED;

-- postpone_check(payment_id, check_at) — when to ask again, unless this answer settles it
UPDATE payments SET check_at = $2, checks = checks + 1 WHERE id = $1;

-- due_refunds(most) — payments to give back, each for one replica
SELECT id, request_id, session_id, extension_id, customer_id, order_id, amount_idr, state, created_at, expires_at,
       token, redirect_url, transaction_id, paid_at, check_at, checks, refund_idr, refund_reason, refund_at,
       refund_tries, refunded_at, clock_timestamp() AS now
FROM payments WHERE state = 'refund_due' AND refund_at <= clock_timestamp()
ORDER BY refund_at LIMIT $1 FOR UPDATE SKIP LOCKED;

-- postpone_refund(payment_id, refund_at) — when to try again, unless this try succeeds
UPDATE payments SET refund_at = $2, refund_tries = refund_tries + 1 WHERE id = $1;
