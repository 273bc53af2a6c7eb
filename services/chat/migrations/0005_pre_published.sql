-- What chat publishes to its neighbours as SQL (and the few steps these functions share).

-- The first warning after p_now of a session that ends at p_ends_at; NULL when none is left.
CREATE FUNCTION next_warning(p_ends_at timestamptz, p_now timestamptz, p_warnings int[]) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = chat, pg_temp AS $$
    SELECT min(p_ends_at - make_interval(secs => w.seconds))
    FROM unnest(p_warnings) AS w (seconds)
    WHERE p_ends_at - make_interval(secs => w.seconds) > p_now;
$$;

-- Appends the event of a session's step; the body is chat.events.SessionEvent.
CREATE FUNCTION say_session(p_session sessions, p_noun text, p_reason text) RETURNS void
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    INSERT INTO outbox (subject, body)
    VALUES (format('evt.chat.%s.v1', p_noun), jsonb_build_object(
        'session_id', p_session.id, 'request_id', p_session.request_id, 'customer_id', p_session.customer_id,
        'mitra_id', p_session.mitra_id, 'version', p_session.version, 'reason', p_reason, 'at', clock_timestamp()));
END;
$$;

-- Times out an extension whose answer or payment did not come; says whether it did.
CREATE FUNCTION time_out_extension(p_extension uuid, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    UPDATE extensions AS e
    SET state = 'timed_out', resolved_at = p_now,
        resolved_reason = CASE e.state WHEN 'requested' THEN 'unanswered' ELSE 'unpaid' END
    WHERE e.id = p_extension
      AND ((e.state = 'requested' AND e.answer_by <= p_now) OR (e.state = 'accepted' AND e.pay_by <= p_now));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE payments AS p SET state = 'expired' WHERE p.extension_id = p_extension AND p.state = 'pending';
    RETURN true;
END;
$$;

-- Moves on the sessions of a mitra that hold a slot past their deadline, as the ticker would. The
-- caller holds her load row. A session to be rerouted is left alone: that needs its request's lock.
CREATE FUNCTION move_overdue_on(p_mitra uuid) RETURNS void
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
DECLARE
    v_id uuid;
    v_session sessions%ROWTYPE;
    v_limits limits%ROWTYPE;
    v_now timestamptz;
    v_timed_out boolean;
BEGIN
    SELECT l.* INTO v_limits FROM limits AS l;
    FOR v_id IN
        SELECT s.id FROM sessions AS s
        LEFT JOIN extensions AS e ON e.id = s.open_extension_id
        WHERE s.mitra_id = p_mitra AND s.slot IS NOT NULL
          AND ((s.state = 'pending_payment' AND s.pay_by <= clock_timestamp())
            OR (s.state = 'active' AND s.ends_at <= clock_timestamp())
            OR (e.state = 'requested' AND e.answer_by <= clock_timestamp())
            OR (e.state = 'accepted' AND e.pay_by <= clock_timestamp()))
        ORDER BY s.id
    LOOP
        SELECT s.* INTO v_session FROM sessions AS s WHERE s.id = v_id FOR UPDATE;
        v_now := clock_timestamp();
        CONTINUE WHEN v_session.slot IS NULL;

        IF v_session.state = 'pending_payment' AND v_session.pay_by <= v_now THEN
            UPDATE sessions AS s
            SET state = 'cancelled', slot = NULL, completed_at = v_now, ended_reason = 'unpaid'
            WHERE s.id = v_id RETURNING s.* INTO v_session;
            UPDATE payments AS p SET state = 'expired'
            WHERE p.request_id = v_session.request_id AND p.extension_id IS NULL AND p.state = 'pending';
            PERFORM say_session(v_session, 'session_cancelled', 'unpaid');
            CONTINUE;
        END IF;

        v_timed_out := v_session.open_extension_id IS NOT NULL
            AND time_out_extension(v_session.open_extension_id, v_now);
        IF v_session.state = 'active' AND v_session.ends_at <= v_now
            AND NOT (v_session.first_reply_at IS NULL
                     AND least(v_session.show_up_by, v_session.lost_by) <= v_now)
        THEN
            UPDATE sessions AS s
            SET state = 'expired',
                expired_until = s.ends_at + make_interval(secs => v_limits.expired_window_seconds),
                open_extension_id = CASE WHEN v_timed_out THEN NULL ELSE s.open_extension_id END,
                slot = CASE WHEN v_timed_out OR s.open_extension_id IS NULL THEN NULL ELSE s.slot END,
                warn_at = NULL, show_up_by = NULL, lost_by = NULL
            WHERE s.id = v_id RETURNING s.* INTO v_session;
            PERFORM say_session(v_session, 'session_expired', 'time_over');
        ELSIF v_timed_out THEN
            UPDATE sessions AS s
            SET open_extension_id = NULL, slot = CASE s.state WHEN 'expired' THEN NULL ELSE s.slot END
            WHERE s.id = v_id RETURNING s.* INTO v_session;
            IF v_session.state = 'expired' THEN
                PERFORM say_session(v_session, 'session_expired', 'extension_timed_out');
            END IF;
        END IF;
    END LOOP;
END;
$$;

-- open_session_v1: gives an accepted request its session, in the accepting transaction, which holds
-- the request's row. Answers opened, full or inactive; after its commit tell hint.chat.outbox.
CREATE FUNCTION open_session_v1(
    p_request uuid, p_customer uuid, p_mitra uuid, p_tier text, p_tier_version int, p_duration_seconds int,
    p_price_idr int, p_topic text, p_sensitivity text
) RETURNS TABLE (outcome text, session_id uuid, state text, load int, capacity int, load_version bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_limits limits%ROWTYPE;
    v_session sessions%ROWTYPE;
    v_capacity int;
    v_slot int;
    v_paid boolean;
    v_now timestamptz;
    v_ends_at timestamptz;
BEGIN
    SELECT l.* INTO v_limits FROM limits AS l;
    INSERT INTO mitra_load (mitra_id, capacity, capacity_from)
    VALUES (p_mitra, v_limits.default_capacity, 'default') ON CONFLICT (mitra_id) DO NOTHING;
    -- A statement of its own, so that everything below sees what was committed before the lock.
    SELECT l.capacity INTO v_capacity FROM mitra_load AS l WHERE l.mitra_id = p_mitra FOR UPDATE;

    IF NOT EXISTS (SELECT FROM auth.mitra_directory_v1(ARRAY[p_mitra]) AS d WHERE d.is_active) THEN
        outcome := 'inactive';
    ELSE
        PERFORM move_overdue_on(p_mitra);
        SELECT min(free.slot) INTO v_slot FROM generate_series(1, v_capacity) AS free (slot)
        WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.mitra_id = p_mitra AND s.slot = free.slot);
        -- After a lowered capacity a low slot may be free while more than capacity are held.
        IF v_slot IS NULL OR v_capacity <= (
            SELECT count(*) FROM sessions AS s WHERE s.mitra_id = p_mitra AND s.slot IS NOT NULL)
        THEN
            outcome := 'full';
        END IF;
    END IF;

    IF outcome IS NULL THEN
        -- Rerouted here after the customer paid: the money belongs to the request.
        PERFORM FROM payments AS p
        WHERE p.request_id = p_request AND p.extension_id IS NULL AND p.state = 'paid' FOR UPDATE;
        v_paid := FOUND;
        v_now := clock_timestamp();
        v_ends_at := v_now + make_interval(secs => p_duration_seconds);
        INSERT INTO sessions (
            request_id, customer_id, mitra_id, state, slot, tier_id, tier_version, duration_seconds, price_idr,
            topic, sensitivity, created_at, pay_by, activated_at, ends_at, warn_at, show_up_by)
        VALUES (
            p_request, p_customer, p_mitra, CASE WHEN v_paid THEN 'active' ELSE 'pending_payment' END, v_slot,
            p_tier, p_tier_version, p_duration_seconds, p_price_idr, p_topic, p_sensitivity, v_now,
            CASE WHEN NOT v_paid THEN v_now + make_interval(secs => v_limits.payment_hold_seconds) END,
            CASE WHEN v_paid THEN v_now END,
            CASE WHEN v_paid THEN v_ends_at END,
            CASE WHEN v_paid THEN next_warning(v_ends_at, v_now, v_limits.warnings_seconds) END,
            CASE WHEN v_paid THEN v_now + make_interval(secs => v_limits.show_up_seconds) END)
        RETURNING * INTO v_session;
        outcome := 'opened';
        session_id := v_session.id;
        state := v_session.state;
        PERFORM say_session(v_session, 'session_created', CASE WHEN v_paid THEN 'rerouted_here' END);
        IF v_paid THEN
            PERFORM say_session(v_session, 'session_activated', 'rerouted_here');
        END IF;
    END IF;

    SELECT l.load, l.capacity, l.version INTO load, capacity, load_version
    FROM mitra_load_v1(ARRAY[p_mitra]) AS l;
    RETURN NEXT;
END;
$$;

-- mitra_load_v1: slots held, capacity and version of each mitra, from one statement.
CREATE FUNCTION mitra_load_v1(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, load int, capacity int, version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT asked.mitra_id,
           (SELECT count(*)::int FROM sessions AS s WHERE s.mitra_id = asked.mitra_id AND s.slot IS NOT NULL),
           coalesce(l.capacity, (SELECT d.default_capacity FROM limits AS d)),
           coalesce(l.version, 0)
    FROM (SELECT DISTINCT u.mitra_id FROM unnest(p_mitras) AS u (mitra_id)) AS asked
    LEFT JOIN mitra_load AS l ON l.mitra_id = asked.mitra_id;
END;
$$;

-- tier_v1: the current version of a tier, if it is offered.
CREATE FUNCTION tier_v1(p_tier text)
RETURNS TABLE (tier_id text, version int, name text, duration_seconds int, price_idr int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.tier_id, t.version, t.name, t.duration_seconds, t.price_idr
    FROM (SELECT v.tier_id, v.version, v.name, v.duration_seconds, v.price_idr, v.is_offered
          FROM tiers AS v WHERE v.tier_id = p_tier ORDER BY v.version DESC LIMIT 1) AS t
    WHERE t.is_offered;
END;
$$;

-- session_of_request_v1: the session that a request has now (not one it was rerouted from).
CREATE FUNCTION session_of_request_v1(p_request uuid)
RETURNS TABLE (session_id uuid, mitra_id uuid, state text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.id, s.mitra_id, s.state FROM sessions AS s
    WHERE s.request_id = p_request AND s.state <> 'rerouted';
END;
$$;

-- request_ended_v1: a request ended without a session; what was paid for it goes back. Called in the
-- transaction that ends the request, which holds its row.
CREATE FUNCTION request_ended_v1(p_request uuid, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = chat, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM sessions AS s WHERE s.request_id = p_request AND s.state <> 'rerouted') THEN
        RETURN;
    END IF;
    UPDATE payments AS p
    SET state = 'refund_due', refund_idr = p.amount_idr, refund_reason = left(p_reason, 40),
        refund_at = clock_timestamp()
    WHERE p.request_id = p_request AND p.extension_id IS NULL AND p.state = 'paid';
    UPDATE payments AS p SET state = 'expired'
    WHERE p.request_id = p_request AND p.extension_id IS NULL AND p.state = 'pending';
END;
$$;

-- due_v1: deadlines that have passed, oldest first, without a lock.
CREATE FUNCTION due_v1(p_limit int) RETURNS TABLE (kind text, id uuid, due_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT due.kind, due.id, due.due_at FROM (
        (SELECT 'session_unpaid' AS kind, s.id, s.pay_by AS due_at FROM sessions AS s
         WHERE s.state = 'pending_payment' AND s.pay_by <= clock_timestamp() ORDER BY s.pay_by LIMIT p_limit)
        UNION ALL
        (SELECT 'session_warning', s.id, s.warn_at FROM sessions AS s
         WHERE s.state = 'active' AND s.warn_at IS NOT NULL AND s.warn_at <= clock_timestamp()
         ORDER BY s.warn_at LIMIT p_limit)
        UNION ALL
        (SELECT 'session_end', s.id, s.ends_at FROM sessions AS s
         WHERE s.state = 'active' AND s.ends_at <= clock_timestamp() ORDER BY s.ends_at LIMIT p_limit)
        UNION ALL
        (SELECT 'session_no_show', s.id, s.show_up_by FROM sessions AS s
         WHERE s.state = 'active' AND s.show_up_by IS NOT NULL AND s.show_up_by <= clock_timestamp()
         ORDER BY s.show_up_by LIMIT p_limit)
        UNION ALL
        (SELECT 'session_lost', s.id, s.lost_by FROM sessions AS s
         WHERE s.state = 'active' AND s.lost_by IS NOT NULL AND s.lost_by <= clock_timestamp()
         ORDER BY s.lost_by LIMIT p_limit)
        UNION ALL
        (SELECT 'session_window', s.id, s.expired_until FROM sessions AS s
         WHERE s.state = 'expired' AND s.open_extension_id IS NULL AND s.expired_until <= clock_timestamp()
         ORDER BY s.expired_until LIMIT p_limit)
        UNION ALL
        (SELECT 'session_closing', s.id, s.closing_until FROM sessions AS s
         WHERE s.state = 'closing' AND s.closing_until <= clock_timestamp() ORDER BY s.closing_until LIMIT p_limit)
        UNION ALL
        (SELECT 'extension_unanswered', e.id, e.answer_by FROM extensions AS e
         WHERE e.state = 'requested' AND e.answer_by <= clock_timestamp() ORDER BY e.answer_by LIMIT p_limit)
        UNION ALL
        (SELECT 'extension_unpaid', e.id, e.pay_by FROM extensions AS e
         WHERE e.state = 'accepted' AND e.pay_by <= clock_timestamp() ORDER BY e.pay_by LIMIT p_limit)
    ) AS due
    ORDER BY due.due_at
    LIMIT p_limit;
END;
$$;

REVOKE ALL ON FUNCTION open_session_v1(uuid, uuid, uuid, text, int, int, int, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_session_v1(uuid, uuid, uuid, text, int, int, int, text, text)
    TO pairing, pairing_owner;
REVOKE ALL ON FUNCTION mitra_load_v1(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mitra_load_v1(uuid[])
    TO chat, availability, availability_owner, pairing, pairing_owner;
REVOKE ALL ON FUNCTION tier_v1(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tier_v1(text) TO chat, pairing, pairing_owner;
REVOKE ALL ON FUNCTION session_of_request_v1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION session_of_request_v1(uuid) TO pairing, pairing_owner;
REVOKE ALL ON FUNCTION request_ended_v1(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_ended_v1(uuid, text) TO pairing, pairing_owner;
REVOKE ALL ON FUNCTION due_v1(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_v1(int) TO chat, sweeper, sweeper_owner;
