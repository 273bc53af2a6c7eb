-- The lock order of chat in one place: load, session, open extension, payments. (A request, which
-- comes before all of these, is locked through pairing's function.) Returns the clock after the
-- locks, because that is the clock that decides; NULL when there is no such session.
CREATE FUNCTION hold_session(p_session uuid) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
DECLARE
    v_mitra uuid;
    v_request uuid;
BEGIN
    SELECT s.mitra_id, s.request_id INTO v_mitra, v_request FROM sessions AS s WHERE s.id = p_session;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM mitra_load AS l WHERE l.mitra_id = v_mitra FOR UPDATE;
    PERFORM FROM sessions AS s WHERE s.id = p_session FOR UPDATE;
    PERFORM FROM extensions AS e
    WHERE e.session_id = p_session AND e.state IN ('requested', 'accepted', 'paid') ORDER BY e.id FOR UPDATE;
    PERFORM FROM payments AS p
    WHERE p.session_id = p_session OR (p.request_id = v_request AND p.extension_id IS NULL)
    ORDER BY p.id FOR UPDATE;
    RETURN clock_timestamp();
END;
$$;

GRANT EXECUTE ON FUNCTION hold_session(uuid) TO chat;
