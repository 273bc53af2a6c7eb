-- Operators may see a brake and confirm it: the very one they saw, told apart by its id.

ALTER TABLE brakes
    ADD COLUMN brake_id uuid NOT NULL DEFAULT uuidv7(),
    ADD COLUMN since timestamptz NOT NULL DEFAULT clock_timestamp();

COMMENT ON COLUMN brakes.brake_id IS
    'Another one as soon as a mitra is named who was not; whoever confirms it has seen them all.';
COMMENT ON COLUMN brakes.since IS 'When it was raised first; raised_at is renewed by each pass.';

-- What a stopped pass that names mitras makes of the brake before, whichever release's sweeper it is:
-- another one where somebody is named who was not, or where that one was void.
CREATE FUNCTION tell_brakes_apart() RETURNS trigger
LANGUAGE plpgsql SET search_path = sweeper, pg_temp AS $$
DECLARE
    v_goes_on boolean := is_recent(OLD.raised_at, OLD.valid_seconds);
    v_same boolean := v_goes_on AND OLD.mitra_ids @> NEW.mitra_ids;
BEGIN
    NEW.raised_at := clock_timestamp();
    IF NOT v_goes_on THEN
        NEW.since := NEW.raised_at;
    END IF;
    IF NOT v_same THEN
        NEW.brake_id := uuidv7();
    END IF;
    IF NOT v_same OR NOT is_recent(OLD.confirmed_at, OLD.valid_seconds) THEN
        NEW.confirmed_at := NULL;
        NEW.confirmed_by := NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER brakes_told_apart BEFORE UPDATE OF mitra_ids ON brakes
FOR EACH ROW EXECUTE FUNCTION tell_brakes_apart();

-- brake_v1: the auto-offline pass that is stopped now, if one is; void ones are not shown. While
-- at least half of the online mitras are heard the next pass goes on by itself, else an operator
-- is needed.
CREATE FUNCTION brake_v1()
RETURNS TABLE (brake_id uuid, mitra_ids uuid[], mitras int, online int, fresh int,
               needs_operator boolean, since timestamptz, raised_at timestamptz,
               confirmed_at timestamptz, confirmed_by text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sweeper, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT b.brake_id, b.mitra_ids, cardinality(b.mitra_ids), b.online, b.fresh,
           b.confirmed_at IS NULL AND b.fresh * 2 < b.online, b.since, b.raised_at,
           b.confirmed_at, b.confirmed_by
    FROM sweeper.brakes AS b
    WHERE b.sweep = 'auto_offline'
      AND is_recent(greatest(b.raised_at, b.confirmed_at), b.valid_seconds);
END $$;

-- confirm_brake_v1: an operator says of the pass that she saw: they are really gone. `confirmed`,
-- also when it was before; `another` when others were named meanwhile; no row when nothing waits.
CREATE FUNCTION confirm_brake_v1(p_brake uuid, p_by uuid)
RETURNS TABLE (outcome text, mitras int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sweeper, pg_temp AS $$
BEGIN
    UPDATE sweeper.brakes AS b
    SET confirmed_at = clock_timestamp(), confirmed_by = p_by::text
    WHERE b.sweep = 'auto_offline' AND b.brake_id = p_brake AND b.confirmed_at IS NULL
      AND is_recent(b.raised_at, b.valid_seconds);
    RETURN QUERY
    SELECT CASE WHEN s.brake_id = p_brake AND s.confirmed_at IS NOT NULL THEN 'confirmed'
                ELSE 'another' END, s.mitras
    FROM sweeper.brake_v1() AS s;
END $$;

REVOKE ALL ON FUNCTION brake_v1() FROM PUBLIC;
REVOKE ALL ON FUNCTION confirm_brake_v1(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION brake_v1() TO availability;
GRANT EXECUTE ON FUNCTION confirm_brake_v1(uuid, uuid) TO availability;
