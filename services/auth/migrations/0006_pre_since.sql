-- Since when a mitra is as operators say she is: "why am I not getting requests?" answers with it.

-- NULL where nobody wrote it down: reactivated before this column was there.
ALTER TABLE mitras ADD COLUMN activity_changed_at timestamptz;

UPDATE mitras SET activity_changed_at = coalesce(deactivated_at, created_at)
WHERE deactivated_at IS NOT NULL OR version = 1;

ALTER TABLE mitras ALTER COLUMN activity_changed_at SET DEFAULT clock_timestamp();

-- A trigger and not the statement that switches: the release before this one writes it, too.
CREATE FUNCTION mitras_note_activity() RETURNS trigger
LANGUAGE plpgsql SET search_path = auth, pg_temp AS $$
BEGIN
    NEW.activity_changed_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE TRIGGER mitras_note_activity BEFORE UPDATE OF is_active ON mitras
    FOR EACH ROW WHEN (NEW.is_active IS DISTINCT FROM OLD.is_active)
    EXECUTE FUNCTION mitras_note_activity();

-- mitra_directory_v2: as v1, and since when is_active is so (NULL: unknown).
CREATE FUNCTION mitra_directory_v2(p_mitras uuid[])
RETURNS TABLE (mitra_id uuid, display_name text, is_active boolean, version bigint,
               changed_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = auth, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.mitra_id, m.display_name, m.is_active, m.version, m.activity_changed_at
    FROM auth.mitras AS m WHERE m.mitra_id = ANY (p_mitras);
END $$;

REVOKE ALL ON FUNCTION mitra_directory_v2(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mitra_directory_v2(uuid[]) TO auth, availability, availability_owner;
