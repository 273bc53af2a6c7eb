-- Only legal moves are written, whoever writes: the belt under the guards of the statements.
CREATE FUNCTION request_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (
        (OLD.state = 'searching' AND NEW.state IN ('matched', 'expired', 'cancelled'))
        OR (OLD.state = 'matched' AND NEW.state = 'searching')
    ) THEN
        RAISE EXCEPTION 'request % may not move from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_moves';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER request_moves BEFORE UPDATE OF state ON requests
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION request_moves();

CREATE FUNCTION offer_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'open' THEN
        RAISE EXCEPTION 'offer % may not move from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offer_moves';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER offer_moves BEFORE UPDATE OF state ON offers
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION offer_moves();
