-- What PostgreSQL holds in the drills. Every transaction of the load leaves one row in users, api_keys,
-- feature_flag_changes and load_tx under its own tx_id, and moves one feature flag and one team on: a transaction that
-- came back half shows in each of them.

CREATE TABLE teams (
    id integer PRIMARY KEY,
    name text NOT NULL,
    api_token text NOT NULL UNIQUE,
    member_count bigint NOT NULL DEFAULT 0
);

CREATE TABLE users (
    id bigint PRIMARY KEY,
    team_id integer NOT NULL REFERENCES teams (id),
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    tx_id bigint NOT NULL
);

CREATE TABLE api_keys (
    id bigint PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    team_id integer NOT NULL REFERENCES teams (id),
    secure_value text NOT NULL,
    tx_id bigint NOT NULL
);

CREATE TABLE feature_flags (
    id integer PRIMARY KEY,
    team_id integer NOT NULL REFERENCES teams (id),
    key text NOT NULL UNIQUE,
    rollout integer NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0
);

CREATE TABLE feature_flag_changes (
    tx_id bigint PRIMARY KEY,
    flag_id integer NOT NULL REFERENCES feature_flags (id),
    version bigint NOT NULL,
    rollout integer NOT NULL,
    UNIQUE (flag_id, version)
);

CREATE TABLE load_tx (
    tx_id bigint PRIMARY KEY,
    content_hash text NOT NULL
);

INSERT INTO teams (id, name, api_token)
SELECT i, 'team ' || i, 'phc_' || md5('team ' || i) FROM generate_series(1, 20) AS i;

INSERT INTO feature_flags (id, team_id, key)
SELECT i, 1 + (i - 1) % 20, 'flag-' || i FROM generate_series(1, 40) AS i;
