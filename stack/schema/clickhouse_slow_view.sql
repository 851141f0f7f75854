-- A third view on the events' Kafka table that sleeps in every block: a cut that does not wait for the block in
-- flight comes out wrong.

CREATE TABLE posthog.events_slow (
    team_id Int64,
    day Date,
    event_count UInt64
) ENGINE = SummingMergeTree
ORDER BY (team_id, day);

CREATE MATERIALIZED VIEW posthog.events_slow_mv TO posthog.events_slow AS
SELECT team_id, toDate(timestamp) AS day, count() AS event_count
FROM posthog.kafka_events
WHERE sleep({seconds}) = 0
GROUP BY team_id, day;
