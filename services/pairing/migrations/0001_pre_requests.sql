-- Requests: a customer's wish to talk now. One searching request per customer, whoever asks.
CREATE TABLE requests (
    id               uuid PRIMARY KEY DEFAULT uuidv7(),
    customer_id      uuid NOT NULL,
    state            text NOT NULL DEFAULT 'searching'
                     CHECK (state IN ('searching', 'matched', 'expired', 'cancelled')),
    tier_id          text NOT NULL,
    tier_version     int NOT NULL CHECK (tier_version >= 1),
    duration_seconds int NOT NULL CHECK (duration_seconds > 0),
    price_idr        int NOT NULL CHECK (price_idr >= 0),
    topic            text NOT NULL CHECK (char_length(topic) BETWEEN 1 AND 200),
    sensitivity      text NOT NULL CHECK (sensitivity IN ('normal', 'sensitive')),
    -- Each search for a mitra is an attempt; a reroute starts the next with its own wait.
    attempt          int NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    ring             int NOT NULL DEFAULT 0 CHECK (ring >= 0),
    -- Mitras asked in this attempt.
    asked            int NOT NULL DEFAULT 0 CHECK (asked >= 0),
    excluded_mitras  uuid[] NOT NULL DEFAULT '{}',
    wait             interval NOT NULL CHECK (wait > interval '0'),
    wait_until       timestamptz NOT NULL,
    next_ring_at     timestamptz,
    mitra_id         uuid,
    session_id       uuid,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at       timestamptz,
    version          bigint NOT NULL DEFAULT 1,
    idempotency_key  text,
    fingerprint      bytea,
    CHECK ((state = 'searching') = (next_ring_at IS NOT NULL)),
    CHECK ((state = 'searching') = (settled_at IS NULL)),
    CHECK ((state = 'matched') = (mitra_id IS NOT NULL)),
    CHECK (session_id IS NULL OR state = 'matched'),
    CHECK ((idempotency_key IS NULL) = (fingerprint IS NULL))
);

CREATE UNIQUE INDEX requests_one_searching ON requests (customer_id) WHERE state = 'searching';
CREATE UNIQUE INDEX requests_one_per_key ON requests (customer_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX requests_wait_until ON requests (wait_until) WHERE state = 'searching';
CREATE INDEX requests_next_ring_at ON requests (next_ring_at) WHERE state = 'searching';
CREATE INDEX requests_of_customer ON requests (customer_id, id);
CREATE INDEX requests_by_state ON requests (state, id);

-- Offers: one mitra's invitation to one attempt of a request.
CREATE TABLE offers (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    request_id   uuid NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    attempt      int NOT NULL,
    ring         int NOT NULL,
    mitra_id     uuid NOT NULL,
    state        text NOT NULL DEFAULT 'open'
                 CHECK (state IN ('open', 'accepted', 'declined', 'withdrawn', 'expired')),
    -- Why it was withdrawn: an open set, for people to read.
    reason       text,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    delivered_at timestamptz,
    seen_at      timestamptz,
    settled_at   timestamptz,
    CHECK ((state = 'open') = (settled_at IS NULL)),
    CHECK ((state = 'withdrawn') = (reason IS NOT NULL)),
    CHECK (seen_at IS NULL OR delivered_at IS NOT NULL),
    -- A mitra is asked once per attempt: after a reroute those who only lost may be asked again.
    UNIQUE (request_id, attempt, mitra_id)
);

CREATE UNIQUE INDEX offers_one_accepted ON offers (request_id, attempt) WHERE state = 'accepted';
CREATE INDEX offers_open_of_mitra ON offers (mitra_id) WHERE state = 'open';
CREATE INDEX offers_open_of_request ON offers (request_id) WHERE state = 'open';
CREATE INDEX offers_expires_at ON offers (expires_at) WHERE state = 'open';
CREATE INDEX offers_settled_at ON offers (settled_at) WHERE settled_at IS NOT NULL;

-- Decisions: who was considered in a ring, in or out, and why.
CREATE TABLE decisions (
    request_id uuid NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    attempt    int NOT NULL,
    ring       int NOT NULL,
    mitra_id   uuid NOT NULL,
    verdict    text NOT NULL,
    load       int,
    capacity   int,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request_id, attempt, ring, mitra_id)
);

CREATE INDEX decisions_decided_at ON decisions (decided_at);
