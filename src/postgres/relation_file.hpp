#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Names of relations' files (manual, chapter 73.1).
namespace lifeboat::postgres {

bool all_digits(std::string_view text);  // and one at least

// "16384" of "16384", "16384.1", "16384_fsm", "16384_init.2"; and the fork. Empty: no relation's.
struct RelationFile {
  std::string_view node;
  std::string_view fork;  // "" is the main one
  std::uint32_t segment = 0;
};
RelationFile relation_file(std::string_view name);

// Whether relations lie in the directory: base/<db>, global, pg_tblspc/<oid>/<version>/<db>.
bool holds_relations(std::string_view path);

// Which of its relation's files one of a data directory is; nullopt: no relation's.
std::optional<std::uint32_t> segment_of_relation(std::string_view path);
// As pg_relation_filepath() gives it: without fork and segment.
std::string path_of_relation(std::string_view path);

}  // namespace lifeboat::postgres
