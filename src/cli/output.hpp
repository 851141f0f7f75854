#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/types.hpp"
#include "cli/verbs.hpp"

// Data on stdout, messages on stderr.
namespace lifeboat::cli {

// Data. Throws Error when stdout does not take it (a full disk); a reader that has gone away
// (EPIPE) ends the program quietly with status 141, as SIGPIPE would.
void print_data(std::string_view text);
// The one document of a verb with --json, on several lines.
void print_document(const nlohmann::json& document);
// One event on one line, flushed.
void print_event(const nlohmann::json& event);
void finish_stdout();

// A message on stderr, with "\n" added.
void say(std::string_view message);

// On stderr `lifeboat: error: …` and `  next: …`; with --json also on stdout in the verb's form.
void print_error(const Error& error, std::optional<Form> json);
nlohmann::json error_json(const Error& error);

// Rows under a head, columns as wide as their longest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string format_bytes(ByteCount bytes);   // "1.5 GiB"
std::string format_seconds(double seconds);  // "0.3 s", "2 min 5 s", "3 h 10 min", "2 d 4 h"
std::string format_age(Timestamp then, Timestamp now);  // "5 min ago"; "in the future"

// "1.2 GiB of 3.4 GiB (35 %), 210.0 MiB/s, 12 s left". `total`, and `rate` (units a second), are 0
// when not known.
std::string format_progress(std::string_view what, std::uint64_t done, std::uint64_t total,
                            std::string_view unit, double rate);

// The largest resident set of this process so far.
double peak_rss_mib();

}  // namespace lifeboat::cli
