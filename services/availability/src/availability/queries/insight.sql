-- facts_of(mitra) — each fact of one mitra with the moment since when it is so, in one snapshot
SELECT d.display_name, d.is_active, d.changed_at AS active_since,
       coalesce(s.is_online, false) AS is_online,
       CASE WHEN s.is_online THEN s.went_online_at
            WHEN s.offline_reason IS NOT NULL THEN s.changed_at END AS online_since,
       s.went_online_at, s.offline_reason,
       -- What lies ahead is from before a jump of the clock, and no sign of life.
       CASE WHEN s.last_heartbeat_at <= clock_timestamp() + interval '5 seconds'
            THEN s.last_heartbeat_at END AS last_heartbeat_at,
       l.load, l.capacity, l.changed_at AS load_since,
       s.mitra_id IS NOT NULL AS was_here, clock_timestamp() AS now
FROM auth.mitra_directory_v2(ARRAY[$1::uuid]) AS d
JOIN chat.mitra_load_v2(ARRAY[$1::uuid]) AS l ON l.mitra_id = d.mitra_id
LEFT JOIN mitra_status AS s ON s.mitra_id = d.mitra_id;

-- postgres_now() — one clock for windows and ages
SELECT clock_timestamp();

-- is_known(mitra) — whether the directory has her
SELECT EXISTS (SELECT FROM auth.mitra_directory_v2(ARRAY[$1::uuid]));

-- online_time(mitra, from, to, after, limit) — a page of what lies in the window, and the whole's sum
-- Intervals of one mitra do not overlap: at most one that began before the window reaches into it.
WITH within AS MATERIALIZED (
  SELECT i.interval_id, i.started_at, i.end_reason,
         greatest(i.started_at, $2::timestamptz) AS starts_at,
         least(i.ended_at, $3::timestamptz) AS ends_at,
         coalesce(i.ended_at > $3, true) AS is_open
  FROM online_intervals AS i
  WHERE i.mitra_id = $1
    AND i.started_at >= coalesce((SELECT max(b.started_at) FROM online_intervals AS b
                                  WHERE b.mitra_id = $1 AND b.started_at <= $2), $2)
    AND i.started_at < $3 AND coalesce(i.ended_at > $2, true)
), total AS (
  SELECT coalesce(sum(extract(epoch FROM ends_at - starts_at)), 0)::float8 AS total_seconds,
         count(*) AS intervals
  FROM within
), page AS (
  SELECT w.starts_at, w.ends_at, w.is_open, w.started_at, w.end_reason, w.interval_id,
         extract(epoch FROM w.ends_at - w.starts_at)::float8 AS seconds
  FROM within AS w
  WHERE $4::uuid IS NULL OR (w.started_at, w.interval_id) >
        (SELECT c.started_at, c.interval_id FROM within AS c WHERE c.interval_id = $4)
  ORDER BY w.started_at, w.interval_id LIMIT $5
)
SELECT total.total_seconds, total.intervals, page.interval_id, page.starts_at, page.ends_at,
       page.seconds, page.is_open, page.started_at, page.end_reason
FROM total LEFT JOIN page ON true
ORDER BY page.started_at, page.interval_id;

-- closed_since() — since when the service is closed under the present rules; NULL while it is open
SELECT CASE
  WHEN v.maintenance_on AND coalesce(v.maintenance_until > clock_timestamp(), true)
    -- The switch was off also between its own end and the next decision.
    THEN (SELECT min(m.changed_at) FROM service_versions AS m
          WHERE m.version > coalesce((
            SELECT max(o.version)
            FROM (SELECT version, maintenance_on, maintenance_until,
                         lead(changed_at) OVER (ORDER BY version) AS next_at
                  FROM service_versions) AS o
            WHERE NOT o.maintenance_on OR o.maintenance_until <= o.next_at), 0))
  WHEN (v.weekly <> '[]' OR v.exceptions <> '[]') AND NOT week.openings @> clock_timestamp()
    THEN greatest(v.changed_at, v.maintenance_until, coalesce(
           (SELECT max(upper(o.opening)) FROM unnest(week.openings) AS o (opening)
            WHERE upper(o.opening) <= clock_timestamp()),
           -- Closed for longer, as over a feast.
           (SELECT max(upper(o.opening)) FROM unnest(opening_times(
              v.time_zone, v.weekly, v.exceptions, week.from_date - 391, 400)) AS o (opening)
            WHERE upper(o.opening) <= clock_timestamp())))
  END AS closed_since
FROM (SELECT time_zone, weekly, exceptions, maintenance_on, maintenance_until, changed_at
      FROM service_versions ORDER BY version DESC LIMIT 1) AS v,
     LATERAL (SELECT from_date,
                     opening_times(v.time_zone, v.weekly, v.exceptions, from_date, 11) AS openings
              FROM (SELECT (clock_timestamp() AT TIME ZONE v.time_zone)::date - 9 AS from_date)
                  AS first) AS week;
