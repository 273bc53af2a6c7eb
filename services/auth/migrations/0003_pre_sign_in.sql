-- One-time codes. The code itself is nowhere: it is re-derived from the challenge with a key
-- outside of the database.
CREATE TABLE otp_challenges (
    challenge_id uuid PRIMARY KEY,
    phone        text NOT NULL,
    role         text NOT NULL CHECK (role IN ('customer', 'mitra')),
    purpose      text NOT NULL CHECK (purpose IN ('sign_in')),
    device_key   bytea NOT NULL CHECK (octet_length(device_key) = 32),
    channel      text NOT NULL CHECK (channel IN ('whatsapp', 'sms', 'missed_call')),
    -- The client's Idempotency-Key, hashed: the same wish again is answered, not sent again.
    request_key  bytea,
    -- True: no account may sign in with this phone. Nothing was sent and nothing can be verified,
    -- but whoever asked cannot tell.
    is_silent    boolean NOT NULL,
    tries_left   int NOT NULL CHECK (tries_left >= 0),
    sends        int NOT NULL DEFAULT 1 CHECK (sends >= 0),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    consumed_at  timestamptz
);

CREATE INDEX otp_challenges_living ON otp_challenges (phone, role, device_key, expires_at)
    WHERE consumed_at IS NULL;
CREATE INDEX otp_challenges_due ON otp_challenges (expires_at);

-- Sliding windows: when a phone was sent a code, and when a wrong one was typed for it.
CREATE TABLE otp_phones (
    phone      text PRIMARY KEY,
    sent_at    timestamptz[] NOT NULL DEFAULT '{}',
    wrong_at   timestamptz[] NOT NULL DEFAULT '{}',
    touched_at timestamptz NOT NULL
);

CREATE INDEX otp_phones_touched_at ON otp_phones (touched_at);

-- The same for a client address (IPv6: its /64); sent_to[n] is the phone of sent_at[n].
CREATE TABLE otp_addresses (
    address    text PRIMARY KEY,
    sent_at    timestamptz[] NOT NULL DEFAULT '{}',
    sent_to    text[] NOT NULL DEFAULT '{}',
    wrong_at   timestamptz[] NOT NULL DEFAULT '{}',
    touched_at timestamptz NOT NULL,
    CHECK (cardinality(sent_at) = cardinality(sent_to))
);

CREATE INDEX otp_addresses_touched_at ON otp_addresses (touched_at);

-- Messages of the whole service, by minute.
CREATE TABLE otp_minutes (
    minute timestamptz PRIMARY KEY,
    sends  int NOT NULL CHECK (sends >= 0)
);

-- Wrong passwords by account and address. The account is the hash of what was typed, so that
-- unknown accounts are slowed down like known ones.
CREATE TABLE password_tries (
    account_key   bytea NOT NULL CHECK (octet_length(account_key) = 32),
    address       text NOT NULL,
    failures      int NOT NULL CHECK (failures >= 1),
    blocked_until timestamptz,
    last_at       timestamptz NOT NULL,
    PRIMARY KEY (account_key, address)
);

CREATE INDEX password_tries_last_at ON password_tries (last_at);
