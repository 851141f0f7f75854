#include "fuzz/targets.hpp"
#include "postgres/relation_file.hpp"
#include "postgres/relative_path.hpp"

// Paths in a data directory, as a server or an archive names them: what is taken stays in it.
namespace lifeboat::fuzz {

void paths(std::string_view bytes) {
  const auto path = postgres::clean_relative_path(bytes);
  if (taken([&] { return postgres::clean_relative_path(path); }) != path) broken("not clean yet");
  if (path.empty() || path.front() == '/' || ("/" + path + "/").find("/../") != std::string::npos) {
    broken("a path that leaves the directory");
  }
  postgres::is_relation(path);
  postgres::holds_relations(path);
  if (postgres::segment_of_relation(path)) {
    const auto first = postgres::path_of_relation(path);
    if (postgres::segment_of_relation(first) != 0u || !path.starts_with(first)) {
      broken("a relation without a first segment");
    }
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(paths)
