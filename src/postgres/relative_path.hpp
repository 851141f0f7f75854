#pragma once

#include <string>
#include <string_view>

namespace lifeboat::postgres {

// The path of an entry of a data directory as its parts: no leading "./", no '/' at the end.
// Error(corrupt) for one that could leave the directory (absolute, "..", empty parts, NUL), names
// nothing, or is longer than 4096 bytes.
std::string clean_relative_path(std::string_view path);

// A file of pages, which are overwritten in place: base/<db>/<n>, global/<n>, those of tablespaces,
// with their forks and segments.
bool is_relation(std::string_view path);

}  // namespace lifeboat::postgres
