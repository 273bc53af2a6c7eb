-- What is said. A message's seq is given under its session's row lock, so it has no gaps, and the
-- deadline is compared inside the insert, so that no sweep is needed to keep a late one out.

CREATE TABLE messages (
    session_id        uuid        NOT NULL REFERENCES sessions (id),
    seq               bigint      NOT NULL CHECK (seq >= 1),
    id                uuid        NOT NULL DEFAULT uuidv7(),
    client_message_id uuid        NOT NULL,
    sender_id         uuid        NOT NULL,
    sender_role       text        NOT NULL CHECK (sender_role IN ('customer', 'mitra')),
    kind              text        NOT NULL CHECK (kind IN ('text', 'goodbye')),
    body              text        NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
    sent_at           timestamptz NOT NULL,
    PRIMARY KEY (session_id, seq),
    CONSTRAINT messages_once UNIQUE (session_id, client_message_id),
    CONSTRAINT messages_goodbye_length CHECK (kind <> 'goodbye' OR length(body) <= 500)
);

CREATE UNIQUE INDEX messages_one_goodbye ON messages (session_id, sender_role) WHERE kind = 'goodbye';

-- Takes a batch of messages in one transaction and answers each by its position: `accepted` and
-- `repeated` carry the stored row; every other outcome stored nothing. Sessions are locked by
-- ascending id, so that two batches never wait for each other in a circle.
CREATE FUNCTION add_messages(
    p_positions int[], p_sessions uuid[], p_senders uuid[], p_client_ids uuid[], p_bodies text[]
) RETURNS TABLE (
    place int, outcome text, session_id uuid, seq bigint, message_id uuid, sender_role text, kind text, body text,
    sent_at timestamptz, customer_id uuid, mitra_id uuid, is_first_reply boolean
)
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_in record;
    v_session sessions%ROWTYPE;
    v_known messages%ROWTYPE;
    v_now timestamptz;
BEGIN
    FOR v_in IN
        SELECT i.place, i.session_id, i.sender_id, i.client_id, i.body
        FROM unnest(p_positions, p_sessions, p_senders, p_client_ids, p_bodies)
            AS i (place, session_id, sender_id, client_id, body)
        ORDER BY i.session_id, i.place
    LOOP
        place := v_in.place;
        outcome := NULL; session_id := v_in.session_id; seq := NULL; message_id := NULL; sender_role := NULL;
        kind := NULL; body := NULL; sent_at := NULL; customer_id := NULL; mitra_id := NULL; is_first_reply := false;

        SELECT s.* INTO v_session FROM sessions AS s WHERE s.id = v_in.session_id FOR UPDATE;
        IF NOT FOUND OR v_in.sender_id NOT IN (v_session.customer_id, v_session.mitra_id)
            OR (v_session.state = 'rerouted' AND v_in.sender_id = v_session.mitra_id)
        THEN
            outcome := 'not_found';
            RETURN NEXT;
            CONTINUE;
        END IF;
        customer_id := v_session.customer_id;
        mitra_id := v_session.mitra_id;
        sender_role := CASE v_in.sender_id WHEN v_session.customer_id THEN 'customer' ELSE 'mitra' END;

        SELECT m.* INTO v_known FROM messages AS m
        WHERE m.session_id = v_in.session_id AND m.client_message_id = v_in.client_id;
        IF FOUND THEN
            IF v_known.sender_id <> v_in.sender_id OR v_known.body <> v_in.body THEN
                outcome := 'mismatch';
            ELSE
                outcome := 'repeated';
                seq := v_known.seq; message_id := v_known.id; kind := v_known.kind; body := v_known.body;
                sent_at := v_known.sent_at;
            END IF;
            RETURN NEXT;
            CONTINUE;
        END IF;

        v_now := clock_timestamp();
        IF v_session.state = 'active' AND v_session.ends_at > v_now THEN
            kind := 'text';
        ELSIF v_session.state = 'closing' AND v_session.closing_until > v_now THEN
            kind := 'goodbye';
            IF length(v_in.body) > 500 THEN
                outcome := 'goodbye_too_long';
            ELSIF EXISTS (SELECT FROM messages AS m WHERE m.session_id = v_in.session_id
                          AND m.sender_role = CASE v_in.sender_id WHEN v_session.customer_id THEN 'customer' ELSE 'mitra' END
                          AND m.kind = 'goodbye') THEN
                outcome := 'goodbye_said';
            END IF;
        ELSIF v_session.state = 'pending_payment' THEN
            outcome := 'not_active';
        ELSE
            outcome := 'over';
        END IF;
        IF outcome IS NOT NULL THEN
            kind := NULL;
            RETURN NEXT;
            CONTINUE;
        END IF;

        is_first_reply := sender_role = 'mitra' AND v_session.first_reply_at IS NULL;
        UPDATE sessions AS s
        SET last_seq = s.last_seq + 1,
            first_reply_at = CASE WHEN is_first_reply THEN v_now ELSE s.first_reply_at END,
            show_up_by = CASE WHEN is_first_reply THEN NULL ELSE s.show_up_by END,
            lost_by = CASE WHEN is_first_reply THEN NULL ELSE s.lost_by END
        WHERE s.id = v_session.id
        RETURNING s.last_seq INTO seq;
        INSERT INTO messages (session_id, seq, client_message_id, sender_id, sender_role, kind, body, sent_at)
        VALUES (v_session.id, seq, v_in.client_id, v_in.sender_id, sender_role, kind, v_in.body, v_now)
        RETURNING id INTO message_id;
        outcome := 'accepted';
        body := v_in.body;
        sent_at := v_now;
        RETURN NEXT;
    END LOOP;
END;
$$;

GRANT EXECUTE ON FUNCTION add_messages(int[], uuid[], uuid[], uuid[], text[]) TO chat;
