#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "postgres/restore.hpp"

namespace lifeboat::postgres {

namespace fs = std::filesystem;

namespace {

constexpr Millis kBetweenTries{200};
constexpr const char* kAutoConf = "postgresql.auto.conf";
constexpr const char* kRecoverySignal = "recovery.signal";
constexpr std::string_view kComment = "# Recovery, as lifeboat restored it.";

// What would direct a recovery in another way than ours (manual, chapter 20.5 and 20.6).
constexpr std::array<std::string_view, 9> kForeign = {"restore_command",
                                                      "archive_cleanup_command",
                                                      "recovery_end_command",
                                                      "primary_conninfo",
                                                      "primary_slot_name",
                                                      "promote_trigger_file",
                                                      "trigger_file",
                                                      "standby_mode",
                                                      "recovery_min_apply_delay"};

std::string setting_name(std::string_view line) {
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  std::string name(line.substr(0, line.find_first_of(" \t=")));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return name;
}

bool directs_recovery(std::string_view line) {
  const auto name = setting_name(line);
  return line == kComment || name.compare(0, 15, "recovery_target") == 0 ||
         std::find(kForeign.begin(), kForeign.end(), name) != kForeign.end();
}

std::string without_recovery_settings(std::string_view conf) {
  std::string kept;
  while (!conf.empty()) {
    const auto end = std::min(conf.find('\n'), conf.size());
    const auto line = conf.substr(0, end);
    if (!directs_recovery(line)) kept.append(line).push_back('\n');
    conf.remove_prefix(std::min(end + 1, conf.size()));
  }
  return kept;
}

// A value as the configuration file wants it: in single quotes, with backslashes doubled.
std::string quote_value(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\n' || c == '\r' || c == '\0') {
      throw Error(Code::refused, "recovery settings", "a value with a line end in it");
    }
    out.append(c == '\'' || c == '\\' ? 2 : 1, c);
  }
  return out + "'";
}

// "2026-11-22 17:05:06.123+00". The server reads this setting before it knows the names of zones,
// and refuses "Z".
std::string zone_as_number(Timestamp time) {
  auto text = to_string(time);
  std::replace(text.begin(), text.end(), 'T', ' ');
  text.pop_back();
  return text + "+00";
}

// Empty ones overrule what postgresql.conf may say. The target that counts comes last: the server
// takes them in order and refuses a second one.
std::string recovery_settings(const RecoveryTarget& target) {
  const auto time = target.target_time ? zone_as_number(*target.target_time) : std::string();
  const std::pair<const char*, std::string> settings[] = {
      {"restore_command", target.restore_command},
      {"archive_cleanup_command", ""},
      {"recovery_end_command", ""},
      {"primary_conninfo", ""},
      {"primary_slot_name", ""},
      {"recovery_min_apply_delay", "0"},
      {"recovery_target_timeline", "latest"},
      {"recovery_target_action", "promote"},
      {"recovery_target_inclusive", "on"},
      {"recovery_target", ""},
      {"recovery_target_name", ""},
      {"recovery_target_xid", ""},
      {"recovery_target_lsn", ""},
      {"recovery_target_time", time},
  };
  std::string out;
  for (const auto& [name, value] : settings) {
    out += fmt::format("{} = {}\n", name, quote_value(value));
  }
  return out;
}

void write_owned(const fs::path& path, std::string_view text, const std::optional<Owner>& owner) {
  write_file_durably(path, text);
  if (owner && ::chown(path.c_str(), owner->uid, owner->gid) != 0) {
    throw system_error(errno, path.string(), "chown");
  }
}

std::string quote_for_shell(std::string_view argument) {
  std::string out = "'";
  for (const char c : argument) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out.append(c == '%' ? 2 : 1, c);  // %% is a % to PostgreSQL
    }
  }
  return out + "'";
}

// nullopt: not up yet.
std::optional<bool> in_recovery(const Config& config, const Cancel& cancel) {
  try {
    Connection sql(config, Mode::sql, cancel);
    return sql.query("SELECT pg_catalog.pg_is_in_recovery()").text(0, 0) == "t";
  } catch (const Error& error) {
    if (error.code() == Code::unavailable || error.code() == Code::timeout) return std::nullopt;
    throw;
  }
}

Error not_recovered(const Config& config, const fs::path& directory,
                    std::optional<bool> recovering) {
  if (recovering == false) {
    return Error(Code::timeout, server_name(config),
                 "a server answers there that has not recovered " + directory.string(),
                 "stop the one that runs, and start PostgreSQL on " + directory.string());
  }
  return Error(Code::timeout, server_name(config),
               recovering ? "it is still in recovery" : "it does not answer",
               "look into the server's log");
}

}  // namespace

std::string make_restore_command(const std::vector<std::string>& arguments) {
  std::string command;
  for (const auto& argument : arguments) {
    if (!command.empty()) command += ' ';
    const bool placeholder = argument == "%f" || argument == "%p";
    command += placeholder ? '"' + argument + '"' : quote_for_shell(argument);
  }
  return command;
}

void write_recovery_settings(const fs::path& directory, const RecoveryTarget& target,
                             const std::string& os_user) {
  const auto owner = find_owner(os_user);
  const auto conf = directory / kAutoConf;
  const auto settings = recovery_settings(target);
  const auto before = read_file(conf, ByteCount(1 << 20)).value_or("");
  write_owned(
      conf, without_recovery_settings(before) + "# Recovery, as lifeboat restored it.\n" + settings,
      owner);
  fs::remove(directory / "standby.signal");
  write_owned(directory / kRecoverySignal, "", owner);
  sync_directory(directory);
}

void wait_until_recovered(const Config& config, const fs::path& directory, const Deadline& deadline,
                          const Cancel& cancel) {
  for (;;) {
    cancel.check();
    // Before the server is asked: it removes the file before it lets anybody write.
    const bool to_recover = fs::exists(directory / kRecoverySignal);
    const auto recovering = in_recovery(config, cancel);
    if (recovering == false && !to_recover) return;
    if (deadline.passed()) throw not_recovered(config, directory, recovering);
    cancel.sleep_for(std::min(deadline.left(), kBetweenTries));
  }
}

}  // namespace lifeboat::postgres
