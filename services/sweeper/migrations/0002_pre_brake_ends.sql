-- A brake ends by itself: what was stopped hours ago says nothing of who is silent now.

-- The default is two passes of the default cadence, for a release that does not write it yet.
ALTER TABLE brakes ADD COLUMN valid_seconds float8 NOT NULL DEFAULT 60 CHECK (valid_seconds > 0);

COMMENT ON COLUMN brakes.valid_seconds IS
    'Neither raised nor confirmed within so many seconds, it is void.';

-- Whether a moment lies so many seconds back at the most. One that lies ahead is from before the
-- clock went back: how old it is nobody knows.
CREATE FUNCTION is_recent(p_moment timestamptz, p_seconds float8) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(
        p_moment BETWEEN clock_timestamp() - make_interval(secs => p_seconds) AND clock_timestamp(),
        false)
$$;
