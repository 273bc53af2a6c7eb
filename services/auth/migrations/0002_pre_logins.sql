-- A login is an authenticated device: the family of its refresh tokens. No token is stored: a
-- token is (login, generation) under a key that is not in the database.
CREATE TABLE logins (
    login_id            uuid PRIMARY KEY,
    user_id             uuid NOT NULL,
    role                text NOT NULL CHECK (role IN ('customer', 'mitra', 'operator')),
    state               text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked', 'expired')),
    -- The generation whose refresh token is current; its predecessor is "rotated".
    generation          bigint NOT NULL DEFAULT 0 CHECK (generation >= 0),
    -- The highest generation whose access token was seen in use anywhere; -1 for none.
    seen_generation     bigint NOT NULL DEFAULT -1,
    rotated_at          timestamptz NOT NULL,
    device_key          bytea NOT NULL CHECK (octet_length(device_key) = 32),
    device_name         text CHECK (char_length(device_name) <= 80),
    network             text NOT NULL,
    user_agent          text NOT NULL CHECK (char_length(user_agent) <= 200),
    created_at          timestamptz NOT NULL,
    last_used_at        timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,
    absolute_expires_at timestamptz NOT NULL,
    ended_at            timestamptz,
    ended_reason        text CHECK (ended_reason IN
        ('logout', 'revoked', 'evicted', 'refresh_reused', 'deactivated', 'operator', 'expired')),
    -- When Valkey learned of the revocation; null until it did.
    told_at             timestamptz,
    CHECK ((state = 'active') = (ended_at IS NULL)),
    CHECK ((state = 'active') = (ended_reason IS NULL)),
    CHECK (expires_at <= absolute_expires_at)
);

CREATE INDEX logins_active_of_user ON logins (user_id, role, created_at) WHERE state = 'active';
CREATE INDEX logins_due ON logins (expires_at) WHERE state = 'active';
CREATE INDEX logins_revoked ON logins (ended_at) WHERE state = 'revoked';
CREATE INDEX logins_ended ON logins (ended_at) WHERE state <> 'active';
