#include "recovery/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.hpp"
#include "base/file.hpp"
#include "recovery/fill.hpp"

namespace lifeboat::recovery {
namespace {

namespace fs = std::filesystem;

// One mapping of the file: every key must be taken, the rest are unknown.
class Section {
 public:
  Section(YAML::Node node, std::string name, const fs::path& file)
      : node_(std::move(node)), name_(std::move(name)), file_(file) {
    if (!node_.IsMap()) fail(node_, "must be a mapping of keys to values");
    refuse_repeated_keys();
  }

  bool has(const std::string& key) const { return node_[key].IsDefined(); }

  std::string text(const std::string& key, std::string fallback = {}) {
    auto value = take(key);
    if (!value) return fallback;
    if (!value->IsScalar() || value->Scalar().empty()) fail(*value, "'" + key + "' must be a text");
    return value->Scalar();
  }
  void require(const std::string& key, const std::string& example) const {
    if (!has(key)) {
      fail(node_,
           fmt::format("'{}' is missing in {}; for example `{}: {}`", key, place(), key, example));
    }
  }
  std::string required(const std::string& key, const std::string& example) {
    require(key, example);
    return text(key);
  }
  std::vector<std::string> list(const std::string& key, std::vector<std::string> fallback) {
    auto value = take(key);
    if (!value) return fallback;
    if (value->IsScalar()) return {value->Scalar()};
    if (!value->IsSequence()) fail(*value, "'" + key + "' must be a list such as [a, b]");
    std::vector<std::string> out;
    for (const auto& item : *value) {
      if (!item.IsScalar()) fail(item, "'" + key + "' must hold texts only");
      out.push_back(item.Scalar());
    }
    return out;
  }
  Millis duration(const std::string& key, Millis fallback, Millis least) {
    auto value = take(key);
    if (!value) return fallback;
    auto parsed = value->IsScalar() ? parse_duration(value->Scalar()) : std::nullopt;
    if (!parsed || *parsed < least) {
      fail(*value, fmt::format("'{}' must be a time of at least {} ms, such as 500ms, 30s, 15m, 6h",
                               key, least.count()));
    }
    return *parsed;
  }
  ByteCount size(const std::string& key, ByteCount fallback, ByteCount least, ByteCount most) {
    auto value = take(key);
    if (!value) return fallback;
    auto parsed = value->IsScalar() ? parse_size(value->Scalar()) : std::nullopt;
    if (!parsed || *parsed < least || *parsed > most) {
      fail(*value, fmt::format("'{}' must be a size from {} to {} bytes, such as 16MiB", key,
                               least.value, most.value));
    }
    return *parsed;
  }
  unsigned number(const std::string& key, unsigned most) {
    auto value = take(key);
    if (!value) return 0;
    unsigned out = 0;
    const auto text = value->IsScalar() ? value->Scalar() : "";
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (ec != std::errc{} || end != text.data() + text.size() || out > most) {
      fail(*value, fmt::format("'{}' must be a number from 0 to {}", key, most));
    }
    return out;
  }
  fs::path path(const std::string& key, const fs::path& fallback = {}) {
    fs::path p = has(key) ? fs::path(text(key)) : fallback;
    return p.empty() ? p : without_slash(file_.parent_path() / p);  // an absolute one stays
  }
  std::optional<Section> section(const std::string& key) {
    auto value = take(key);
    if (!value) return std::nullopt;
    return Section(*value, key, file_);
  }
  // Whether the key has this word for its value; takes it then.
  bool is_text(const std::string& key, const std::string& word) {
    if (!node_[key].IsDefined() || !node_[key].IsScalar() || node_[key].Scalar() != word) {
      return false;
    }
    take(key);
    return true;
  }
  // `log_dirs: {"0": [/var/lib/kafka], …}`
  std::map<std::string, std::vector<fs::path>> log_dirs(const std::string& key) {
    auto value = take(key);
    std::map<std::string, std::vector<fs::path>> out;
    if (!value) return out;
    Section brokers(*value, key, file_);
    for (const auto& pair : *value) {
      const auto id = pair.first.Scalar();
      if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) {
        fail(pair.first, fmt::format("'{}' is no broker id; write \"0\": [/var/lib/kafka]", id));
      }
      for (const auto& path : brokers.list(id, {})) {
        if (!fs::path(path).is_absolute()) fail(pair.second, "'" + path + "' is no absolute path");
        out[id].emplace_back(path);
      }
    }
    return out;
  }
  // `password: …` or `password_file: …` (first line).
  std::string password() {
    std::string direct = text("password");
    if (!direct.empty() && has("password_file")) {
      fail_at("password_file", "give 'password' or 'password_file', not both");
    }
    const auto from_file = first_line_of("password_file");
    return direct.empty() ? from_file : direct;
  }
  // Of the file that the key names; empty without the key.
  std::string first_line_of(const std::string& key) {
    const auto from = path(key);
    if (from.empty()) {
      taken_.insert(key);
      return {};
    }
    auto content = read_file(from, ByteCount(65536));
    if (!content) fail_at(key, "the file " + from.string() + " does not exist");
    return content->substr(0, content->find_first_of("\r\n"));
  }
  fs::path existing_file(const std::string& key) {
    const auto file = path(key);
    taken_.insert(key);
    if (!file.empty() && !fs::is_regular_file(file)) {
      fail_at(key, "the file " + file.string() + " does not exist");
    }
    return file;
  }
  bool yes_or_no(const std::string& key, bool fallback) {
    auto value = take(key);
    bool answer = fallback;
    if (value && !YAML::convert<bool>::decode(*value, answer)) {
      fail(*value, "'" + key + "' must be true or false");
    }
    return answer;
  }
  void finish() {
    for (const auto& pair : node_) {
      std::string key = pair.first.Scalar();
      if (taken_.contains(key)) continue;
      fail(pair.first, fmt::format("unknown key '{}' in {}; expected one of {}", key, place(),
                                   fmt::join(taken_, ", ")));
    }
  }
  [[noreturn]] void fail_at(const std::string& key, const std::string& message) const {
    fail(key_node(key), message);
  }
  [[noreturn]] void fail_here(const std::string& message) const { fail(node_, message); }
  [[noreturn]] void fail(const YAML::Node& at, const std::string& message) const {
    int line = at.Mark().line + 1;
    throw Error(Code::config, fmt::format("{}:{}", file_.string(), std::max(line, 1)), message,
                "correct the file; `lifeboat init --print` shows a commented one");
  }

 private:
  std::optional<YAML::Node> take(const std::string& key) {
    taken_.insert(key);
    YAML::Node value = node_[key];
    if (!value.IsDefined()) return std::nullopt;
    if (value.IsNull()) fail(key_node(key), "'" + key + "' has no value");
    return value;
  }
  // Where the key itself stands: a value that is not there has no place in the file.
  YAML::Node key_node(const std::string& key) const {
    for (const auto& pair : node_) {
      if (pair.first.Scalar() == key) return pair.first;
    }
    return node_;
  }
  // Which of two counts is nothing to guess: the one that is not read may be the one that was
  // meant.
  void refuse_repeated_keys() const {
    std::map<std::string, int> lines;
    for (const auto& pair : node_) {
      const int line = pair.first.Mark().line + 1;
      const auto [first, is_new] = lines.emplace(pair.first.Scalar(), line);
      if (is_new) continue;
      fail(pair.first, fmt::format("'{}' stands in {} twice, first in line {}: only one can count",
                                   first->first, place(), first->second));
    }
  }
  std::string place() const { return name_.empty() ? "the file" : "'" + name_ + "'"; }

  YAML::Node node_;
  std::string name_;
  fs::path file_;
  std::set<std::string> taken_;
};

PostgresConfig postgres_section(Section s) {
  PostgresConfig c;
  c.url = s.required("url", "postgresql://lifeboat@127.0.0.1:5432/postgres");
  c.password = s.password();
  c.slot = s.text("slot", c.slot);
  auto allowed = [](char ch) {
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_';
  };
  if (c.slot.size() > 63 || !std::all_of(c.slot.begin(), c.slot.end(), allowed)) {
    s.fail_at("slot", "'slot' must be up to 63 of a-z, 0-9 and _, not '" + c.slot + "'");
  }
  c.data_directory = s.path("data_directory");
  c.read_files = s.yes_or_no("read_files", c.read_files);
  if (c.read_files && c.data_directory.empty()) {
    s.fail_at("read_files", "'read_files' needs 'data_directory': where the server's files are");
  }
  c.os_user = s.text("os_user");
  s.finish();
  return c;
}

KafkaTls kafka_tls_section(Section s) {
  KafkaTls c;
  c.ca = s.existing_file("ca");
  c.cert = s.existing_file("cert");
  c.key = s.existing_file("key");
  if (c.cert.empty() != c.key.empty()) {
    s.fail_at(c.key.empty() ? "cert" : "key", "'cert' and 'key' go together");
  }
  c.key_password = s.first_line_of("key_password_file");
  if (!c.key_password.empty() && c.key.empty()) {
    s.fail_at("key_password_file", "'key_password_file' without 'key'");
  }
  c.verify_hostname = s.yes_or_no("verify_hostname", true);
  s.finish();
  return c;
}

KafkaSasl kafka_sasl_section(Section s) {
  KafkaSasl c;
  c.mechanism = s.required("mechanism", "SCRAM-SHA-512");
  const auto known = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
  if (std::find(known.begin(), known.end(), c.mechanism) == known.end()) {
    s.fail_at("mechanism", fmt::format("'mechanism' must be one of {}, not '{}'",
                                       fmt::join(known, ", "), c.mechanism));
  }
  c.username = s.required("username", "lifeboat");
  c.password = s.password();
  if (c.password.empty()) {
    s.fail_at("username", "a password is missing: give 'password_file' or 'password'");
  }
  s.finish();
  return c;
}

KafkaConfig kafka_section(Section s) {
  KafkaConfig c;
  s.require("bootstrap", "[127.0.0.1:9092]");
  c.bootstrap = s.list("bootstrap", {});
  if (auto tls = s.section("tls")) c.tls = kafka_tls_section(*tls);
  if (auto sasl = s.section("sasl")) c.sasl = kafka_sasl_section(*sasl);
  c.include = s.list("include", c.include);
  c.exclude = s.list("exclude", {});
  c.archiver_group = s.text("archiver_group");
  c.log_dirs = s.log_dirs("log_dirs");
  c.exclude.push_back(std::string(kFillPrefix) + "*");  // a restore's own
  s.finish();
  return c;
}

ClickHouseConfig clickhouse_section(Section s) {
  ClickHouseConfig c;
  c.url = s.required("url", "http://127.0.0.1:8123");
  c.user = s.text("user", c.user);
  c.password = s.password();
  c.databases = s.list("databases", {});
  c.backup_disk = s.required("backup_disk", "backups");
  s.require("backup_path", "/backup/vault/clickhouse");
  c.backup_path = s.path("backup_path");
  c.hold_limit = s.duration("hold_limit", c.hold_limit, Millis(100));
  s.finish();
  return c;
}

ZooKeeperConfig zookeeper_section(Section s) {
  ZooKeeperConfig c;
  c.connect = s.required("connect", "127.0.0.1:2181");
  s.finish();
  return c;
}

VaultKeyConfig vault_key_section(Section s) {
  VaultKeyConfig c;
  c.passphrase_file = s.path("passphrase_file");
  c.passphrase_env = s.text("passphrase_env");
  c.passphrase_command = s.text("passphrase_command");
  c.key_file = s.path("key_file");
  s.finish();
  int given = (c.passphrase_file.empty() ? 0 : 1) + (c.passphrase_env.empty() ? 0 : 1) +
              (c.passphrase_command.empty() ? 0 : 1) + (c.key_file.empty() ? 0 : 1);
  if (given != 1) {
    s.fail_here(
        "'vault_key' must have one of passphrase_file, passphrase_env, passphrase_command, "
        "key_file");
  }
  return c;
}

LogbookConfig logbook_section(Section s) {
  LogbookConfig c;
  c.merge_after = s.duration("merge_after", c.merge_after, Millis(1000));
  c.merge_to = s.size("merge_to", c.merge_to, ByteCount(1ull << 20), ByteCount(256ull << 20));
  c.remove_after = s.duration("remove_after", c.remove_after, Millis(1000));
  s.finish();
  return c;
}

RetentionConfig retention_section(Section s) {
  constexpr unsigned kMost = 100'000;
  RetentionConfig c;
  auto& keep = c.points;
  keep.last = s.number("keep_last", kMost);
  keep.hourly = s.number("keep_hourly", kMost);
  keep.daily = s.number("keep_daily", kMost);
  keep.weekly = s.number("keep_weekly", kMost);
  keep.monthly = s.number("keep_monthly", kMost);
  keep.within = s.duration("keep_within", keep.within, Millis(1000));
  keep.labels = s.list("keep_labels", {});
  keep.logbook = s.duration("keep_logbook", keep.logbook, Millis(1000));
  c.grace = s.duration("grace", c.grace, Millis(1000));
  c.keep_for_resume = s.duration("keep_for_resume", c.keep_for_resume, Millis(1000));
  s.finish();
  if (keep.empty()) {
    s.fail_here(
        "'retention' must say what is kept: one of keep_last, keep_hourly, keep_daily, "
        "keep_weekly, keep_monthly, keep_within");
  }
  return c;
}

VerifyConfig verify_section(Section s) {
  VerifyConfig c;
  c.every = s.is_text("every", "never") ? Millis(0) : s.duration("every", c.every, Millis(1000));
  if (s.has("sample")) {
    c.sample = vault::parse_share(s.text("sample"));
    if (!c.sample) s.fail_at("sample", "'sample' must be a share of the data, such as 5%");
    if (c.every == Millis(0)) {
      s.fail_at("sample",
                "'sample' says how much `run` reads, and 'every: never' that it does not");
    }
  }
  s.finish();
  return c;
}

store::ObjectLock object_lock_section(Section s) {
  store::ObjectLock lock;
  const auto mode = s.required("mode", "compliance");
  if (mode != "compliance" && mode != "governance") {
    s.fail_at("mode", "'mode' must be compliance or governance");
  }
  lock.mode = mode == "compliance" ? store::ObjectLock::Mode::compliance
                                   : store::ObjectLock::Mode::governance;
  s.require("retain", "30d");
  lock.retain = s.duration("retain", {}, Millis(10'000));
  s.finish();
  return lock;
}

// `vault: /folder`, or `vault: s3://bucket/prefix` with `s3: {…}` for what differs from AWS.
store::Location vault_location(Section& top) {
  top.require("vault", "/backup/vault");
  const auto text = top.text("vault");
  auto s3 = top.section("s3");
  if (!text.starts_with("s3://")) {
    if (s3) top.fail_at("s3", "'s3' goes with a vault such as s3://bucket/prefix");
    return top.path("vault");
  }
  try {
    auto location = store::parse_location(text);
    if (!s3) return location;
    auto& place = *location.s3;
    place.endpoint = s3->text("endpoint", place.endpoint);
    place.region = s3->text("region", place.region);
    if (s3->has("path_style")) place.path_style = s3->yes_or_no("path_style", true);
    place.profile = s3->text("profile", place.profile);
    if (auto ca = s3->existing_file("ca"); !ca.empty()) place.ca = ca;
    place.memory = s3->size("memory", place.memory, ByteCount(16 << 20), ByteCount(1ull << 30));
    place.retry_for = s3->duration("retry_for", place.retry_for, Millis(0));
    if (auto lock = s3->section("object_lock")) place.lock = object_lock_section(*lock);
    if (const auto as_of = s3->text("as_of"); !as_of.empty()) {
      place.as_of = parse_timestamp(as_of);
      if (!place.as_of)
        s3->fail_at("as_of", "'as_of' must be a time, such as 2026-11-28T10:00:00Z");
    }
    place.bandwidth =
        s3->size("bandwidth", place.bandwidth, ByteCount(1 << 16), ByteCount(1ull << 36));
    s3->finish();
    store::check(place);
    return location;
  } catch (const Error& error) {
    if (error.subject().find("://") == std::string::npos) throw;
    top.fail_at("vault", error.subject() + ": " + error.message());
  }
}

YAML::Node load_yaml(std::string_view yaml, const fs::path& file) {
  try {
    const auto documents = YAML::LoadAll(std::string(yaml));
    if (documents.empty()) return {};
    if (documents.size() == 1) return documents.front();
    throw Error(Code::config, fmt::format("{}:{}", file.string(), documents[1].Mark().line + 1),
                "begins a second document, which would not be read",
                "keep one document in the file: take the line `---` out, or what does not count");
  } catch (const YAML::Exception& e) {
    throw Error(Code::config, fmt::format("{}:{}", file.string(), e.mark.line + 1),
                "is not YAML: " + e.msg, "correct the file; blanks, not tabs, for the indent");
  }
}

}  // namespace

Config parse_config(std::string_view yaml, const fs::path& file) {
  YAML::Node root = load_yaml(yaml, file);
  Section top(root.IsNull() ? YAML::Node(YAML::NodeType::Map) : root, "", file);
  Config c;
  c.file = file;
  c.vault = vault_location(top);
  if (auto s = top.section("vault_key")) c.vault_key = vault_key_section(*s);
  c.state = top.path("state", file.parent_path() / "lifeboat-state");
  c.point_every = top.is_text("point_every", "never")
                      ? Millis(0)
                      : top.duration("point_every", c.point_every, Millis(1000));
  c.flush_interval = top.duration("flush_interval", c.flush_interval, Millis(100));
  c.flush_bytes =
      top.size("flush_bytes", c.flush_bytes, ByteCount(1ull << 20), ByteCount(48ull << 20));
  if (auto s = top.section("logbook")) c.logbook = logbook_section(*s);
  if (auto s = top.section("retention")) c.retention = retention_section(*s);
  if (auto s = top.section("verify")) c.verify = verify_section(*s);
  c.alarm_before = top.duration("alarm_before", c.alarm_before, Millis(0));
  if (auto s = top.section("metrics")) {
    c.metrics_listen = s->required("listen", "127.0.0.1:9187");
    s->finish();
  }
  if (auto s = top.section("postgres")) c.postgres = postgres_section(*s);
  if (auto s = top.section("kafka")) c.kafka = kafka_section(*s);
  if (auto s = top.section("clickhouse")) c.clickhouse = clickhouse_section(*s);
  if (auto s = top.section("zookeeper")) c.zookeeper = zookeeper_section(*s);
  top.finish();
  return c;
}

void require_server(const Config& c) {
  if (c.has_server()) return;
  throw Error(
      Code::config, c.file.string(), "names no server to do this with",
      "give at least one of postgres, kafka, clickhouse, zookeeper; `lifeboat init --print` "
      "shows them");
}

Config load_config(const fs::path& file) {
  auto absolute = fs::absolute(file);
  std::error_code unreadable;  // read_file() says it better
  if (fs::is_directory(absolute, unreadable)) {
    throw Error(Code::config, absolute.string(), "is a directory",
                "name the file in it: --config " + (absolute / "lifeboat.yaml").string());
  }
  auto content = read_file(absolute, ByteCount(1 << 20));
  if (!content) {
    throw Error(Code::config, absolute.string(), "does not exist",
                "`lifeboat init` writes one; --config names another");
  }
  return parse_config(*content, absolute);
}

std::optional<Millis> parse_duration(std::string_view text) {
  std::int64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || n < 0 || n > 1'000'000'000) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit == "ms") return Millis(n);
  if (unit == "s") return Millis(n * 1000);
  if (unit == "m") return Millis(n * 60'000);
  if (unit == "h") return Millis(n * 3'600'000);
  if (unit == "d") return Millis(n * 86'400'000);
  return std::nullopt;
}

std::optional<ByteCount> parse_size(std::string_view text) {
  std::uint64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || n > (1ull << 40)) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty() || unit == "B") return ByteCount(n);
  if (unit == "KiB") return ByteCount(n << 10);
  if (unit == "MiB") return ByteCount(n << 20);
  if (unit == "GiB" && n < (1ull << 20)) return ByteCount(n << 30);
  return std::nullopt;
}

}  // namespace lifeboat::recovery
