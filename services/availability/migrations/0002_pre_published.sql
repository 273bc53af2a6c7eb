-- What availability publishes to its neighbours. Names of other schemas stand only inside bodies,
-- so that services migrate in any order.

-- mirror_rows_of_v1: all facts of these mitras. One snapshot, so that each value fits its version.
CREATE FUNCTION mirror_rows_of_v1(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, is_online boolean, online_version bigint,
               last_heartbeat_at timestamptz, is_active boolean, active_version bigint,
               load int, capacity int, load_version bigint, pg_epoch bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.mitra_id, s.is_online, s.version, s.last_heartbeat_at,
           coalesce(d.is_active, false), coalesce(d.version, 0),
           l.load, l.capacity, l.version, e.epoch
    FROM availability.mitra_status AS s
    LEFT JOIN auth.mitra_directory_v1(p_mitras) AS d ON d.mitra_id = s.mitra_id
    JOIN chat.mitra_load_v1(p_mitras) AS l ON l.mitra_id = s.mitra_id
    CROSS JOIN availability.pg_epoch AS e
    WHERE s.mitra_id = ANY (p_mitras);
END $$;

-- mirror_rows_v1: the same of the next mitras in the order of their ids.
CREATE FUNCTION mirror_rows_v1(p_after uuid, p_limit int)
RETURNS TABLE (mitra_id uuid, is_online boolean, online_version bigint,
               last_heartbeat_at timestamptz, is_active boolean, active_version bigint,
               load int, capacity int, load_version bigint, pg_epoch bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_mitras uuid[];
BEGIN
    SELECT array_agg(page.mitra_id) INTO v_mitras
    FROM (SELECT s.mitra_id FROM availability.mitra_status AS s
          WHERE s.mitra_id > p_after ORDER BY s.mitra_id LIMIT p_limit) AS page;
    RETURN QUERY
    SELECT r.mitra_id, r.is_online, r.online_version, r.last_heartbeat_at, r.is_active,
           r.active_version, r.load, r.capacity, r.load_version, r.pg_epoch
    FROM availability.mirror_rows_of_v1(coalesce(v_mitras, '{}')) AS r
    ORDER BY r.mitra_id;
END $$;

-- find_available_v1: up to p_limit mitras who may get an offer now, from a random place on, in
-- bounded bites: the directory and the loads are asked only for as many as are needed.
CREATE FUNCTION find_available_v1(p_limit int, p_exclude uuid[], p_fresh_ms int)
RETURNS TABLE (mitra_id uuid, load int, capacity int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_floor  timestamptz := clock_timestamp() - p_fresh_ms * interval '1 millisecond';
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
               WHERE v_lap = 0 AND s.is_online AND s.last_heartbeat_at > v_floor
                 AND (s.spread, s.mitra_id) > (v_spread, v_after)
                 AND s.mitra_id <> ALL (coalesce(p_exclude, '{}'))
               ORDER BY s.spread, s.mitra_id LIMIT v_bite)
              UNION ALL
              (SELECT s.mitra_id, s.spread, 1 AS lap FROM availability.mitra_status AS s
               WHERE s.is_online AND s.last_heartbeat_at > v_floor AND s.spread < v_start
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

-- is_reachable_v1: reachable = online, fresh, active; available = reachable and a free slot.
CREATE FUNCTION is_reachable_v1(p_mitras uuid[], p_fresh_ms int)
RETURNS TABLE (mitra_id uuid, reachable boolean, available boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT r.mitra_id, r.reachable, r.reachable AND r.load < r.capacity
    FROM (SELECT m.mitra_id, m.load, m.capacity,
                 m.is_online AND m.is_active AND coalesce(m.last_heartbeat_at
                     > clock_timestamp() - p_fresh_ms * interval '1 millisecond', false)
                     AS reachable
          FROM availability.mirror_rows_of_v1(p_mitras) AS m) AS r;
END $$;

-- counts_v1: how many are online, reachable, available.
CREATE FUNCTION counts_v1(p_fresh_ms int)
RETURNS TABLE (online bigint, reachable bigint, available bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_online bigint;
    v_fresh  uuid[];
BEGIN
    SELECT count(*), coalesce(array_agg(s.mitra_id) FILTER (WHERE s.last_heartbeat_at
               > clock_timestamp() - p_fresh_ms * interval '1 millisecond'), '{}')
    INTO v_online, v_fresh
    FROM availability.mitra_status AS s WHERE s.is_online;
    RETURN QUERY
    SELECT v_online, count(*), count(*) FILTER (WHERE l.load < l.capacity)
    FROM auth.mitra_directory_v1(v_fresh) AS d
    JOIN chat.mitra_load_v1(v_fresh) AS l ON l.mitra_id = d.mitra_id
    WHERE d.is_active;
END $$;

-- record_beats_v1: write beats down; no time moves backwards or into the future, nobody comes
-- online by it, and a deactivated mitra is told so. Sorted, so that two batches take the same
-- rows in the same order. An UPDATE, not an upsert: an upsert locks every row that did not change.
CREATE FUNCTION record_beats_v1(p_mitras uuid[], p_beats timestamptz[])
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
    WHERE s.mitra_id = beats.mitra_id AND s.is_online AND s.last_heartbeat_at < beats.beat;

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

-- due_v1: mitras who are still online although they were deactivated. Looks at a sixteenth of
-- those online, another one each second: the event and the reconcile are faster, this is the net.
CREATE FUNCTION due_v1(p_limit int)
RETURNS TABLE (kind text, id uuid, due_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_width  constant integer := 134217728;
    v_from   integer := v_width * (floor(extract(epoch FROM clock_timestamp()))::bigint % 16);
    v_online uuid[];
BEGIN
    SELECT array_agg(s.mitra_id) INTO v_online
    FROM availability.mitra_status AS s
    WHERE s.is_online AND s.spread BETWEEN v_from AND v_from + (v_width - 1);
    RETURN QUERY
    SELECT 'deactivated_online'::text, d.mitra_id, s.went_online_at
    FROM auth.mitra_directory_v1(coalesce(v_online, '{}')) AS d
    JOIN availability.mitra_status AS s ON s.mitra_id = d.mitra_id
    WHERE NOT d.is_active AND s.is_online
    ORDER BY s.went_online_at LIMIT p_limit;
END $$;

-- take_seeding_v1: the right to rebuild the mirror, for a while; no row while another holds it.
CREATE FUNCTION take_seeding_v1(p_holder uuid, p_life_ms int)
RETURNS TABLE (pg_epoch bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_until timestamptz := clock_timestamp() + p_life_ms * interval '1 millisecond';
BEGIN
    INSERT INTO availability.leases AS l (name, holder, expires_at)
    VALUES ('seeding', p_holder, v_until)
    ON CONFLICT (name) DO UPDATE
    SET holder = p_holder, expires_at = v_until,
        fence = l.fence + CASE WHEN l.holder = p_holder THEN 0 ELSE 1 END
    WHERE l.holder = p_holder OR l.expires_at <= clock_timestamp();
    IF FOUND THEN
        RETURN QUERY SELECT e.epoch FROM availability.pg_epoch AS e;
    END IF;
END $$;

-- release_seeding_v1: give it back at once.
CREATE FUNCTION release_seeding_v1(p_holder uuid)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability, pg_temp AS $$
BEGIN
    UPDATE availability.leases SET expires_at = clock_timestamp()
    WHERE name = 'seeding' AND holder = p_holder;
END $$;

-- bump_pg_epoch: for the promotion and restore runbooks; the mirror is reseeded within seconds.
CREATE FUNCTION bump_pg_epoch(p_reason text)
RETURNS bigint
LANGUAGE sql SET search_path = availability, pg_temp AS $$
    UPDATE availability.pg_epoch
    SET epoch = epoch + 1, bumped_at = clock_timestamp(), reason = p_reason
    RETURNING epoch
$$;

REVOKE ALL ON FUNCTION mirror_rows_of_v1(uuid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION mirror_rows_v1(uuid, int) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_available_v1(int, uuid[], int) FROM PUBLIC;
REVOKE ALL ON FUNCTION is_reachable_v1(uuid[], int) FROM PUBLIC;
REVOKE ALL ON FUNCTION counts_v1(int) FROM PUBLIC;
REVOKE ALL ON FUNCTION record_beats_v1(uuid[], timestamptz[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION due_v1(int) FROM PUBLIC;
REVOKE ALL ON FUNCTION take_seeding_v1(uuid, int) FROM PUBLIC;
REVOKE ALL ON FUNCTION release_seeding_v1(uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION bump_pg_epoch(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION mirror_rows_of_v1(uuid[]) TO availability,
    sweeper, sweeper_owner, pairing, pairing_owner, chat, chat_owner;
GRANT EXECUTE ON FUNCTION mirror_rows_v1(uuid, int) TO availability,
    sweeper, sweeper_owner, pairing, pairing_owner, chat, chat_owner;
GRANT EXECUTE ON FUNCTION find_available_v1(int, uuid[], int) TO availability,
    pairing, pairing_owner;
GRANT EXECUTE ON FUNCTION is_reachable_v1(uuid[], int) TO availability,
    pairing, pairing_owner, chat, chat_owner;
GRANT EXECUTE ON FUNCTION counts_v1(int) TO availability,
    pairing, pairing_owner, sweeper, sweeper_owner;
GRANT EXECUTE ON FUNCTION record_beats_v1(uuid[], timestamptz[]) TO availability,
    sweeper, sweeper_owner, pairing, pairing_owner, chat, chat_owner;
GRANT EXECUTE ON FUNCTION due_v1(int) TO availability, sweeper, sweeper_owner;
GRANT EXECUTE ON FUNCTION take_seeding_v1(uuid, int) TO availability, sweeper, sweeper_owner;
GRANT EXECUTE ON FUNCTION release_seeding_v1(uuid) TO availability, sweeper, sweeper_owner;
