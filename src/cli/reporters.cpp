#include "cli/reporters.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <optional>

#include "base/log.hpp"
#include "cli/output.hpp"

namespace lifeboat::cli {
namespace {

using Moment = std::chrono::steady_clock::time_point;

// Lets one call through every `interval`.
class Pace {
 public:
  explicit Pace(Millis interval) : interval_(interval) {}
  bool due(Moment now) {
    if (last_ && now - *last_ < interval_) return false;
    last_ = now;
    return true;
  }
  void reset() { last_.reset(); }

 private:
  Millis interval_;
  std::optional<Moment> last_;
};

class QuietReporter : public recovery::Reporter {
 public:
  void step_begins(const std::string&, const std::string&) override {}
  void step_ends(const std::string&, double) override {}
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
  void note(const std::string& text) override {
    std::lock_guard lock(mutex_);
    say("note: " + text);
  }

 protected:
  std::mutex mutex_;
};

class LineReporter : public QuietReporter {
 public:
  void step_begins(const std::string& name, const std::string& title) override {
    std::lock_guard lock(mutex_);
    say(fmt::format("{}: {}", name, title));
  }
  void step_ends(const std::string& name, double seconds) override {
    std::lock_guard lock(mutex_);
    say(fmt::format("{}: ended after {}", name, format_seconds(seconds)));
  }
};

// The moving line is the last one of the terminal; lines that stay are written above it.
class TerminalReporter : public LineReporter {
 public:
  explicit TerminalReporter(Clock& clock) : clock_(clock) {}
  ~TerminalReporter() override { clear(); }
  void step_begins(const std::string& name, const std::string& title) override {
    clear();
    LineReporter::step_begins(name, title);
  }
  void step_ends(const std::string& name, double seconds) override {
    clear();
    LineReporter::step_ends(name, seconds);
  }
  void note(const std::string& text) override {
    clear();
    LineReporter::note(text);
  }
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total,
                std::string_view unit) override {
    std::lock_guard lock(mutex_);
    auto now = clock_.steady();
    if (what != what_ || done < done_) {
      what_ = what;
      begun_ = now;
      begun_at_ = done;
    }
    done_ = done;
    if (!pace_.due(now)) return;
    // The rate is that of this run: what an earlier one had done does not count. Over less than
    // half a second it says nothing.
    double seconds = seconds_between(begun_, now);
    double rate = seconds < 0.5 ? 0 : static_cast<double>(done - begun_at_) / seconds;
    auto text = format_progress(what, done, total, unit, rate);
    std::fputs(("\r\x1b[K  " + text).c_str(), stderr);
    std::fflush(stderr);
    drawn_ = true;
  }

 private:
  void clear() {
    std::lock_guard lock(mutex_);
    if (drawn_) std::fputs("\r\x1b[K", stderr);
    drawn_ = false;
    pace_.reset();
    what_.clear();
  }

  Clock& clock_;
  Pace pace_{Millis(200)};
  std::string what_;
  Moment begun_;
  std::uint64_t begun_at_ = 0;
  std::uint64_t done_ = 0;
  bool drawn_ = false;
};

class EventReporter : public recovery::Reporter {
 public:
  explicit EventReporter(Clock& clock) : clock_(clock) {}
  void step_begins(const std::string& name, const std::string& title) override {
    std::lock_guard lock(mutex_);
    titles_[name] = title;
    print_event({{"event", "step"}, {"name", name}, {"state", "begin"}, {"title", title}});
  }
  // Called while an error passes too: it must not throw, stdout's errors show at the end.
  void step_ends(const std::string& name, double seconds) override {
    std::lock_guard lock(mutex_);
    try {
      print_event({{"event", "step"},
                   {"name", name},
                   {"state", "end"},
                   {"title", titles_[name]},
                   {"seconds", seconds}});
    } catch (const Error& error) {
      say(std::string("lifeboat: warning: ") + error.what());
    }
  }
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total,
                std::string_view unit) override {
    std::lock_guard lock(mutex_);
    if (!pace_.due(clock_.steady())) return;
    nlohmann::json event{{"event", "progress"}, {"what", what}, {"done", done}, {"unit", unit}};
    if (total != 0) event["total"] = total;
    print_event(event);
  }
  void note(const std::string& text) override {
    std::lock_guard lock(mutex_);
    print_event({{"event", "note"}, {"text", text}});
  }

 private:
  Clock& clock_;
  std::mutex mutex_;
  Pace pace_{Millis(500)};
  std::map<std::string, std::string> titles_;
};

class LogReporter : public recovery::Reporter {
 public:
  void step_begins(const std::string& name, const std::string& title) override {
    spdlog::debug("{}: {}", name, title);
  }
  void step_ends(const std::string& name, double seconds) override {
    spdlog::debug("{}: ended after {:.3f} s", name, seconds);
  }
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
  void note(const std::string& text) override { spdlog::warn("{}", text); }
};

}  // namespace

std::unique_ptr<recovery::Reporter> make_reporter(Telling telling, Clock& clock) {
  switch (telling) {
    case Telling::nothing:
      return std::make_unique<QuietReporter>();
    case Telling::lines:
      return std::make_unique<LineReporter>();
    case Telling::terminal:
      return std::make_unique<TerminalReporter>(clock);
    case Telling::events:
      return std::make_unique<EventReporter>(clock);
    case Telling::log:
      return std::make_unique<LogReporter>();
  }
  return std::make_unique<QuietReporter>();
}

}  // namespace lifeboat::cli
