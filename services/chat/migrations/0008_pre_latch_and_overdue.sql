-- A sensitivity that was raised stays raised when the request goes to another mitra; a session that
-- was resumed without any reply is moved on like every other; money is counted by an index.

-- The latch holds for the request: a later session of it begins where the one before had come.
CREATE FUNCTION sessions_keep_sensitivity() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    IF NEW.sensitivity = 'normal' AND EXISTS (
        SELECT FROM sessions AS s WHERE s.request_id = NEW.request_id AND s.sensitivity = 'sensitive')
    THEN
        NEW.sensitivity := 'sensitive';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER sessions_keep_sensitivity BEFORE INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_keep_sensitivity();

-- Moves on the sessions of a mitra that hold a slot past their deadline, as the ticker would. The
-- caller holds her load row. A session to be rerouted is left alone: that needs its request's lock.
CREATE OR REPLACE FUNCTION move_overdue_on(p_mitra uuid) RETURNS void
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
                     -- Neither deadline: nobody waits for her, as after a pause between paid times.
                     AND coalesce(least(v_session.show_up_by, v_session.lost_by) <= v_now, false))
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

CREATE INDEX payments_created_at ON payments (created_at);
