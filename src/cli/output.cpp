#include "cli/output.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

namespace lifeboat::cli {
namespace {

std::string dump(const nlohmann::json& json, int indent) {
  // Names from outside need not be UTF-8.
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

[[noreturn]] void stdout_failed(int error) {
  if (error == EPIPE) _exit(141);
  throw system_error(error, "stdout", "writing");
}

std::string format_amount(double amount, std::string_view unit) {
  if (unit == "bytes") return format_bytes(ByteCount(static_cast<std::uint64_t>(amount)));
  return fmt::format("{:.0f} {}", amount, unit);
}

}  // namespace

void print_data(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) stdout_failed(errno);
}

void print_document(const nlohmann::json& document) {
  print_data(dump(document, 2));
}

void print_event(const nlohmann::json& event) {
  print_data(dump(event, -1));
  finish_stdout();
}

void finish_stdout() {
  if (std::fflush(stdout) != 0) stdout_failed(errno);
}

void say(std::string_view message) {
  std::string line = std::string(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

nlohmann::json error_json(const Error& error) {
  return {{"code", to_string(error.code())},
          {"subject", error.subject()},
          {"message", error.message()},
          {"while", error.context()},
          {"hint", error.hint()}};
}

void print_error(const Error& error, std::optional<Form> json) {
  say(std::string("lifeboat: error: ") + error.what());
  if (!error.hint().empty()) say("  next: " + error.hint());
  if (!json || *json == Form::other) return;
  try {
    if (*json == Form::events) {
      auto event = error_json(error);
      event["event"] = "error";
      print_event(event);
    } else {
      print_document({{"error", error_json(error)}});
      finish_stdout();
    }
  } catch (const Error& stdout_error) {
    say(std::string("lifeboat: error: ") + stdout_error.what());
  }
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}", row[i], i + 1 == row.size() ? 0 : widths[i] + 2);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string format_bytes(ByteCount bytes) {
  if (bytes.value < 1024) return fmt::format("{} B", bytes.value);
  double amount = static_cast<double>(bytes.value);
  std::string_view unit;
  for (std::string_view next : {"KiB", "MiB", "GiB", "TiB", "PiB"}) {
    amount /= 1024;
    unit = next;
    if (amount < 1024) break;
  }
  return fmt::format("{:.1f} {}", amount, unit);
}

std::string format_seconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  auto whole = static_cast<std::uint64_t>(std::llround(std::min(seconds, 1e12)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

std::string format_age(Timestamp then, Timestamp now) {
  auto millis = now - then;
  if (millis < 0) return "in the future";
  return format_seconds(static_cast<double>(millis) / 1000) + " ago";
}

std::string format_progress(std::string_view what, std::uint64_t done, std::uint64_t total,
                            std::string_view unit, double rate) {
  std::string line = what.empty() ? "" : std::string(what) + ": ";
  line += format_amount(static_cast<double>(done), unit);
  if (total != 0) {
    double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    line += fmt::format(" of {} ({} %)", format_amount(static_cast<double>(total), unit),
                        static_cast<int>(100 * share));
  }
  if (rate <= 0) return line;
  line += fmt::format(", {}/s", format_amount(rate, unit));
  if (done < total) {
    line += fmt::format(", {} left", format_seconds(static_cast<double>(total - done) / rate));
  }
  return line;
}

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::round(static_cast<double>(usage.ru_maxrss) / 102.4) / 10;
}

}  // namespace lifeboat::cli
