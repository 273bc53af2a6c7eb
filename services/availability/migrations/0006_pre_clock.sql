-- When the clock of Postgres goes back, the last beats of before lie ahead of it: for as long as it
-- jumped, whoever fell silent would look fresh, and no beat would be newer. A beat more than 5 s
-- ahead is nobody's sign of life, and the next one takes its place.

-- mirror_rows_of_v1: all facts of these mitras, as before; no last beat where it is ahead.
CREATE OR REPLACE FUNCTION mirror_rows_of_v1(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, is_online boolean, online_version bigint,
               last_heartbeat_at timestamptz, is_active boolean, active_version bigint,
               load int, capacity int, load_version bigint, pg_epoch bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_ahead timestamptz := clock_timestamp() + interval '5 seconds';
BEGIN
    RETURN QUERY
    SELECT s.mitra_id, s.is_online, s.version,
           CASE WHEN s.last_heartbeat_at <= v_ahead THEN s.last_heartbeat_at END,
           coalesce(d.is_active, false), coalesce(d.version, 0),
           l.load, l.capacity, l.version, e.epoch
    FROM availability.mitra_status AS s
    LEFT JOIN auth.mitra_directory_v1(p_mitras) AS d ON d.mitra_id = s.mitra_id
    JOIN chat.mitra_load_v1(p_mitras) AS l ON l.mitra_id = s.mitra_id
    CROSS JOIN availability.pg_epoch AS e
    WHERE s.mitra_id = ANY (p_mitras);
END $$;

-- find_available_v1: up to p_limit mitras who may get an offer now, as before; nobody who is ahead.
CREATE OR REPLACE FUNCTION find_available_v1(p_limit int, p_exclude uuid[], p_fresh_ms int)
RETURNS TABLE (mitra_id uuid, load int, capacity int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_floor  timestamptz := clock_timestamp() - p_fresh_ms * interval '1 millisecond';
    v_ahead  timestamptz := clock_timestamp() + interval '5 seconds';
    v_start  integer := floor(random() * 2147483647)::integer;
    -- Where the last bite ended: once round the circle is lap 0 from v_start up, then lap 1 below it.
    v_lap    integer := 0;
    v_spread integer := v_start;
    v_after  uuid := '00000000-0000-0000-0000-000000000000';
    v_bite   integer := greatest(64, 2 * p_limit);
    v_left   integer := p_limit;
    v_found  integer;
    v_mitras uuid[];
BEGIN
    WHILE v_left > 0 LOOP
        SELECT array_agg(bite.mitra_id), max(bite.lap)
        INTO v_mitras, v_lap
        FROM ((SELECT s.mitra_id, s.spread, 0 AS lap FROM availability.mitra_status AS s
               WHERE v_lap = 0 AND s.is_online
                 AND s.last_heartbeat_at > v_floor AND s.last_heartbeat_at <= v_ahead
                 AND (s.spread, s.mitra_id) > (v_spread, v_after)
                 AND s.mitra_id <> ALL (coalesce(p_exclude, '{}'))
               ORDER BY s.spread, s.mitra_id LIMIT v_bite)
              UNION ALL
              (SELECT s.mitra_id, s.spread, 1 AS lap FROM availability.mitra_status AS s
               WHERE s.is_online AND s.spread < v_start
                 AND s.last_heartbeat_at > v_floor AND s.last_heartbeat_at <= v_ahead
                 AND (s.spread, s.mitra_id) > (CASE v_lap WHEN 0 THEN -1 ELSE v_spread END, v_after)
                 AND s.mitra_id <> ALL (coalesce(p_exclude, '{}'))
               ORDER BY s.spread, s.mitra_id LIMIT v_bite)
              ORDER BY lap, spread, mitra_id LIMIT v_bite) AS bite;
        EXIT WHEN v_mitras IS NULL;
        v_after := v_mitras[cardinality(v_mitras)];
        SELECT s.spread INTO v_spread FROM availability.mitra_status AS s
        WHERE s.mitra_id = v_after;
        RETURN QUERY
        SELECT l.mitra_id, l.load, l.capacity
        FROM auth.mitra_directory_v1(v_mitras) AS d
        JOIN chat.mitra_load_v1(v_mitras) AS l ON l.mitra_id = d.mitra_id
        WHERE d.is_active AND l.load < l.capacity
        ORDER BY random() LIMIT v_left;
        GET DIAGNOSTICS v_found = ROW_COUNT;
        v_left := v_left - v_found;
        EXIT WHEN cardinality(v_mitras) < v_bite;
    END LOOP;
END $$;

-- counts_v1: how many are online, reachable, available, as before; nobody who is ahead is reachable.
CREATE OR REPLACE FUNCTION counts_v1(p_fresh_ms int)
RETURNS TABLE (online bigint, reachable bigint, available bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_now    timestamptz := clock_timestamp();
    v_online bigint;
    v_fresh  uuid[];
BEGIN
    SELECT count(*), coalesce(array_agg(s.mitra_id) FILTER (
               WHERE s.last_heartbeat_at > v_now - p_fresh_ms * interval '1 millisecond'
                 AND s.last_heartbeat_at <= v_now + interval '5 seconds'), '{}')
    INTO v_online, v_fresh
    FROM availability.mitra_status AS s WHERE s.is_online;
    RETURN QUERY
    SELECT v_online, count(*), count(*) FILTER (WHERE l.load < l.capacity)
    FROM auth.mitra_directory_v1(v_fresh) AS d
    JOIN chat.mitra_load_v1(v_fresh) AS l ON l.mitra_id = d.mitra_id
    WHERE d.is_active;
END $$;

-- record_beats_v1: write beats down, as before: no time moves backwards, but from ahead to now.
CREATE OR REPLACE FUNCTION record_beats_v1(p_mitras uuid[], p_beats timestamptz[])
RETURNS TABLE (mitra_id uuid, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_now    timestamptz := clock_timestamp();
    v_active uuid[];
    v_barred uuid[];
BEGIN
    SELECT coalesce(array_agg(d.mitra_id) FILTER (WHERE d.is_active), '{}'),
           coalesce(array_agg(d.mitra_id) FILTER (WHERE NOT d.is_active), '{}')
    INTO v_active, v_barred
    FROM auth.mitra_directory_v1(p_mitras) AS d;

    UPDATE availability.mitra_status AS s
    SET last_heartbeat_at = beats.beat
    FROM (SELECT DISTINCT ON (u.mitra_id) u.mitra_id, least(u.beat, v_now) AS beat
          FROM unnest(p_mitras, p_beats) AS u (mitra_id, beat)
          WHERE cardinality(v_barred) = 0 OR u.mitra_id <> ALL (v_barred)
          ORDER BY u.mitra_id, u.beat DESC) AS beats
    WHERE s.mitra_id = beats.mitra_id AND s.is_online
      AND (s.last_heartbeat_at < beats.beat
           OR s.last_heartbeat_at > v_now + interval '5 seconds');

    RETURN QUERY
    SELECT asked.mitra_id,
           CASE WHEN s.is_online AND asked.is_active THEN 'recorded'
                WHEN NOT asked.is_active THEN 'deactivated'
                ELSE 'offline' END
    FROM (SELECT a.mitra_id, true AS is_active FROM unnest(v_active) AS a (mitra_id)
          UNION ALL
          SELECT b.mitra_id, false FROM unnest(v_barred) AS b (mitra_id)) AS asked
    LEFT JOIN availability.mitra_status AS s ON s.mitra_id = asked.mitra_id
    UNION ALL
    SELECT DISTINCT u.mitra_id, 'unknown'
    FROM unnest(p_mitras) AS u (mitra_id)
    WHERE cardinality(p_mitras) > cardinality(v_active) + cardinality(v_barred)
      AND u.mitra_id <> ALL (v_active || v_barred);
END $$;
