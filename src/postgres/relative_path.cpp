#include "postgres/relative_path.hpp"

#include "base/error.hpp"

namespace lifeboat::postgres {

namespace {

bool is_good_part(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && part.find('\0') == std::string_view::npos;
}

}  // namespace

std::string clean_relative_path(std::string_view path) {
  const auto whole = path;
  while (path.substr(0, 2) == "./") path.remove_prefix(2);
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  bool good = path.size() <= 4096;
  for (std::size_t at = 0; good && at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    good = is_good_part(path.substr(at, end - at));
    at = end + 1;
  }
  if (good) return std::string(path);
  throw Error(Code::corrupt, "data directory",
              "not a path inside it: " + std::string(whole.substr(0, 200)));
}

bool is_relation(std::string_view path) {
  auto name = path.substr(path.rfind('/') + 1);
  return (path.starts_with("base/") || path.starts_with("global/") ||
          path.starts_with("pg_tblspc/")) &&
         !name.empty() && name[0] >= '0' && name[0] <= '9';
}

}  // namespace lifeboat::postgres
