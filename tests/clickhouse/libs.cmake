target_link_libraries(test_clickhouse PRIVATE PkgConfig::RDKAFKA)
