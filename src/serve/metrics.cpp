#include "serve/metrics.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <charconv>
#include <cstdint>
#include <thread>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "recovery/log_names.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::serve {
namespace {

constexpr unsigned kThreads = 2;

// Answers on few threads, or on the one that listens when the machine gives no more.
class Requests : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> request) override { pool_.later<void>(std::move(request)); }
  void shutdown() override { pool_.wait_until_idle(); }

 private:
  vault::WorkPool pool_{kThreads, SIZE_MAX};
};

std::pair<std::string, int> parse_listen(const std::string& listen) {
  auto colon = listen.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon > 0) {
    const char* end = listen.data() + listen.size();
    auto parsed = std::from_chars(listen.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end) port = -1;
  }
  if (port < 0 || port > 65535) {
    throw Error(Code::config, "metrics", "'" + listen + "' is not an address to listen on",
                "write it like metrics: {listen: 127.0.0.1:9187}");
  }
  return {listen.substr(0, colon), port};
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

class Text {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename Value>
  void value(Value value) {
    out_ += fmt::format("{} {}\n", name_, value);
  }
  template <typename Value>
  void of(const char* label, const std::string& what, Value value) {
    out_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name_, label, escaped(what), value);
  }
  template <typename Value>
  void of_log(const std::string& log, Value value) {
    of("log", log, value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string name_;
  std::string out_;
};

void archived_metrics(Text& text, const recovery::ArchiveStatus& status) {
  auto each = [&](const char* name, const char* help, auto&& value) {
    text.family(name, "gauge", help);
    for (const auto& log : status.logs) text.of_log(log.name, value(log));
  };
  each("lifeboat_log_received", "Where what was received of the log ends",
       [](const auto& log) { return log.received.value; });
  each("lifeboat_log_durable", "Where what the vault holds of the log ends",
       [](const auto& log) { return log.durable.value; });
  each("lifeboat_log_source_end", "Where the log ends at its source",
       [](const auto& log) { return log.source_end.value; });
  each("lifeboat_log_lag", "Positions that the vault does not hold yet",
       [](const auto& log) { return std::max<std::int64_t>(0, log.source_end - log.durable); });
  text.family("lifeboat_vault_failing", "gauge", "1 while the vault refuses writes");
  text.value(status.vault_error ? 1 : 0);
  text.family("lifeboat_postgres_failing", "gauge", "1 while no WAL comes");
  text.value(status.postgres_error.empty() ? 0 : 1);
  text.family("lifeboat_logbook_written_bytes_total", "counter", "Stored by this process");
  text.value(status.written.value);
  text.family("lifeboat_logbook_written_objects_total", "counter", "Stored by this process");
  text.value(status.objects);
}

void proof_metrics(Text& text, const vault::PointProof& proof, Timestamp now) {
  text.family("lifeboat_newest_point_proven_age_seconds", "gauge",
              "Since a verify proved the newest point, so deeply or deeper; absent: never");
  auto tell = [&](const char* depth, const std::optional<Timestamp>& at) {
    if (at) text.of("depth", depth, static_cast<double>(now - *at) / 1000);
  };
  tell("existence", proof.existence);
  tell("sample", proof.sample);
  tell("data", proof.data);
  text.family("lifeboat_newest_point_failed", "gauge",
              "1 when a verify found that the newest point has lost something");
  text.value(proof.open && proof.open->verdict == vault::Verdict::failed ? 1 : 0);
}

void verify_metrics(Text& text, const vault::Proof& run, Timestamp now) {
  text.family("lifeboat_verify_age_seconds", "gauge",
              "Since the last verify ended, whoever ran it; absent: never");
  text.value(static_cast<double>(now - run.finished) / 1000);
  text.family("lifeboat_verify_damages", "gauge",
              "What the last verify found damaged or missing, whether a point needs it or not");
  text.value(run.damages.size());
  text.family("lifeboat_verify_unchecked", "gauge", "What the last verify could not look at");
  text.value(run.unchecked.size());
}

void watched_metrics(Text& text, const Watched& watched, Timestamp now) {
  text.family("lifeboat_log_gaps", "gauge", "Holes in what the vault holds of the log");
  for (const auto& log : watched.logs) text.of_log(log.name, log.gaps);
  text.family("lifeboat_log_missing", "gauge", "Positions in these holes");
  for (const auto& log : watched.logs) text.of_log(log.name, log.missing);
  text.family("lifeboat_log_retention_left_seconds", "gauge",
              "Until the source deletes what is not archived; absent when that is unknown");
  using Kind = recovery::TimeLeft::Kind;
  for (const auto& one : watched.partitions) {
    auto log = recovery::log_name(one.log).value;
    if (one.left.kind == Kind::known || one.left.kind == Kind::passed) {
      text.of_log(log, one.left.seconds);
    } else if (one.left.kind != Kind::unknown) {
      text.of_log(log, "+Inf");
    }
  }
  text.family("lifeboat_log_lag_seconds", "gauge", "Age of the oldest record that is not archived");
  for (const auto& one : watched.partitions) {
    auto log = recovery::log_name(one.log).value;
    if (one.left.kind == Kind::caught_up) text.of_log(log, 0);
    if (one.left.kind != Kind::caught_up && one.facts.oldest) {
      text.of_log(log, static_cast<double>(now - *one.facts.oldest) / 1000);
    }
  }
  text.family("lifeboat_points", "gauge", "Recovery points in the vault");
  text.value(watched.points);
  if (watched.newest_point) {
    text.family("lifeboat_newest_point_age_seconds", "gauge", "Age of the newest recovery point");
    text.value(static_cast<double>(now - *watched.newest_point) / 1000);
    proof_metrics(text, watched.newest_proof, now);
  }
  text.family("lifeboat_failed_points", "gauge",
              "Points that a verify found to have lost something");
  text.value(watched.failed_points);
  if (watched.verify) verify_metrics(text, *watched.verify, now);
  text.family("lifeboat_watch_problems", "gauge", "What could not be looked at the last time");
  text.value(watched.problems.size());
  text.family("lifeboat_watched_age_seconds", "gauge", "Since gaps and retention were looked at");
  text.value(static_cast<double>(now - watched.at) / 1000);
}

}  // namespace

std::string metrics_text(const recovery::ArchiveStatus& status,
                         const std::optional<Watched>& watched, Timestamp now) {
  Text text;
  archived_metrics(text, status);
  if (watched) watched_metrics(text, *watched, now);
  return text.take();
}

std::string traffic_text(const store::Traffic& traffic) {
  Text text;
  auto each = [&](const char* name, const char* help, auto&& value) {
    text.family(name, "counter", help);
    for (int i = 0; i < store::kOps; ++i) {
      const auto op = static_cast<store::Op>(i);
      text.of("call", std::string(to_string(op)), value(traffic.of(op)));
    }
  };
  using Kind = store::Traffic::Kind;
  each("lifeboat_store_calls_total", "Calls of the vault's store",
       [](const Kind& kind) { return kind.calls; });
  each("lifeboat_store_failures_total", "Calls that failed, after all tries",
       [](const Kind& kind) { return kind.failed; });
  each("lifeboat_store_seconds_total", "Time in these calls",
       [](const Kind& kind) { return kind.seconds; });
  each("lifeboat_store_sent_bytes_total", "Bytes written",
       [](const Kind& kind) { return kind.sent.value; });
  each("lifeboat_store_received_bytes_total", "Bytes read",
       [](const Kind& kind) { return kind.received.value; });
  return text.take();
}

struct MetricsServer::Impl {
  httplib::Server server;
  int port = 0;
  std::atomic<bool> ended{false};  // serves no more, asked to or not
  std::thread thread;
};

MetricsServer::MetricsServer(const std::string& listen, std::function<std::string()> text)
    : impl_(std::make_unique<Impl>()) {
  auto [host, port] = parse_listen(listen);
  auto& server = impl_->server;
  server.new_task_queue = [] { return new Requests(); };
  server.Get("/metrics",
             [text = std::move(text)](const httplib::Request&, httplib::Response& response) {
               response.set_content(text(), "text/plain; version=0.0.4");
             });
  // Not SO_REUSEPORT, httplib's default: two would share one port, each seeing half the requests.
  server.set_socket_options([](socket_t socket) {
    int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  bool bound = port == 0 ? (impl_->port = server.bind_to_any_port(host)) > 0
                         : server.bind_to_port(host, impl_->port = port);
  if (!bound) {
    throw Error(Code::failed, "metrics", "cannot listen on " + listen,
                "choose another `metrics: {listen: …}` in lifeboat.yaml");
  }
  impl_->thread = start_thread("serving metrics", [this, &server] {
    server.listen_after_bind();
    impl_->ended = true;
  });
}

MetricsServer::~MetricsServer() {
  // stop() before the loop has begun would be overlooked.
  while (!impl_->server.is_running() && !impl_->ended) std::this_thread::yield();
  impl_->server.stop();
  impl_->thread.join();
}

int MetricsServer::port() const {
  return impl_->port;
}

}  // namespace lifeboat::serve
