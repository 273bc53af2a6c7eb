-- What the control center counts: sessions of the last days, and who raised a sensitivity in them.
CREATE INDEX sessions_created_at ON sessions (created_at);
CREATE INDEX sensitivity_log_changed_at ON sensitivity_log (changed_at);
