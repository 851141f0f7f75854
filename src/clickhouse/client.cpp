#include "clickhouse/client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <mutex>
#include <optional>
#include <regex>

namespace lifeboat::clickhouse {
namespace {

struct CurlEnd {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using Handle = std::unique_ptr<CURL, CurlEnd>;

struct SlistEnd {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Headers = std::unique_ptr<curl_slist, SlistEnd>;

struct Received {
  std::string body;
  std::uint64_t limit = 0;
  bool too_long = false;
  int exception_code = 0;
};

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& received = *static_cast<Received*>(to);
  if (received.body.size() + size * count > received.limit) {
    received.too_long = true;
    return 0;
  }
  received.body.append(data, size * count);
  return size * count;
}

std::optional<int> number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  int value = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || value <= 0) return std::nullopt;
  return value;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* to) {
  constexpr std::string_view name = "x-clickhouse-exception-code:";
  std::string_view line(data, size * count);
  auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  if (line.size() > name.size() && std::equal(name.begin(), name.end(), line.begin(),
                                              [&](char b, char a) { return same(a, b); })) {
    static_cast<Received*>(to)->exception_code = number(line.substr(name.size())).value_or(0);
  }
  return size * count;
}

// "Code: 60. DB::Exception: ..." -> 60.
int code_in_body(std::string_view body) {
  constexpr std::string_view mark = "Code: ";
  auto at = body.find(mark);
  return at == std::string_view::npos ? 0 : number(body.substr(at + mark.size())).value_or(0);
}

std::string first_line(std::string_view body) {
  constexpr std::size_t longest = 600;
  // An exception of the server may carry a stack trace; it is noise for a reader.
  auto end = std::min(body.find('\n'), body.find(", Stack trace"));
  auto line = body.substr(0, std::min({end, body.size(), longest}));
  while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) {
    line.remove_suffix(1);
  }
  return std::string(line);
}

void check_config(const Config& config) {
  auto bad = [&](std::string what) {
    return Error(Code::config, "clickhouse.url", std::move(what), "write http://host:port");
  };
  const auto& url = config.url;
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    throw bad("must begin with http:// or https://");
  }
  if (url.find('@') != std::string::npos) {
    throw Error(Code::config, "clickhouse.url", "holds a user or password",
                "use the keys user and password");
  }
  if (url.find_first_of("?#\n\r") != std::string::npos) throw bad("has a query, a # or a line end");
  if (config.user.find_first_of("\r\n") != std::string::npos ||
      config.password.find_first_of("\r\n") != std::string::npos) {
    throw Error(Code::config, "clickhouse.password", "user or password holds a line end");
  }
}

}  // namespace

struct Client::Impl {
  Config config;
  std::mutex mutex;
  std::vector<Handle> idle;  // kept-alive connections

  Handle borrow() {
    {
      std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Handle handle = std::move(idle.back());
        idle.pop_back();
        return handle;
      }
    }
    Handle handle(curl_easy_init());
    if (!handle) throw Error(Code::failed, config.url, "libcurl could not be started");
    return handle;
  }
  void give_back(Handle handle) {
    std::lock_guard lock(mutex);
    if (idle.size() < 8) idle.push_back(std::move(handle));
  }

  std::string address(CURL* curl, const Parameters& parameters) const {
    std::string url = config.url;
    if (url.back() != '/') url += '/';
    char join = '?';
    Parameters all = parameters;
    all.emplace("wait_end_of_query", "1");
    for (const auto& [name, value] : all) {
      for (const auto* part : {&name, &value}) {
        char* escaped = curl_easy_escape(curl, part->data(), static_cast<int>(part->size()));
        if (escaped == nullptr) throw Error(Code::usage, name, "cannot be sent as a parameter");
        url += part == &name ? join : '=';
        url += escaped;
        curl_free(escaped);
      }
      join = '&';
    }
    return url;
  }

  [[noreturn]] void throw_transport(CURLcode result, const Received& received) const {
    if (received.too_long) {
      throw Error(Code::corrupt, config.url,
                  fmt::format("the answer is longer than {} bytes", config.max_answer));
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
      throw Error(Code::timeout, config.url,
                  fmt::format("no answer within {} ms", config.request_timeout.count()));
    }
    throw Error(Code::unavailable, config.url, curl_easy_strerror(result),
                "see that ClickHouse runs and that clickhouse.url is its HTTP address");
  }

  Received perform(const std::string& path, std::string_view body, const Parameters& parameters,
                   bool post) {
    Handle handle = borrow();
    CURL* curl = handle.get();
    curl_easy_reset(curl);  // keeps the connection
    Received received;
    received.limit = config.max_answer.value;
    Headers headers(curl_slist_append(nullptr, ("X-ClickHouse-User: " + config.user).c_str()));
    if (!config.password.empty()) {
      curl_slist_append(headers.get(), ("X-ClickHouse-Key: " + config.password).c_str());
    }
    curl_slist_append(headers.get(), "Expect:");
    std::string url = path.empty() ? address(curl, parameters) : config.url + path;
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(config.connect_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(config.request_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &received);
    if (post) {
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
    }
    if (auto result = curl_easy_perform(curl); result != CURLE_OK) {
      throw_transport(result, received);
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    give_back(std::move(handle));
    finish(received, status);
    return received;
  }

  // Sets exception_code when the answer is an exception, however the server tells it: by header, or
  // by status and text. (No exception comes after status 200: wait_end_of_query is set.)
  void finish(Received& received, long status) const {
    if (received.exception_code != 0 || (status >= 200 && status < 300)) return;
    received.exception_code = code_in_body(received.body);
    if (received.exception_code != 0) return;
    if (status == 401 || status == 403) {
      throw Error(Code::denied, config.url, fmt::format("HTTP status {}", status),
                  "see clickhouse.user and clickhouse.password");
    }
    throw Error(status >= 500 ? Code::unavailable : Code::failed, config.url,
                fmt::format("HTTP status {}: not an answer of ClickHouse's", status),
                "see that clickhouse.url is ClickHouse's HTTP address");
  }
};

Client::Client(Config config) : impl_(std::make_unique<Impl>()) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw Error(Code::failed, "libcurl", curl_easy_strerror(started));
  check_config(config);
  impl_->config = std::move(config);
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

const std::string& Client::url() const {
  return impl_->config.url;
}
const Config& Client::config() const {
  return impl_->config;
}

Answer Client::ask(std::string_view sql, const Parameters& parameters) {
  Received received = impl_->perform("", sql, parameters, true);
  Answer answer{received.exception_code, std::move(received.body)};
  if (answer.code != 0) answer.body = without_secrets(first_line(answer.body));
  return answer;
}

std::string Client::execute(std::string_view sql, const Parameters& parameters) {
  Answer answer = ask(sql, parameters);
  if (answer.code != 0) throw server_error(url(), answer.code, answer.body);
  return std::move(answer.body);
}

std::vector<nlohmann::json> Client::rows(std::string_view sql, const Parameters& parameters) {
  Parameters all = parameters;
  all.emplace("output_format_json_quote_64bit_integers", "0");
  all.emplace("output_format_json_quote_64bit_floats", "0");
  const std::string body = execute(std::string(sql) + "\nFORMAT JSONEachRow", all);
  std::vector<nlohmann::json> rows;
  std::string_view rest = body;
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.empty()) continue;
    auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object()) {
      throw Error(Code::corrupt, url(), "the answer is not one JSON object a line");
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

nlohmann::json Client::row(std::string_view sql, const Parameters& parameters) {
  auto all = rows(sql, parameters);
  if (all.size() != 1) {
    throw Error(Code::corrupt, url(), fmt::format("{} rows where one was asked for", all.size()));
  }
  return std::move(all.front());
}

void Client::ping() {
  impl_->perform("/ping", "", {}, false);
}

Error server_error(const std::string& subject, int code, std::string_view body) {
  std::string message = without_secrets(first_line(body));
  switch (code) {
    case 192:  // UNKNOWN_USER
    case 193:  // WRONG_PASSWORD
    case 194:  // REQUIRED_PASSWORD
    case 516:  // AUTHENTICATION_FAILED
      return Error(Code::denied, subject, message, "see clickhouse.user and clickhouse.password");
    case 497:  // ACCESS_DENIED
      return Error(Code::denied, subject, message, "grant it to the user that lifeboat.yaml names");
    case 243:  // NOT_ENOUGH_SPACE
      return Error(Code::no_space, subject, message, "free space on the server's disk");
    case 60:   // UNKNOWN_TABLE
    case 81:   // UNKNOWN_DATABASE
    case 599:  // BACKUP_NOT_FOUND
      return Error(Code::not_found, subject, message);
    case 62:  // SYNTAX_ERROR: this version does not know the statement
      return Error(Code::unsupported, subject, message);
    default:
      break;
  }
  if (message.find("No space left on device") != std::string::npos) {
    return Error(Code::no_space, subject, message, "free space on the server's disk");
  }
  return Error(Code::failed, subject, message);
}

std::string quote_identifier(std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos) {
    throw Error(Code::usage, std::string(name.substr(0, name.find('\0'))),
                "is not a name of a database or table");
  }
  std::string out = "`";
  for (char c : name) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out + "`";
}

std::string quote_literal(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    if (c == '\0') {
      out += "\\0";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string without_secrets(std::string_view sql) {
  constexpr std::size_t longest = 4000;  // std::regex recurses
  sql = sql.substr(0, longest);
  // A quoted text that follows a name which speaks of a secret: kafka_sasl_password = 'x',
  // PASSWORD 'x', IDENTIFIED BY 'x', secret_access_key='x'.
  // The second form is a statement inside a literal, where quotes are escaped.
  static const std::regex secret(
      R"re(((?:password|secret|access_key|token|credential|identified\s+(?:with\s+\w+\s+)?by|api_key)\w*["`]?\s*[=(:,]?\s*)(?:'(?:[^'\\]|\\.)*(?:'|$)|\\+'[^']*(?:'|$)))re",
      std::regex::icase | std::regex::optimize);
  return std::regex_replace(std::string(sql), secret, "$1'***'");
}

ServerInfo server_info(Client& client) {
  auto row = client.row("SELECT version() AS version, timezone() AS timezone");
  ServerInfo info;
  info.version = row.value("version", "");
  info.timezone = row.value("timezone", "");
  const char* end = info.version.data() + info.version.size();
  auto [dot, bad_major] = std::from_chars(info.version.data(), end, info.major);
  if (bad_major != std::errc() || dot == end || *dot != '.' ||
      std::from_chars(dot + 1, end, info.minor).ec != std::errc()) {
    throw Error(Code::corrupt, client.url(), "version() is not a version: " + info.version);
  }
  info.can_pause = info.major > 26 || (info.major == 26 && info.minor >= 6);
  return info;
}

void require_pause(const ServerInfo& info, const std::string& url) {
  if (info.can_pause) return;
  throw Error(Code::unsupported, url,
              "ClickHouse " + info.version + " has no SYSTEM PAUSE, so ingestion cannot be held",
              "use ClickHouse 26.6 or newer");
}

}  // namespace lifeboat::clickhouse
