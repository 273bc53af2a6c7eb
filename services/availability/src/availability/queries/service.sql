-- service_version() — what was decided last; a switch whose end has come is off
SELECT version, time_zone, weekly, exceptions,
       is_on AS maintenance_on,
       CASE WHEN is_on THEN maintenance_note END AS maintenance_note,
       CASE WHEN is_on THEN maintenance_until END AS maintenance_until,
       what, changed_by, changed_at
FROM service_versions,
     LATERAL (SELECT maintenance_on AND coalesce(maintenance_until > clock_timestamp(), true))
         AS switch (is_on)
ORDER BY version DESC LIMIT 1;

-- service_versions(before, limit) — everything that was decided, as it was written, newest first
SELECT version, time_zone, weekly, exceptions, maintenance_on, maintenance_note,
       maintenance_until, what, changed_by, changed_at
FROM service_versions
WHERE $1::bigint IS NULL OR version < $1
ORDER BY version DESC LIMIT $2;

-- add_hours(expected, time_zone, weekly, exceptions, changed_by) — new hours; no row when the version that was expected is not the last one
INSERT INTO service_versions (version, time_zone, weekly, exceptions, maintenance_on,
                              maintenance_note, maintenance_until, what, changed_by)
SELECT last.version + 1, $2, $3::jsonb, $4::jsonb, last.maintenance_on,
       last.maintenance_note, last.maintenance_until, 'hours', $5
FROM (SELECT version, maintenance_on, maintenance_note, maintenance_until
      FROM service_versions ORDER BY version DESC LIMIT 1) AS last
WHERE last.version = $1
ON CONFLICT (version) DO NOTHING
RETURNING version;

-- add_maintenance(expected, is_on, note, until, changed_by) — the switch; no row when the version is not the last one, or somebody was faster
INSERT INTO service_versions (version, time_zone, weekly, exceptions, maintenance_on,
                              maintenance_note, maintenance_until, what, changed_by)
SELECT last.version + 1, last.time_zone, last.weekly, last.exceptions, $2, $3, $4,
       'maintenance', $5
FROM (SELECT version, time_zone, weekly, exceptions
      FROM service_versions ORDER BY version DESC LIMIT 1) AS last
WHERE $1::bigint IS NULL OR last.version = $1
ON CONFLICT (version) DO NOTHING
RETURNING version;

-- knows_time_zone(name) — whether Postgres can reckon on the clocks of this zone; Factory is where nobody has set one
SELECT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = $1 AND z.name <> 'Factory');

-- end_fits(until) — whether the end of a maintenance lies ahead, but not out of sight
SELECT $1::timestamptz > clock_timestamp()
   AND $1::timestamptz <= clock_timestamp() + interval '366 days';

-- make_plan() — fails if the plan cannot be made, so that nobody leaves such hours behind
SELECT count(*) FROM service_plan_v1();
