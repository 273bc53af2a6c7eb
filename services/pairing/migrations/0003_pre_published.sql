-- What pairing publishes to its neighbours as SQL.

-- due_v1: deadlines that have passed, oldest first, without a lock.
CREATE FUNCTION due_v1(p_limit int)
RETURNS TABLE (kind text, id uuid, due_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pairing, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT due.kind, due.id, due.due_at
    FROM (
        (SELECT 'request' AS kind, r.id, r.wait_until AS due_at FROM pairing.requests r
         WHERE r.state = 'searching' AND r.wait_until <= clock_timestamp()
         ORDER BY r.wait_until LIMIT p_limit)
        UNION ALL
        (SELECT 'ring', r.id, r.next_ring_at FROM pairing.requests r
         WHERE r.state = 'searching' AND r.next_ring_at <= clock_timestamp()
           AND r.wait_until > clock_timestamp()
         ORDER BY r.next_ring_at LIMIT p_limit)
        UNION ALL
        (SELECT 'offer', o.id, o.expires_at FROM pairing.offers o
         WHERE o.state = 'open' AND o.expires_at <= clock_timestamp()
         ORDER BY o.expires_at LIMIT p_limit)
    ) due
    ORDER BY due.due_at
    LIMIT p_limit;
END $$;

REVOKE ALL ON FUNCTION due_v1(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_v1(int) TO pairing, sweeper, sweeper_owner;

-- reopen_request_v1: a matched request searches again without the mitra it was matched to.
-- Locks the request row first; says what became of it: reopened, superseded by a newer open
-- request of the same customer, not_matched (any more to this mitra), or unknown.
CREATE FUNCTION reopen_request_v1(p_request uuid, p_excluded_mitra uuid)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pairing, pg_temp AS $$
DECLARE
    v_state    text;
    v_mitra    uuid;
    v_customer uuid;
BEGIN
    SELECT r.state, r.mitra_id, r.customer_id INTO v_state, v_mitra, v_customer
    FROM pairing.requests r WHERE r.id = p_request FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    IF v_state <> 'matched' OR v_mitra IS DISTINCT FROM p_excluded_mitra THEN
        RETURN 'not_matched';
    END IF;
    BEGIN
        UPDATE pairing.requests r
        SET state = 'searching', mitra_id = NULL, session_id = NULL, settled_at = NULL,
            attempt = r.attempt + 1, ring = 0, asked = 0, version = r.version + 1,
            excluded_mitras = array_append(r.excluded_mitras, p_excluded_mitra),
            next_ring_at = clock_timestamp(), wait_until = clock_timestamp() + r.wait
        WHERE r.id = p_request;
    EXCEPTION WHEN unique_violation THEN
        -- requests_one_searching: the customer has asked anew meanwhile.
        RETURN 'superseded';
    END;
    INSERT INTO pairing.outbox (subject, body)
    VALUES (
        'evt.pairing.request_opened.v1',
        jsonb_build_object(
            'request_id', p_request, 'customer_id', v_customer, 'at', clock_timestamp()
        )
    );
    RETURN 'reopened';
END $$;

REVOKE ALL ON FUNCTION reopen_request_v1(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reopen_request_v1(uuid, uuid) TO pairing, chat, chat_owner;
