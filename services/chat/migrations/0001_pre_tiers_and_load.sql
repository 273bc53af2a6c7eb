-- What is sold (tiers, versioned), how long each step may take (limits), and how many sessions a
-- mitra may hold (mitra_load).

CREATE TABLE tiers (
    tier_id          text        NOT NULL CHECK (tier_id ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    version          int         NOT NULL CHECK (version >= 1),
    name             text        NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    duration_seconds int         NOT NULL CHECK (duration_seconds BETWEEN 1 AND 86400),
    price_idr        int         NOT NULL CHECK (price_idr BETWEEN 1 AND 100000000),
    is_offered       boolean     NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by       uuid,
    PRIMARY KEY (tier_id, version)
);

COMMENT ON TABLE tiers IS 'A version is never changed: running sessions and requests keep theirs. The highest version is the current one.';

CREATE FUNCTION tiers_are_frozen() RETURNS trigger
LANGUAGE plpgsql SET search_path = chat, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'tier %, version % is frozen: write a new version', OLD.tier_id, OLD.version
        USING ERRCODE = 'check_violation', CONSTRAINT = 'tiers_are_frozen';
END;
$$;

CREATE TRIGGER tiers_are_frozen BEFORE UPDATE OR DELETE ON tiers
    FOR EACH ROW EXECUTE FUNCTION tiers_are_frozen();

INSERT INTO tiers (tier_id, version, name, duration_seconds, price_idr, is_offered) VALUES
    ('test-1', 1, 'Uji coba 1 menit', 60, 1000, true),
    ('chat-15', 1, 'Ngobrol 15 menit', 900, 15000, true),
    ('chat-30', 1, 'Ngobrol 30 menit', 1800, 27000, true),
    ('chat-60', 1, 'Ngobrol 60 menit', 3600, 49000, true);

CREATE TABLE limits (
    is_only                  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    payment_hold_seconds     double precision NOT NULL CHECK (payment_hold_seconds > 0),
    show_up_seconds          double precision NOT NULL CHECK (show_up_seconds > 0),
    expired_window_seconds   double precision NOT NULL CHECK (expired_window_seconds > 0),
    warnings_seconds         int[]            NOT NULL,
    default_capacity         int              NOT NULL CHECK (default_capacity BETWEEN 1 AND 20),
    changed_at               timestamptz      NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE limits IS 'The durations that open_session_v1 needs; the service writes its settings here when it starts.';

INSERT INTO limits (payment_hold_seconds, show_up_seconds, expired_window_seconds, warnings_seconds, default_capacity)
VALUES (120, 60, 300, '{300,60,10}', 3);

CREATE TABLE mitra_load (
    mitra_id      uuid        PRIMARY KEY,
    capacity      int         NOT NULL CHECK (capacity BETWEEN 1 AND 20),
    capacity_from text        NOT NULL CHECK (capacity_from IN ('default', 'auth', 'operator')),
    version       bigint      NOT NULL DEFAULT 0,
    changed_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE mitra_load IS 'The row every flow locks before it takes or frees a slot of this mitra; version grows with each change of her slots or capacity.';
