#include "base/types.hpp"

#include <charconv>
#include <ctime>
#include <regex>

namespace lifeboat {

std::string to_string(Lsn lsn) {
  return fmt::format("{:X}/{:X}", lsn.value >> 32, lsn.value & 0xffffffffu);
}

std::optional<Lsn> parse_lsn(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash > 8) return std::nullopt;
  std::uint64_t high = 0, low = 0;
  auto parse = [](std::string_view part, std::uint64_t& out) {
    if (part.empty() || part.size() > 8) return false;
    auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), out, 16);
    return ec == std::errc{} && end == part.data() + part.size();
  };
  if (!parse(text.substr(0, slash), high) || !parse(text.substr(slash + 1), low)) {
    return std::nullopt;
  }
  return Lsn((high << 32) | low);
}

std::string to_string(Timestamp t) {
  const std::int64_t millis = ((t.value % 1000) + 1000) % 1000;
  const std::time_t seconds = t.value / 1000 - (t.value % 1000 < 0 ? 1 : 0);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, millis);
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  static const std::regex shape(
      R"((\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)");
  std::match_results<std::string_view::const_iterator> m;
  if (text.size() > 64 || !std::regex_match(text.begin(), text.end(), m, shape))
    return std::nullopt;
  auto number = [&](int i) { return m[i].matched ? std::stoi(m[i].str()) : 0; };
  std::tm tm{};
  tm.tm_year = number(1) - 1900;
  tm.tm_mon = number(2) - 1;
  tm.tm_mday = number(3);
  tm.tm_hour = number(4);
  tm.tm_min = number(5);
  tm.tm_sec = number(6);
  std::tm given = tm;
  std::int64_t seconds = timegm(&tm);
  if (tm.tm_mon != given.tm_mon || tm.tm_mday != given.tm_mday || tm.tm_hour != given.tm_hour ||
      tm.tm_min != given.tm_min) {
    return std::nullopt;  // 31 February and the like
  }
  std::string fraction = m[7].matched ? (m[7].str() + "00").substr(0, 3) : "0";
  std::string zone = m[8].matched ? m[8].str() : "Z";
  std::int64_t shift = 0;
  if (zone != "Z") {
    int hours = std::stoi(zone.substr(1, 2));
    int minutes = zone.size() > 3 ? std::stoi(zone.substr(zone.size() - 2)) : 0;
    shift = (zone[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  }
  // What lies outside of the years 0 to 9999 by its zone could not be read again.
  constexpr std::int64_t first = -62'167'219'200, end = 253'402'300'800;
  if (seconds - shift < first || seconds - shift >= end) return std::nullopt;
  return Timestamp((seconds - shift) * 1000 + std::stoi(fraction));
}

}  // namespace lifeboat
