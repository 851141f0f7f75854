-- What ClickHouse holds in the drills. `schema.py` replaces {bootstrap} and applies the statements in order.
--
--   events_json          kafka_events ──┬─ events_mv ─────────────── events ── events_by_day_mv ── events_by_day
--                                       └─ events_recent_mv ──────── events_recent
--   persons_json         kafka_persons ─── persons_mv ────────────── persons
--   session_replay_json  kafka_session_replay ─┬─ session_replay_mv ────────── session_replay
--                                              └─ session_replay_by_team_mv ── session_replay_by_team
--
-- One consumer group serves all three Kafka tables. What a target keeps of a message's place differs on purpose: a
-- backup cannot learn its cut from the rows.

CREATE DATABASE IF NOT EXISTS posthog;

-- Keeps _timestamp and _offset, not _partition.
CREATE TABLE posthog.events (
    uuid UUID,
    team_id Int64,
    event LowCardinality(String),
    distinct_id String,
    timestamp DateTime64(3, 'UTC'),
    properties String CODEC(ZSTD(1)),
    _timestamp DateTime('UTC'),
    _offset UInt64
) ENGINE = ReplacingMergeTree(_timestamp)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid));

-- Merges keep every row here: a duplicate that `events` has merged away can still be named.
CREATE TABLE posthog.events_recent (
    uuid UUID,
    team_id Int64,
    event LowCardinality(String),
    distinct_id String,
    timestamp DateTime64(3, 'UTC'),
    _timestamp DateTime('UTC'),
    _offset UInt64
) ENGINE = MergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, timestamp);

CREATE TABLE posthog.events_by_day (
    team_id Int64,
    day Date,
    event_count UInt64,
    amount Int64,
    property_bytes UInt64
) ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (team_id, day);

-- Keeps all three.
CREATE TABLE posthog.persons (
    id UUID,
    team_id Int64,
    version UInt64,
    is_identified UInt8,
    created_at DateTime64(3, 'UTC'),
    properties String CODEC(ZSTD(1)),
    _timestamp DateTime('UTC'),
    _offset UInt64,
    _partition UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (team_id, id);

-- Keeps none: a message that is counted twice stays counted twice.
CREATE TABLE posthog.session_replay (
    session_id UUID,
    team_id Int64,
    min_first_timestamp SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    max_last_timestamp SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    click_count SimpleAggregateFunction(sum, Int64),
    keypress_count SimpleAggregateFunction(sum, Int64),
    size SimpleAggregateFunction(sum, Int64),
    message_count SimpleAggregateFunction(sum, Int64)
) ENGINE = AggregatingMergeTree
ORDER BY (team_id, session_id);

CREATE TABLE posthog.session_replay_by_team (
    team_id Int64,
    day Date,
    click_count Int64,
    size Int64,
    message_count Int64
) ENGINE = SummingMergeTree
ORDER BY (team_id, day);

CREATE TABLE posthog.kafka_events (
    uuid UUID,
    team_id Int64,
    event String,
    distinct_id String,
    timestamp DateTime64(3, 'UTC'),
    properties String
) ENGINE = Kafka
SETTINGS kafka_broker_list = '{bootstrap}', kafka_topic_list = 'events_json', kafka_group_name = 'group1',
    kafka_format = 'JSONEachRow', kafka_num_consumers = 1, kafka_flush_interval_ms = 500;

CREATE TABLE posthog.kafka_persons (
    id UUID,
    team_id Int64,
    version UInt64,
    is_identified UInt8,
    created_at DateTime64(3, 'UTC'),
    properties String
) ENGINE = Kafka
SETTINGS kafka_broker_list = '{bootstrap}', kafka_topic_list = 'persons_json', kafka_group_name = 'group1',
    kafka_format = 'JSONEachRow', kafka_num_consumers = 1, kafka_flush_interval_ms = 500;

CREATE TABLE posthog.kafka_session_replay (
    session_id UUID,
    team_id Int64,
    first_timestamp DateTime64(3, 'UTC'),
    last_timestamp DateTime64(3, 'UTC'),
    click_count Int64,
    keypress_count Int64,
    size Int64
) ENGINE = Kafka
SETTINGS kafka_broker_list = '{bootstrap}', kafka_topic_list = 'session_replay_json', kafka_group_name = 'group1',
    kafka_format = 'JSONEachRow', kafka_num_consumers = 1, kafka_flush_interval_ms = 500;

-- The chained view comes first: rows that arrive before it stands would be missing in its sums for ever.
CREATE MATERIALIZED VIEW posthog.events_by_day_mv TO posthog.events_by_day AS
SELECT team_id, toDate(timestamp) AS day, count() AS event_count,
    sum(JSONExtractInt(properties, 'amount')) AS amount, sum(length(properties)) AS property_bytes
FROM posthog.events
GROUP BY team_id, day;

CREATE MATERIALIZED VIEW posthog.events_mv TO posthog.events AS
SELECT uuid, team_id, event, distinct_id, timestamp, properties,
    assumeNotNull(_timestamp) AS _timestamp, _offset
FROM posthog.kafka_events;

CREATE MATERIALIZED VIEW posthog.events_recent_mv TO posthog.events_recent AS
SELECT uuid, team_id, event, distinct_id, timestamp, assumeNotNull(_timestamp) AS _timestamp, _offset
FROM posthog.kafka_events;

CREATE MATERIALIZED VIEW posthog.persons_mv TO posthog.persons AS
SELECT id, team_id, version, is_identified, created_at, properties,
    assumeNotNull(_timestamp) AS _timestamp, _offset, _partition
FROM posthog.kafka_persons;

CREATE MATERIALIZED VIEW posthog.session_replay_mv TO posthog.session_replay AS
SELECT session_id, team_id, min(first_timestamp) AS min_first_timestamp, max(last_timestamp) AS max_last_timestamp,
    sum(click_count) AS click_count, sum(keypress_count) AS keypress_count, sum(size) AS size,
    toInt64(count()) AS message_count
FROM posthog.kafka_session_replay
GROUP BY session_id, team_id;

CREATE MATERIALIZED VIEW posthog.session_replay_by_team_mv TO posthog.session_replay_by_team AS
SELECT team_id, toDate(first_timestamp) AS day, sum(click_count) AS click_count, sum(size) AS size,
    toInt64(count()) AS message_count
FROM posthog.kafka_session_replay
GROUP BY team_id, day;
