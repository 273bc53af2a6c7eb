-- The twin of the mirror's load histogram: operators see the loads also while Valkey is away.

-- loads_v1: how many of those online hold 0, 1, 2 … slots; deactivated ones are online, too.
CREATE FUNCTION loads_v1()
RETURNS TABLE (load int, mitras bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_online uuid[];
BEGIN
    SELECT coalesce(array_agg(s.mitra_id), '{}') INTO v_online
    FROM availability.mitra_status AS s WHERE s.is_online;
    RETURN QUERY
    SELECT l.load, count(*)
    FROM chat.mitra_load_v1(v_online) AS l
    GROUP BY l.load;
END $$;

REVOKE ALL ON FUNCTION loads_v1() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION loads_v1() TO availability;
