-- roster(after, limit, online) — mitras in the order of their ids, as operators see them
WITH page AS MATERIALIZED (
  SELECT mitra_id, went_online_at, offline_reason
  FROM mitra_status
  WHERE mitra_id > $1 AND ($3::boolean IS NULL OR is_online = $3)
  ORDER BY mitra_id LIMIT $2
), whom AS MATERIALIZED (
  SELECT coalesce(array_agg(mitra_id), '{}') AS ids FROM page
)
SELECT page.mitra_id, d.display_name, r.is_online, r.is_active,
       extract(epoch FROM clock_timestamp() - r.last_heartbeat_at)::float8 AS beat_age_seconds,
       page.went_online_at, page.offline_reason, r.load, r.capacity
FROM whom
CROSS JOIN LATERAL mirror_rows_of_v1(whom.ids) AS r
JOIN page ON page.mitra_id = r.mitra_id
LEFT JOIN LATERAL auth.mitra_directory_v1(whom.ids) AS d ON d.mitra_id = r.mitra_id
ORDER BY page.mitra_id;
