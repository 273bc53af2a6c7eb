-- One row for every act, written in the transaction of the act; the service may add and read rows,
-- never change or remove one. Two books, because what operators do is kept longer.
CREATE TABLE audit (
    book         text NOT NULL CHECK (book IN ('people', 'control')),
    at           timestamptz NOT NULL,
    audit_id     uuid NOT NULL,
    action       text NOT NULL CHECK (action ~ '^[a-z][a-z_]{2,40}$'),
    actor_role   text CHECK (actor_role IN ('customer', 'mitra', 'operator', 'system')),
    actor_id     uuid,
    subject_id   uuid,
    login_id     uuid,
    phone_masked text,
    address      text,
    user_agent   text CHECK (char_length(user_agent) <= 200),
    request_id   text,
    detail       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
    PRIMARY KEY (book, at, audit_id)
) PARTITION BY LIST (book);

CREATE TABLE audit_people PARTITION OF audit FOR VALUES IN ('people') PARTITION BY RANGE (at);
CREATE TABLE audit_control PARTITION OF audit FOR VALUES IN ('control') PARTITION BY RANGE (at);
-- Whatever no month was prepared for still has a place.
CREATE TABLE audit_people_rest PARTITION OF audit_people DEFAULT;
CREATE TABLE audit_control_rest PARTITION OF audit_control DEFAULT;

CREATE INDEX audit_audit_id ON audit (audit_id);
CREATE INDEX audit_subject ON audit (subject_id, audit_id) WHERE subject_id IS NOT NULL;

REVOKE UPDATE, DELETE ON audit, audit_people, audit_control, audit_people_rest, audit_control_rest
    FROM auth;

-- keep_audit: prepare this month and the next two; drop what is past its keeping time.
CREATE FUNCTION keep_audit(p_people_days int, p_control_days int)
RETURNS TABLE (created int, dropped int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = auth, pg_temp AS $$
DECLARE
    v_book    text;
    v_month   timestamptz;
    v_name    text;
    v_oldest  timestamptz;
    v_table   record;
    v_created int := 0;
    v_dropped int := 0;
BEGIN
    FOREACH v_book IN ARRAY ARRAY['people', 'control'] LOOP
        FOR n IN 0..2 LOOP
            v_month := date_trunc('month', clock_timestamp(), 'UTC') + make_interval(months => n);
            v_name := format('audit_%s_%s', v_book, to_char(v_month AT TIME ZONE 'UTC', 'YYYYMM'));
            CONTINUE WHEN to_regclass('auth.' || v_name) IS NOT NULL;
            BEGIN
                EXECUTE format(
                    'CREATE TABLE auth.%I PARTITION OF auth.%I FOR VALUES FROM (%L) TO (%L)',
                    v_name, 'audit_' || v_book, v_month, v_month + interval '1 month');
                EXECUTE format('REVOKE UPDATE, DELETE ON auth.%I FROM auth', v_name);
                v_created := v_created + 1;
            EXCEPTION
                -- The rest already holds rows of that month, or a neighbour was faster.
                WHEN check_violation OR duplicate_table THEN NULL;
            END;
        END LOOP;
        v_oldest := clock_timestamp() - make_interval(
            days => CASE v_book WHEN 'people' THEN p_people_days ELSE p_control_days END);
        FOR v_table IN
            SELECT c.relname,
                   to_timestamp(right(c.relname, 6) || '+00', 'YYYYMMTZH') AS month
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass('auth.audit_' || v_book)
              AND c.relname ~ '_[0-9]{6}$'
        LOOP
            IF v_table.month + interval '1 month' <= v_oldest THEN
                EXECUTE format('DROP TABLE auth.%I', v_table.relname);
                v_dropped := v_dropped + 1;
            END IF;
        END LOOP;
        EXECUTE format('DELETE FROM auth.%I WHERE at < %L', 'audit_' || v_book || '_rest', v_oldest);
    END LOOP;
    RETURN QUERY SELECT v_created, v_dropped;
END $$;

REVOKE ALL ON FUNCTION keep_audit(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_audit(int, int) TO auth;

SELECT created, dropped FROM keep_audit(90, 400);
