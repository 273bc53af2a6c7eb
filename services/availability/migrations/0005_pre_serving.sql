-- Since when there has been a replica to bring beats to, without a break. While none ran, or none
-- reached Postgres, whoever beats by HTTP was not heard though she was there: the mirror, which
-- sockets of other services keep awake, cannot tell that silence from a real one.
CREATE TABLE serving (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since    timestamptz NOT NULL,
    seen_at  timestamptz NOT NULL CHECK (seen_at >= since)
) WITH (fillfactor = 10);

INSERT INTO serving (since, seen_at)
SELECT moment, moment FROM clock_timestamp() AS moment;
