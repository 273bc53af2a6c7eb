-- Who there is: customers come by themselves, mitras are made by operators, operators by hand.
CREATE TABLE customers (
    customer_id    uuid PRIMARY KEY,
    -- E.164: one number is one account however it is typed.
    phone          text NOT NULL CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),
    display_name   text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 80),
    created_at     timestamptz NOT NULL,
    last_sign_in_at timestamptz NOT NULL,
    CONSTRAINT customers_phone UNIQUE (phone)
);

CREATE TABLE operators (
    operator_id   uuid PRIMARY KEY,
    email         text NOT NULL CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
    display_name  text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 80),
    password_hash text NOT NULL,
    is_active     boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL,
    CONSTRAINT operators_email UNIQUE (email)
);

CREATE TABLE mitras (
    mitra_id           uuid PRIMARY KEY,
    phone              text NOT NULL CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),
    display_name       text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 80),
    is_active          boolean NOT NULL DEFAULT true,
    -- Of is_active: bumped under the row lock each time it changes.
    version            bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at         timestamptz NOT NULL,
    created_by         uuid NOT NULL,
    deactivated_at     timestamptz,
    deactivated_reason text CHECK (char_length(deactivated_reason) <= 500),
    CONSTRAINT mitras_phone UNIQUE (phone),
    CHECK (is_active = (deactivated_at IS NULL))
);

-- Settings that operators edit; a section without a row has the defaults of the environment.
CREATE TABLE app_config (
    section    text PRIMARY KEY CHECK (section IN ('auth')),
    version    bigint NOT NULL CHECK (version >= 1),
    body       jsonb NOT NULL CHECK (jsonb_typeof(body) = 'object'),
    updated_at timestamptz NOT NULL,
    updated_by uuid NOT NULL
);
