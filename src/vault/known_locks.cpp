#include "vault/known_locks.hpp"

#include <fmt/format.h>

#include <charconv>
#include <sstream>

namespace lifeboat::vault {
namespace {

constexpr std::string_view kFirstLine = "lifeboat locks 1 ";

}  // namespace

std::string encode_locks(const KnownLocks& known, const std::string& vault_id) {
  auto out = fmt::format("{}{}\n", kFirstLine, vault_id);
  for (const auto& [name, until] : known) out += fmt::format("{} {}\n", until.value, name);
  return out;
}

KnownLocks decode_locks(const std::string& text, const std::string& vault_id) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != std::string(kFirstLine) + vault_id) return {};
  KnownLocks out;
  while (std::getline(lines, line)) {
    std::int64_t until = 0;
    const auto* end = line.data() + line.size();
    const auto [at, ec] = std::from_chars(line.data(), end, until);
    if (ec != std::errc{} || at == end || *at != ' ') return {};
    out[std::string(at + 1, end)] = Timestamp(until);
  }
  return out;
}

}  // namespace lifeboat::vault
