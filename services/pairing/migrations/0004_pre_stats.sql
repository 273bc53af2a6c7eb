-- What operators ask about the last hour.
CREATE INDEX requests_settled_at ON requests (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX offers_created_at ON offers (created_at);
