-- offered_tier(tier_id) — the current version, if it is offered
SELECT tier_id, version, name, duration_seconds, price_idr FROM tier_v1($1);

-- current_tiers() — the current version of every tier, cheapest first
SELECT tier_id, version, name, duration_seconds, price_idr, is_offered FROM (
    SELECT DISTINCT ON (tier_id) tier_id, version, name, duration_seconds, price_idr, is_offered
    FROM tiers ORDER BY tier_id, version DESC
) AS current ORDER BY price_idr, tier_id;

-- tier_versions(tier_id) — all versions, newest first
SELECT tier_id, version, name, duration_seconds, price_idr, is_offered
FROM tiers WHERE tier_id = $1 ORDER BY version DESC;

-- lock_tier(tier_id) — one writer of a tier's next version at a time
SELECT pg_advisory_xact_lock(hashtextextended('chat.tiers.' || $1, 0));

-- add_tier(tier_id, name, duration_seconds, price_idr, is_offered, created_by) — the next version
INSERT INTO tiers (tier_id, version, name, duration_seconds, price_idr, is_offered, created_by)
SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6 FROM tiers WHERE tier_id = $1
RETURNING tier_id, version, name, duration_seconds, price_idr, is_offered;

-- save_limits(payment_hold_seconds, show_up_seconds, expired_window_seconds, warnings_seconds,
--   default_capacity) — what open_session_v1 needs of the service's settings
UPDATE limits
SET payment_hold_seconds = $1, show_up_seconds = $2, expired_window_seconds = $3, warnings_seconds = $4,
    default_capacity = $5, changed_at = clock_timestamp()
WHERE (payment_hold_seconds, show_up_seconds, expired_window_seconds, warnings_seconds, default_capacity)
    IS DISTINCT FROM ($1::float8, $2::float8, $3::float8, $4::int[], $5::int);
