-- Answers of creating requests, kept by the client's key: a retry gets the first answer.
CREATE TABLE idempotency (
    owner       uuid NOT NULL,
    route       text NOT NULL,
    key         text NOT NULL,
    body_sha256 bytea NOT NULL,
    -- Both are null only inside the transaction that claims the key.
    status      int,
    reply       bytea,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner, route, key)
);

CREATE INDEX idempotency_created_at ON idempotency (created_at);
