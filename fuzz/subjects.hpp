#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fuzz/targets.hpp"

// What test_fuzz runs. Seeds are bytes that real servers sent, or that this project wrote.
namespace lifeboat::fuzz {

constexpr int kManyInputs = 60'000;
constexpr int kFewInputs = 20'000;  // JSON, and what throws much, take their time when sanitized

struct Subject {
  const char* name;
  Target target;
  std::vector<std::string> (*seeds)();  // all of them good
  std::string_view object = "";         // the type of docs/format.md whose objects it reads
  int inputs = kManyInputs;
};

std::vector<Subject> kafka_subjects();
std::vector<Subject> vault_subjects();
std::vector<Subject> document_subjects();  // what the vault's objects hold, and files beside them
std::vector<Subject> server_subjects();    // PostgreSQL, ClickHouse, S3

std::vector<std::string> captured_batches();
std::string bytes_of(std::string_view hex);

}  // namespace lifeboat::fuzz
