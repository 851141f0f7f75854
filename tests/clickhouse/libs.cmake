target_link_libraries(test_clickhouse PRIVATE RdKafka::rdkafka)
