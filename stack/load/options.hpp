#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace loadgen {

/// What stack.json says of the servers.
struct Stack {
  std::string bootstrap;
  std::string postgres;  ///< libpq connection string
};

enum class Verb { load, create_topics, group_lag, help };

struct Options {
  Verb verb = Verb::load;
  std::filesystem::path stack;
  std::filesystem::path ledger;
  double events_rate = 5000;
  double transactions_rate = 50;
  std::uint64_t seed = 0;
  bool kafka = true;
  bool postgres = true;
  std::optional<double> duration_seconds;
  std::string group = "group1";
  std::vector<std::string> rest;  ///< topics as NAME:PARTITIONS
};

extern const char* const kUsage;

/// Throws std::invalid_argument that says what was expected.
[[nodiscard]] Options parse_options(int argc, char** argv);
/// Throws std::runtime_error when the file is not there or is no stack.json.
[[nodiscard]] Stack read_stack(const std::filesystem::path& path);

}  // namespace loadgen
