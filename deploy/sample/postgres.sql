-- A business database as cdc-sms finds it: an SMS table, and a role of few rights for the bridge.
-- psql runs this once, when the container of docker-compose.yml starts on an empty volume.

\set ON_ERROR_STOP on
\set password `cat /run/secrets/bridge_password`

-- The table is the business's own. Only created_at is a column that people forget: with the key
-- it says which message a row is.
CREATE TABLE sms (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient   text NOT NULL,
    body        text NOT NULL,
    sender      text,
    status      text NOT NULL DEFAULT 'pending',
    created_at  timestamptz NOT NULL DEFAULT now(),
    send_after  timestamptz,
    provider_id text,
    sent_at     timestamptz,
    error       text
);

-- What the bridge may do: replicate, make its own tables, read the table, write its status.
CREATE ROLE bridge LOGIN REPLICATION PASSWORD :'password';
GRANT CREATE ON DATABASE shop TO bridge;
GRANT USAGE, CREATE ON SCHEMA public TO bridge;
GRANT SELECT, UPDATE (status, provider_id, sent_at, error) ON sms TO bridge;

-- A publication of a table is its owner's affair; the bridge finds it and leaves it as it is.
CREATE PUBLICATION cdc_sms FOR TABLE sms WITH (publish = 'insert');
