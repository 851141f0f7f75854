#include "postgres/relation_file.hpp"

#include <algorithm>
#include <charconv>

namespace lifeboat::postgres {
namespace {

struct Place {
  std::string_view directory;
  std::string_view name;
};
Place split(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

RelationFile relation_file(std::string_view name) {
  RelationFile out;
  if (auto dot = name.find('.'); dot != std::string_view::npos) {
    const auto digits = name.substr(dot + 1);
    const auto* end = digits.data() + digits.size();
    if (!all_digits(digits) || std::from_chars(digits.data(), end, out.segment).ec != std::errc()) {
      return {};
    }
    name = name.substr(0, dot);
  }
  auto line = name.find('_');
  auto node = name.substr(0, line);
  if (!all_digits(node)) return {};
  out.node = node;
  if (line != std::string_view::npos) out.fork = name.substr(line + 1);
  return out;
}

bool holds_relations(std::string_view path) {
  const auto parts = std::count(path.begin(), path.end(), '/') + 1;
  return path == "global" || (path.starts_with("base/") && parts == 2) ||
         (path.starts_with("pg_tblspc/") && parts == 4);
}

std::optional<std::uint32_t> segment_of_relation(std::string_view path) {
  const auto [directory, name] = split(path);
  if (!holds_relations(directory)) return std::nullopt;
  const auto file = relation_file(name);
  if (file.node.empty()) return std::nullopt;
  return file.segment;
}

std::string path_of_relation(std::string_view path) {
  const auto [directory, name] = split(path);
  return std::string(directory) + "/" + std::string(relation_file(name).node);
}

}  // namespace lifeboat::postgres
