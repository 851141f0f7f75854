# Third-party libraries, from the distribution but for AWS's and librdkafka (stack/setup installs them
# all).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
find_package(Snappy REQUIRED)
# Its flags decide the layout of its classes: without them the library and its header disagree.
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(YAMLCPP REQUIRED IMPORTED_TARGET yaml-cpp)

# The ZooKeeper C client ships no pkg-config file.
find_path(ZOOKEEPER_INCLUDE_DIR zookeeper/zookeeper.h REQUIRED)
find_library(ZOOKEEPER_LIBRARY zookeeper_mt REQUIRED)
add_library(lifeboat_zookeeper_client INTERFACE)
target_include_directories(lifeboat_zookeeper_client SYSTEM INTERFACE "${ZOOKEEPER_INCLUDE_DIR}")
target_link_libraries(lifeboat_zookeeper_client INTERFACE "${ZOOKEEPER_LIBRARY}")

# What stack/setup builds; the versions are those of its aws_dir and librdkafka_dir.
if(DEFINED ENV{LIFEBOAT_CACHE})
  set(lifeboat_cache "$ENV{LIFEBOAT_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(lifeboat_cache "$ENV{XDG_CACHE_HOME}/lifeboat")
else()
  set(lifeboat_cache "$ENV{HOME}/.cache/lifeboat")
endif()

# AWS's C libraries for S3.
list(PREPEND CMAKE_PREFIX_PATH "${lifeboat_cache}/aws-c-0.38.1")
find_package(aws-c-s3 QUIET)
if(NOT aws-c-s3_FOUND)
  message(FATAL_ERROR "AWS's C libraries are not in ${lifeboat_cache}/aws-c-0.38.1: run stack/setup")
endif()

# The Kafka client; its own CMake package asks for find modules that are not there.
set(librdkafka "${lifeboat_cache}/librdkafka-2.12.1")
if(NOT EXISTS "${librdkafka}/lib/librdkafka.a")
  message(FATAL_ERROR "librdkafka is not in ${librdkafka}: run stack/setup")
endif()
add_library(RdKafka::rdkafka STATIC IMPORTED)
set_target_properties(RdKafka::rdkafka PROPERTIES IMPORTED_LOCATION "${librdkafka}/lib/librdkafka.a"
                      INTERFACE_INCLUDE_DIRECTORIES "${librdkafka}/include")
target_link_libraries(RdKafka::rdkafka INTERFACE OpenSSL::SSL OpenSSL::Crypto PkgConfig::ZSTD
                      PkgConfig::LZ4 PkgConfig::ZLIB Threads::Threads m ${CMAKE_DL_LIBS})
