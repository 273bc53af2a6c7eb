-- Events to send: written in the transaction of the change, published by the relay.
CREATE TABLE outbox (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    position     bigint GENERATED ALWAYS AS IDENTITY,
    subject      text NOT NULL CHECK (subject ~ '^evt\.[a-z]+\.[a-z_]+\.v[0-9]+$'),
    body         jsonb NOT NULL CHECK (jsonb_typeof(body) = 'object'),
    headers      jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Until then whoever wrote or took the row publishes it; afterwards any relay may.
    claimed_until timestamptz,
    published_at timestamptz,
    stream_seq   bigint,
    CHECK ((published_at IS NULL) = (stream_seq IS NULL))
);

-- The relay's question: what is unpublished, oldest first.
CREATE INDEX outbox_unpublished ON outbox (position) WHERE published_at IS NULL;

-- The restored-stream question: what did the stream hold above a sequence.
CREATE INDEX outbox_stream_seq ON outbox (stream_seq) WHERE stream_seq IS NOT NULL;

CREATE INDEX outbox_published_at ON outbox (published_at) WHERE published_at IS NOT NULL;
