-- Extensions and payments: more time, and the money for it.

CREATE TABLE extensions (
    id               uuid        PRIMARY KEY DEFAULT uuidv7(),
    session_id       uuid        NOT NULL REFERENCES sessions (id),
    tier_id          text        NOT NULL,
    tier_version     int         NOT NULL,
    duration_seconds int         NOT NULL CHECK (duration_seconds >= 1),
    price_idr        int         NOT NULL CHECK (price_idr >= 1),
    sensitivity      text        NOT NULL CHECK (sensitivity IN ('normal', 'sensitive')),
    state            text        NOT NULL CHECK (state IN (
        'requested', 'accepted', 'paid', 'applied', 'declined', 'timed_out', 'refund_due', 'refunded')),
    requested_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    answer_by        timestamptz NOT NULL,
    answered_at      timestamptz,
    pay_by           timestamptz,
    resolved_at      timestamptz,
    resolved_reason  text        CHECK (length(resolved_reason) <= 40),
    CONSTRAINT extensions_pay_by CHECK (state <> 'accepted' OR pay_by IS NOT NULL),
    CONSTRAINT extensions_resolved CHECK ((state IN ('requested', 'accepted', 'paid')) = (resolved_at IS NULL))
);

CREATE UNIQUE INDEX extensions_one_open ON extensions (session_id) WHERE state IN ('requested', 'accepted', 'paid');
CREATE INDEX extensions_of_session ON extensions (session_id, id);
CREATE INDEX extensions_answer_by ON extensions (answer_by) WHERE state = 'requested';
CREATE INDEX extensions_pay_by ON extensions (pay_by) WHERE state = 'accepted';

ALTER TABLE sessions ADD CONSTRAINT sessions_open_extension
    FOREIGN KEY (open_extension_id) REFERENCES extensions (id);

CREATE FUNCTION extensions_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('requested', 'accepted'), ('requested', 'declined'), ('requested', 'timed_out'),
        ('accepted', 'paid'), ('accepted', 'declined'), ('accepted', 'timed_out'),
        ('paid', 'applied'), ('paid', 'refund_due'), ('refund_due', 'refunded'))
    THEN
        RAISE EXCEPTION 'extension %: % -> % is not a legal move', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'extensions_legal_moves';
    END IF;
    IF (NEW.id, NEW.session_id, NEW.tier_id, NEW.tier_version, NEW.duration_seconds, NEW.price_idr)
        IS DISTINCT FROM (OLD.id, OLD.session_id, OLD.tier_id, OLD.tier_version, OLD.duration_seconds, OLD.price_idr)
    THEN
        RAISE EXCEPTION 'extension %: this column never changes', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'extensions_frozen_columns';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER extensions_guard BEFORE UPDATE ON extensions
    FOR EACH ROW EXECUTE FUNCTION extensions_guard();

CREATE TABLE payments (
    id             uuid        PRIMARY KEY DEFAULT uuidv7(),
    request_id     uuid        NOT NULL,
    session_id     uuid        NOT NULL REFERENCES sessions (id),
    extension_id   uuid        REFERENCES extensions (id),
    customer_id    uuid        NOT NULL,
    provider       text        NOT NULL CHECK (provider IN ('midtrans')),
    order_id       text        NOT NULL UNIQUE CHECK (length(order_id) BETWEEN 8 AND 50),
    amount_idr     int         NOT NULL CHECK (amount_idr >= 1),
    state          text        NOT NULL CHECK (state IN (
        'pending', 'paid', 'failed', 'expired', 'refund_due', 'refunded')),
    token          text,
    redirect_url   text,
    transaction_id text,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at     timestamptz NOT NULL,
    paid_at        timestamptz,
    check_at       timestamptz,
    checks         int         NOT NULL DEFAULT 0,
    refund_idr     int         CHECK (refund_idr BETWEEN 1 AND amount_idr),
    refund_reason  text        CHECK (length(refund_reason) <= 40),
    refund_at      timestamptz,
    refund_tries   int         NOT NULL DEFAULT 0,
    refunded_at    timestamptz,
    CONSTRAINT payments_refund CHECK ((state IN ('refund_due', 'refunded'))
        = (refund_idr IS NOT NULL AND refund_reason IS NOT NULL)),
    CONSTRAINT payments_refunded CHECK ((state = 'refunded') = (refunded_at IS NOT NULL)),
    CONSTRAINT payments_paid CHECK (state NOT IN ('paid', 'refund_due', 'refunded') OR paid_at IS NOT NULL)
);

COMMENT ON COLUMN payments.session_id IS 'The session it was asked for; the money itself belongs to the request (or to the extension).';

CREATE UNIQUE INDEX payments_one_per_request ON payments (request_id) WHERE extension_id IS NULL;
CREATE UNIQUE INDEX payments_one_per_extension ON payments (extension_id) WHERE extension_id IS NOT NULL;
CREATE INDEX payments_of_session ON payments (session_id);
CREATE INDEX payments_check_at ON payments (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX payments_refund_at ON payments (refund_at) WHERE state = 'refund_due';

CREATE TABLE payment_events (
    id             uuid        PRIMARY KEY DEFAULT uuidv7(),
    payment_id     uuid        NOT NULL REFERENCES payments (id),
    provider       text        NOT NULL,
    transaction_id text        NOT NULL CHECK (length(transaction_id) <= 100),
    status         text        NOT NULL CHECK (length(status) <= 40),
    amount_idr     int         NOT NULL,
    source         text        NOT NULL CHECK (source IN ('notification', 'check', 'refund')),
    received_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT payment_events_once UNIQUE (provider, transaction_id, status)
);

CREATE INDEX payment_events_of_payment ON payment_events (payment_id);

CREATE TABLE ledger (
    id         uuid        PRIMARY KEY DEFAULT uuidv7(),
    payment_id uuid        NOT NULL REFERENCES payments (id),
    kind       text        NOT NULL CHECK (kind IN ('capture', 'refund')),
    amount_idr int         NOT NULL CHECK ((kind = 'capture') = (amount_idr > 0)),
    booked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ledger_once UNIQUE (payment_id, kind)
);

COMMENT ON TABLE ledger IS 'Money in (+) and back (-), booked by the trigger on payments, so that the sum is the captures by construction.';

CREATE FUNCTION payments_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending', 'paid'), ('pending', 'failed'), ('pending', 'expired'),
        ('failed', 'paid'), ('paid', 'refund_due'), ('expired', 'refund_due'), ('refund_due', 'refunded'))
    THEN
        RAISE EXCEPTION 'payment %: % -> % is not a legal move', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_legal_moves';
    END IF;
    IF (NEW.id, NEW.request_id, NEW.extension_id, NEW.customer_id, NEW.amount_idr)
        IS DISTINCT FROM (OLD.id, OLD.request_id, OLD.extension_id, OLD.customer_id, OLD.amount_idr)
        OR (OLD.token IS NOT NULL AND NEW.order_id <> OLD.order_id)
    THEN
        RAISE EXCEPTION 'payment %: this column never changes', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_frozen_columns';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER payments_guard BEFORE UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION payments_guard();

CREATE FUNCTION payments_book() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    IF NEW.state = OLD.state THEN
        RETURN NULL;
    END IF;
    IF NEW.state = 'paid' OR (OLD.state = 'expired' AND NEW.state = 'refund_due') THEN
        INSERT INTO ledger (payment_id, kind, amount_idr) VALUES (NEW.id, 'capture', NEW.amount_idr);
    ELSIF NEW.state = 'refunded' THEN
        INSERT INTO ledger (payment_id, kind, amount_idr) VALUES (NEW.id, 'refund', -NEW.refund_idr);
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER payments_book AFTER UPDATE OF state ON payments
    FOR EACH ROW EXECUTE FUNCTION payments_book();
