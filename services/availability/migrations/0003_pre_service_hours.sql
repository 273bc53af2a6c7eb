-- When the service is open to new requests: weekly hours, exceptions of single dates, and a switch.
-- Each change is a new version beside the old ones, so that who changed what, and when, stays.
CREATE TABLE service_versions (
    version           bigint PRIMARY KEY CHECK (version > 0),
    -- A name of the time zone database; the hours below are on its clocks.
    time_zone         text NOT NULL,
    -- [{day 1-7 from Monday, opens, closes}]; closes <= opens: on the next day. Empty: always open.
    weekly            jsonb NOT NULL CHECK (jsonb_typeof(weekly) = 'array'),
    -- [{date, opens, closes}] in place of what begins on that date; without hours: closed.
    exceptions        jsonb NOT NULL CHECK (jsonb_typeof(exceptions) = 'array'),
    maintenance_on    boolean NOT NULL,
    maintenance_note  text,
    -- The switch goes off by itself then; null: when somebody turns it off.
    maintenance_until timestamptz,
    what              text NOT NULL CHECK (what IN ('start', 'hours', 'maintenance')),
    changed_by        uuid,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((changed_by IS NULL) = (what = 'start')),
    CHECK (maintenance_on OR (maintenance_note IS NULL AND maintenance_until IS NULL))
);

-- What was once so is never rewritten, also not by a mistake of ours.
REVOKE UPDATE, DELETE ON service_versions FROM availability;

INSERT INTO service_versions (version, time_zone, weekly, exceptions, maintenance_on, what)
VALUES (1, 'Asia/Jakarta', '[]', '[]', false, 'start');

-- opening_times: when the hours of a version let people in, from this local date on. An opening
-- belongs to the date on which it begins. A time that the clocks skip counts as much later as they
-- skip; of one that they show twice the second counts; an end that comes first is no opening.
CREATE FUNCTION opening_times(p_time_zone text, p_weekly jsonb, p_exceptions jsonb,
                              p_from date, p_days int)
RETURNS tstzmultirange
LANGUAGE sql STABLE SET search_path = availability, pg_temp AS $$
    WITH weekly AS MATERIALIZED (
        SELECT day, opens, closes
        FROM jsonb_to_recordset(p_weekly) AS w (day int, opens time, closes time)
        UNION ALL
        SELECT day, '00:00', '00:00' FROM generate_series(1, 7) AS every (day)
        WHERE p_weekly = '[]'
    ), exceptions AS MATERIALIZED (
        SELECT date, opens, closes
        FROM jsonb_to_recordset(p_exceptions) AS e (date date, opens time, closes time)
    ), days AS MATERIALIZED (
        SELECT p_from + offset_days AS date FROM generate_series(0, p_days) AS s (offset_days)
    ), openings AS (
        SELECT d.date, w.opens, w.closes
        FROM days AS d JOIN weekly AS w ON w.day = extract(isodow FROM d.date)
        WHERE d.date NOT IN (SELECT e.date FROM exceptions AS e)
        UNION ALL
        SELECT d.date, e.opens, e.closes
        FROM days AS d JOIN exceptions AS e ON e.date = d.date
        WHERE e.opens IS NOT NULL
    ), moments AS (
        SELECT (date + opens) AT TIME ZONE p_time_zone AS opens_at,
               (date + (closes <= opens)::int + closes) AT TIME ZONE p_time_zone AS closes_at
        FROM openings
    )
    SELECT coalesce(range_agg(tstzrange(opens_at, closes_at)), '{}')
    FROM moments WHERE opens_at < closes_at
$$;

-- service_plan_at: whether the service is open at this moment and why not, then each change of the
-- eight days after it. Who finds it closed for longer is told of the next opening all the same.
CREATE FUNCTION service_plan_at(p_at timestamptz)
RETURNS TABLE (starts_at timestamptz, is_open boolean, why text, note text)
LANGUAGE plpgsql STABLE SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_rules availability.service_versions;
    v_from  timestamptz := p_at;
    v_days  int;
    v_open  tstzmultirange;
    v_next  timestamptz;
BEGIN
    SELECT * INTO STRICT v_rules
    FROM availability.service_versions AS s ORDER BY s.version DESC LIMIT 1;
    IF v_rules.maintenance_on AND coalesce(v_rules.maintenance_until > p_at, true) THEN
        RETURN QUERY SELECT p_at, false, 'switch', v_rules.maintenance_note;
        IF v_rules.maintenance_until IS NULL THEN
            RETURN;
        END IF;
        v_from := v_rules.maintenance_until;
    END IF;
    IF v_rules.weekly = '[]' AND v_rules.exceptions = '[]' THEN
        RETURN QUERY SELECT v_from, true, NULL, NULL;
        RETURN;
    END IF;
    -- Two days back: an opening of yesterday may last until today, by clocks that may jump a day.
    FOREACH v_days IN ARRAY ARRAY[12, 400] LOOP
        v_open := availability.opening_times(
            v_rules.time_zone, v_rules.weekly, v_rules.exceptions,
            (v_from AT TIME ZONE v_rules.time_zone)::date - 2, v_days);
        SELECT min(lower(o.opening)) INTO v_next
        FROM unnest(v_open) AS o (opening) WHERE lower(o.opening) > v_from;
        EXIT WHEN v_open @> v_from OR v_next < v_from + interval '8 days';
    END LOOP;
    RETURN QUERY
    SELECT c.starts_at, c.is_open, CASE WHEN c.is_open THEN NULL ELSE 'hours' END, NULL
    FROM (SELECT v_from, v_open @> v_from
          UNION ALL
          SELECT bound.starts_at, bound.is_open
          FROM unnest(v_open) AS o (opening),
               LATERAL (VALUES (lower(o.opening), true), (upper(o.opening), false))
                   AS bound (starts_at, is_open)
          WHERE bound.starts_at > v_from
            AND (bound.starts_at < v_from + interval '8 days' OR bound.starts_at = v_next)
         ) AS c (starts_at, is_open)
    ORDER BY c.starts_at;
END $$;

-- service_plan_v1: the plan from now on, by the clock of Postgres.
CREATE FUNCTION service_plan_v1()
RETURNS TABLE (starts_at timestamptz, is_open boolean, why text, note text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT p.starts_at, p.is_open, p.why, p.note
                 FROM availability.service_plan_at(clock_timestamp()) AS p;
END $$;

REVOKE ALL ON FUNCTION opening_times(text, jsonb, jsonb, date, int) FROM PUBLIC;
REVOKE ALL ON FUNCTION service_plan_at(timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION service_plan_v1() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION service_plan_v1() TO availability, pairing, pairing_owner;
