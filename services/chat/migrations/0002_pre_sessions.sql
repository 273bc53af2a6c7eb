-- The paid session: its states, its slot, its deadlines. What the database alone can promise is here:
-- legal moves, slots within capacity, one living session per request, a latch on sensitivity.

CREATE TABLE sessions (
    id                     uuid        PRIMARY KEY DEFAULT uuidv7(),
    request_id             uuid        NOT NULL,
    customer_id            uuid        NOT NULL,
    mitra_id               uuid        NOT NULL REFERENCES mitra_load (mitra_id),
    state                  text        NOT NULL CHECK (state IN (
        'pending_payment', 'active', 'expired', 'closing', 'completed', 'cancelled', 'rerouted')),
    slot                   int         CHECK (slot >= 1),
    tier_id                text        NOT NULL,
    tier_version           int         NOT NULL,
    duration_seconds       int         NOT NULL CHECK (duration_seconds >= 1),
    price_idr              int         NOT NULL CHECK (price_idr >= 1),
    topic                  text        NOT NULL CHECK (length(topic) <= 200),
    sensitivity            text        NOT NULL CHECK (sensitivity IN ('normal', 'sensitive')),
    open_extension_id      uuid,
    created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    pay_by                 timestamptz,
    activated_at           timestamptz,
    first_reply_at         timestamptz,
    ends_at                timestamptz,
    warn_at                timestamptz,
    show_up_by             timestamptz,
    lost_by                timestamptz,
    expired_until          timestamptz,
    closing_until          timestamptz,
    completed_at           timestamptz,
    ended_reason           text        CHECK (length(ended_reason) <= 40),
    last_seq               bigint      NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    customer_delivered_seq bigint      NOT NULL DEFAULT 0,
    customer_read_seq      bigint      NOT NULL DEFAULT 0,
    mitra_delivered_seq    bigint      NOT NULL DEFAULT 0,
    mitra_read_seq         bigint      NOT NULL DEFAULT 0,
    version                bigint      NOT NULL DEFAULT 1,
    CONSTRAINT sessions_slot_while_held CHECK (
        (slot IS NOT NULL)
        = (state IN ('pending_payment', 'active') OR (state = 'expired' AND open_extension_id IS NOT NULL))),
    CONSTRAINT sessions_extension_while_living CHECK (open_extension_id IS NULL OR state IN ('active', 'expired')),
    CONSTRAINT sessions_deadline_of_state CHECK (CASE state
        WHEN 'pending_payment' THEN pay_by IS NOT NULL
        WHEN 'active' THEN activated_at IS NOT NULL AND ends_at IS NOT NULL
        WHEN 'expired' THEN ends_at IS NOT NULL AND expired_until IS NOT NULL
        WHEN 'closing' THEN closing_until IS NOT NULL AND ended_reason IS NOT NULL
        ELSE completed_at IS NOT NULL AND ended_reason IS NOT NULL
    END),
    CONSTRAINT sessions_horizons CHECK (
        greatest(customer_delivered_seq, customer_read_seq, mitra_delivered_seq, mitra_read_seq) <= last_seq)
) WITH (fillfactor = 70);

COMMENT ON COLUMN sessions.slot IS 'Which of the mitra''s places (1..capacity) this session holds; load = rows with a slot.';
COMMENT ON COLUMN sessions.show_up_by IS 'Until when the mitra must have sent any frame; NULL once she did.';
COMMENT ON COLUMN sessions.lost_by IS 'When the mitra counts as lost before her first reply; pushed on with each sign of life.';

CREATE UNIQUE INDEX sessions_slot ON sessions (mitra_id, slot) WHERE slot IS NOT NULL;
CREATE UNIQUE INDEX sessions_one_per_request ON sessions (request_id) WHERE state <> 'rerouted';
CREATE INDEX sessions_of_request ON sessions (request_id);
CREATE INDEX sessions_of_customer ON sessions (customer_id, id DESC);
CREATE INDEX sessions_of_mitra ON sessions (mitra_id, id DESC);
CREATE INDEX sessions_living ON sessions (mitra_id) WHERE state IN ('pending_payment', 'active', 'expired', 'closing');
CREATE INDEX sessions_pay_by ON sessions (pay_by) WHERE state = 'pending_payment';
CREATE INDEX sessions_warn_at ON sessions (warn_at) WHERE state = 'active' AND warn_at IS NOT NULL;
CREATE INDEX sessions_ends_at ON sessions (ends_at) WHERE state = 'active';
CREATE INDEX sessions_show_up_by ON sessions (show_up_by) WHERE state = 'active' AND show_up_by IS NOT NULL;
CREATE INDEX sessions_lost_by ON sessions (lost_by) WHERE state = 'active' AND lost_by IS NOT NULL;
CREATE INDEX sessions_expired_until ON sessions (expired_until) WHERE state = 'expired' AND open_extension_id IS NULL;
CREATE INDEX sessions_closing_until ON sessions (closing_until) WHERE state = 'closing';

-- Refuses illegal moves and keeps what never changes; gives each lifecycle change its version.
CREATE FUNCTION sessions_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending_payment', 'active'), ('pending_payment', 'cancelled'),
        ('active', 'expired'), ('active', 'closing'), ('active', 'rerouted'),
        ('expired', 'active'), ('expired', 'closing'),
        ('closing', 'completed'))
    THEN
        RAISE EXCEPTION 'session %: % -> % is not a legal move', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_legal_moves';
    END IF;
    IF OLD.state IN ('completed', 'cancelled', 'rerouted')
        AND (NEW.slot, NEW.ended_reason, NEW.ends_at, NEW.last_seq)
            IS DISTINCT FROM (OLD.slot, OLD.ended_reason, OLD.ends_at, OLD.last_seq)
    THEN
        RAISE EXCEPTION 'session % is % for ever', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_terminal_absorbs';
    END IF;
    IF NEW.state = 'rerouted' AND OLD.state <> 'rerouted' AND OLD.first_reply_at IS NOT NULL THEN
        RAISE EXCEPTION 'session %: the mitra has replied, it cannot be rerouted', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_reroute_before_reply';
    END IF;
    IF OLD.sensitivity = 'sensitive' AND NEW.sensitivity <> 'sensitive' THEN
        RAISE EXCEPTION 'session %: sensitivity is a latch', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_sensitivity_latch';
    END IF;
    IF (NEW.id, NEW.request_id, NEW.customer_id, NEW.mitra_id, NEW.tier_id, NEW.tier_version, NEW.duration_seconds,
        NEW.price_idr, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.request_id, OLD.customer_id, OLD.mitra_id, OLD.tier_id, OLD.tier_version, OLD.duration_seconds,
        OLD.price_idr, OLD.created_at)
        OR NEW.last_seq < OLD.last_seq
    THEN
        RAISE EXCEPTION 'session %: this column never changes', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_frozen_columns';
    END IF;
    IF (NEW.state, NEW.slot, NEW.ends_at, NEW.open_extension_id, NEW.sensitivity)
        IS DISTINCT FROM (OLD.state, OLD.slot, OLD.ends_at, OLD.open_extension_id, OLD.sensitivity)
    THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER sessions_guard BEFORE UPDATE ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_guard();

CREATE FUNCTION sessions_stay() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'sessions are kept: %', OLD.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_stay';
END;
$$;

CREATE TRIGGER sessions_stay BEFORE DELETE ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_stay();

-- The belt under open_session_v1: with its capacity check removed, a slot above capacity still fails.
CREATE FUNCTION sessions_slot_within_capacity() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
DECLARE
    v_capacity int;
BEGIN
    IF NEW.slot IS NULL OR (TG_OP = 'UPDATE' AND NEW.slot IS NOT DISTINCT FROM OLD.slot) THEN
        RETURN NEW;
    END IF;
    SELECT l.capacity INTO v_capacity FROM mitra_load AS l WHERE l.mitra_id = NEW.mitra_id FOR UPDATE;
    IF v_capacity IS NULL OR NEW.slot > v_capacity THEN
        RAISE EXCEPTION 'mitra %: slot % exceeds her capacity %', NEW.mitra_id, NEW.slot, v_capacity
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sessions_slot_within_capacity';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER sessions_slot_within_capacity BEFORE INSERT OR UPDATE OF slot ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_slot_within_capacity();

-- Whoever changes a slot, the load's version grows with it in the same transaction.
CREATE FUNCTION sessions_bump_load() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.slot IS NULL THEN
            RETURN NULL;
        END IF;
    ELSIF NEW.slot IS NOT DISTINCT FROM OLD.slot THEN
        RETURN NULL;
    END IF;
    UPDATE mitra_load AS l SET version = l.version + 1, changed_at = clock_timestamp() WHERE l.mitra_id = NEW.mitra_id;
    RETURN NULL;
END;
$$;

CREATE TRIGGER sessions_bump_load AFTER INSERT OR UPDATE OF slot ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_bump_load();

CREATE TABLE sensitivity_log (
    id          uuid        PRIMARY KEY DEFAULT uuidv7(),
    session_id  uuid        NOT NULL REFERENCES sessions (id),
    changed_by  uuid        NOT NULL,
    role        text        NOT NULL CHECK (role IN ('customer', 'mitra', 'operator')),
    from_level  text        NOT NULL CHECK (from_level IN ('normal', 'sensitive')),
    to_level    text        NOT NULL CHECK (to_level IN ('normal', 'sensitive')),
    reason      text        CHECK (length(reason) <= 500),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX sensitivity_log_of_session ON sensitivity_log (session_id, id);

CREATE TABLE operator_acts (
    id          uuid        PRIMARY KEY DEFAULT uuidv7(),
    operator_id uuid        NOT NULL,
    act         text        NOT NULL CHECK (length(act) <= 40),
    subject_id  text        NOT NULL,
    detail      jsonb       NOT NULL DEFAULT '{}',
    acted_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE operator_acts IS 'One row for each thing an operator did in chat, written in the transaction that did it.';

CREATE INDEX operator_acts_of_subject ON operator_acts (subject_id, id);
