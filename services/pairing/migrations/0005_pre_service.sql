-- service_open: whether new requests are taken now, as availability plans it. Beside a release of
-- availability that has no plan yet they are taken at any hour, as that release does.
CREATE FUNCTION service_open()
RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pairing, pg_temp AS $$
BEGIN
    RETURN (SELECT is_open FROM availability.service_plan_v1() ORDER BY starts_at LIMIT 1);
EXCEPTION
    WHEN undefined_function OR invalid_schema_name THEN RETURN true;
END $$;

REVOKE ALL ON FUNCTION service_open() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION service_open() TO pairing;
