-- Events that could not be handled, with the reason, until somebody replays or drops them.
CREATE TABLE dead_letters (
    id          uuid PRIMARY KEY DEFAULT uuidv7(),
    consumer    text NOT NULL,
    stream      text NOT NULL,
    stream_seq  bigint NOT NULL,
    subject     text NOT NULL,
    event_id    uuid,
    body        bytea NOT NULL,
    headers     jsonb NOT NULL DEFAULT '{}',
    reason      text NOT NULL CHECK (reason IN ('malformed', 'exhausted')),
    error       text NOT NULL,
    deliveries  int NOT NULL,
    buried_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    replayed_at timestamptz
);

CREATE UNIQUE INDEX dead_letters_once
    ON dead_letters (consumer, stream, stream_seq, event_id) NULLS NOT DISTINCT;

CREATE INDEX dead_letters_waiting ON dead_letters (buried_at) WHERE replayed_at IS NULL;
