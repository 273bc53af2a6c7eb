-- Since when a mitra holds as many slots as she does: "why am I not getting requests?" answers
-- with it.

-- mitra_load_v2: as v1, and when her slots or her capacity last changed (NULL: never did).
CREATE FUNCTION mitra_load_v2(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, load int, capacity int, version bigint, changed_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = chat, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT one.mitra_id, one.load, one.capacity, one.version, l.changed_at
    FROM mitra_load_v1(p_mitras) AS one
    LEFT JOIN mitra_load AS l ON l.mitra_id = one.mitra_id;
END;
$$;

REVOKE ALL ON FUNCTION mitra_load_v2(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mitra_load_v2(uuid[]) TO chat, availability, availability_owner;
