#include "postgres/wal_session.hpp"

#include <libpq-fe.h>

#include "base/bytes.hpp"
#include "base/log.hpp"

namespace lifeboat::postgres {

namespace {

constexpr std::int64_t kPostgresEpochMillis = 946684800000;  // 2000-01-01 UTC

}  // namespace

WalSession::WalSession(WalReceiver& receiver, WalProgress& progress, const Cancel& cancel)
    : receiver_(receiver),
      progress_(progress),
      cancel_(cancel),
      server_(receiver.config_, Mode::replication, cancel),
      info_(identify(server_)),
      slot_lsn_(ensure_slot(server_, receiver.slot_)) {}

template <typename F>
auto WalSession::call_sink(F&& call) {
  try {
    return call();
  } catch (...) {
    throw SinkStopped{std::current_exception()};
  }
}

WalProgress::Timeline WalSession::key(TimelineId timeline) const {
  return {info_.system_identifier, timeline};
}

void WalSession::stream() {
  read_history_of_server();
  auto at = plan_start(
      ancestors_, info_.timeline, [&](TimelineId timeline) { return held(timeline); }, slot_lsn_,
      info_.wal_segment_size);
  check_not_ahead(at);
  for (;;) {
    give_history(at.timeline);
    const auto next = stream_timeline(at);
    if (!next) return;
    at = *next;
  }
}

// Another archiver may have had the slot since the last connection, and gone on: the server keeps
// no WAL for who comes after it with an older position.
std::optional<Lsn> WalSession::held(TimelineId timeline) {
  const auto durable =
      call_sink([&] { return receiver_.sink_.resume_at(info_.system_identifier, timeline); });
  if (durable) receiver_.durable(info_.system_identifier, timeline, *durable);
  const auto received = progress_.received.find(key(timeline));
  if (received == progress_.received.end()) return durable;
  return durable ? std::max(received->second, *durable) : received->second;
}

void WalSession::read_history_of_server() {
  if (info_.timeline <= TimelineId(1)) return;
  history_ = fetch_history(info_.timeline);
  ancestors_ = parse_history(history_);
}

// A server whose WAL ends before what the vault holds of the same timeline is an older copy, or is
// still recovering. What it writes from here on must not be taken for the continuation.
void WalSession::check_not_ahead(WalPosition start) const {
  if (start.timeline != info_.timeline || start.lsn <= info_.flush_lsn) return;
  throw Error(Code::conflict, server_.server(),
              fmt::format("its WAL on timeline {} ends at {}, but {} is archived already",
                          info_.timeline, to_string(info_.flush_lsn), to_string(start.lsn)),
              "is this an older copy of the server, or a restore that is still running? It can be "
              "archived again when it is on a timeline of its own (promoted)");
}

std::string WalSession::fetch_history(TimelineId timeline) {
  try {
    return server_.query(fmt::format("TIMELINE_HISTORY {}", timeline)).text(0, 1);
  } catch (const Error& error) {
    if (sqlstate_of(error) != "58P01" || timeline == info_.timeline) throw;
  }
  // A server that was restored need not have its ancestors' files.
  if (auto text = history_of_ancestor(history_, timeline)) return *std::move(text);
  throw Error(Code::failed, server_.server(),
              fmt::format("there is no history of timeline {}", timeline));
}

void WalSession::give_history(TimelineId timeline) {
  if (timeline <= TimelineId(1) || progress_.histories.contains(key(timeline))) return;
  const auto text = timeline == info_.timeline ? history_ : fetch_history(timeline);
  call_sink([&] { receiver_.sink_.on_history(info_.system_identifier, timeline, text); });
  progress_.histories.insert(key(timeline));
}

// Streams one timeline. Returns where the next one begins; nullopt when the stream is over.
std::optional<WalPosition> WalSession::stream_timeline(WalPosition at) {
  told_ = Lsn();
  const auto start = at;
  try {
    server_.send(fmt::format("START_REPLICATION SLOT {} PHYSICAL {} TIMELINE {}", receiver_.slot_,
                             to_string(at.lsn), at.timeline));
    const auto answer = server_.next_result();
    if (!answer) throw Error(Code::failed, server_.server(), "no answer to START_REPLICATION");
    // A timeline that ends exactly here is answered without a stream.
    if (PQresultStatus(answer->raw()) == PGRES_TUPLES_OK) {
      progress_.received[key(at.timeline)] = at.lsn;
      const TimelineId next(static_cast<std::uint32_t>(answer->number(0, 0)));
      server_.expect_end("START_REPLICATION");
      return follow(at, next, at.lsn);
    }
    if (copy(at) == End::server_stopped) return std::nullopt;
    return read_next_timeline(at);
  } catch (const Error& error) {
    if (sqlstate_of(error) != "58P01") throw;  // "requested WAL segment has already been removed"
    report_gap(at.lsn > start.lsn ? at : start, error.message());
    return std::nullopt;
  }
}

// The server's CopyDone ends a timeline, or (no rows after it) the server.
std::optional<WalPosition> WalSession::read_next_timeline(WalPosition at) {
  const auto answer = server_.next_result();
  if (!answer || PQresultStatus(answer->raw()) != PGRES_TUPLES_OK) return std::nullopt;
  const TimelineId next(static_cast<std::uint32_t>(answer->number(0, 0)));
  const auto end = answer->lsn(0, 1);
  server_.expect_end("START_REPLICATION");
  return follow(at, next, end);
}

std::optional<WalPosition> WalSession::follow(WalPosition at, TimelineId next, Lsn end) {
  if (next <= at.timeline || end != at.lsn) {
    throw Error(Code::corrupt, server_.server(),
                fmt::format("timeline {} ended at {}, the server says at {}, and then comes {}",
                            at.timeline, to_string(at.lsn), to_string(end), next));
  }
  progress_.parents[key(next)] = {at.timeline, end};
  spdlog::info("{}: timeline {} ends at {}, going on with timeline {}", server_.server(),
               at.timeline, to_string(end), next);
  return held(next) ? WalPosition{next, *held(next)}
                    : WalPosition{next, segment_start(end, info_.wal_segment_size)};
}

WalSession::End WalSession::copy(WalPosition& at) {
  last_heard_ = last_status_ = receiver_.clock_.steady();
  reply_now_ = true;  // tells at once what is durable already
  std::string_view message;
  for (;;) {
    keep_in_touch(at);
    switch (server_.copy_data(message)) {
      case Connection::Copied::nothing_yet:
        break;
      case Connection::Copied::data:
        handle(message, at);
        break;
      case Connection::Copied::end: {
        const auto state = server_.next_result();
        if (!state || PQresultStatus(state->raw()) != PGRES_COPY_IN) return End::server_stopped;
        server_.put_copy_end();
        return End::next_timeline;
      }
    }
  }
}

void WalSession::handle(std::string_view message, WalPosition& at) {
  last_heard_ = receiver_.clock_.steady();
  asked_ = false;
  ByteReader reader(message, "WAL stream");
  const char type = reader.take(1)[0];
  if (type == 'w') return handle_wal(message, at);
  if (type != 'k') {
    throw Error(Code::corrupt, server_.server(), "an unknown message in the WAL stream");
  }
  const Lsn end(reader.be<std::uint64_t>());
  reader.take(8);  // the server's clock
  if (reader.take(1)[0] != 0) reply_now_ = true;
  const std::lock_guard lock(receiver_.mutex_);
  receiver_.status_.server_end = end;
}

void WalSession::handle_wal(std::string_view message, WalPosition& at) {
  ByteReader reader(message, "WAL stream");
  reader.take(1);
  const Lsn start(reader.be<std::uint64_t>());
  const Lsn end(reader.be<std::uint64_t>());
  reader.take(8);  // the server's clock
  if (start != at.lsn) {
    throw Error(
        Code::corrupt, server_.server(),
        fmt::format("WAL at {} was sent where {} is next", to_string(start), to_string(at.lsn)));
  }
  const auto bytes = reader.rest();
  if (!bytes.empty()) {
    call_sink([&] { receiver_.sink_.on_wal(info_.system_identifier, at.timeline, start, bytes); });
  }
  at.lsn = start + bytes.size();
  progress_.received[key(at.timeline)] = at.lsn;
  received_anything_ = true;
  last_heard_ = receiver_.clock_.steady();  // the sink may have taken long
  const std::lock_guard lock(receiver_.mutex_);
  receiver_.status_.server_end = end;
  receiver_.status_.received = at.lsn;
}

// What is durable of this timeline; nothing while its parent is not durable up to the switch.
Lsn WalSession::flushed(WalPosition at) {
  const std::lock_guard lock(receiver_.mutex_);
  const auto durable = [&](TimelineId timeline) {
    const auto found = receiver_.durable_.find(key(timeline));
    return found == receiver_.durable_.end() ? Lsn() : found->second;
  };
  auto lsn = std::min(durable(at.timeline), at.lsn);
  const auto parent = progress_.parents.find(key(at.timeline));
  if (parent != progress_.parents.end()) {
    const auto& [timeline, end] = parent->second;
    if (durable(timeline) < end) return told_;
    // The new timeline's first segment begins below the switch point: no step back.
    lsn = std::max(lsn, end);
  }
  return std::max(lsn, told_);
}

void WalSession::keep_in_touch(WalPosition at) {
  const auto now = receiver_.clock_.steady();
  const auto& options = receiver_.options_;
  const auto flush = flushed(at);
  const bool silent = !asked_ && now - last_heard_ > options.silence_limit / 2;
  if (now - last_heard_ > options.silence_limit) {
    throw Error(Code::unavailable, server_.server(),
                fmt::format("silent for {} ms", options.silence_limit.count()));
  }
  if (reply_now_ || silent || flush > told_ || now - last_status_ >= options.status_interval) {
    send_status(at, flush, silent);
  }
}

// Standby status update. Applied is never said: nothing is applied here.
void WalSession::send_status(WalPosition at, Lsn flush, bool ask) {
  std::string message = "r";
  append_be<std::uint64_t>(message, std::max(at.lsn, flush).value);
  append_be<std::uint64_t>(message, flush.value);
  append_be<std::uint64_t>(message, 0);
  append_be<std::int64_t>(message, (receiver_.clock_.now().value - kPostgresEpochMillis) * 1000);
  message.push_back(ask ? 1 : 0);
  if (!server_.put_copy_data(message)) return;  // the socket is full: again at the next tick
  asked_ = asked_ || ask;
  reply_now_ = false;
  told_ = flush;
  last_status_ = receiver_.clock_.steady();
  publish(at);
}

void WalSession::publish(WalPosition at) {
  const std::lock_guard lock(receiver_.mutex_);
  auto& status = receiver_.status_;
  status.streaming = true;
  status.system_identifier = info_.system_identifier;
  status.timeline = at.timeline;
  status.received = at.lsn;
  status.flushed = told_;
  status.last_error.clear();
}

// Names of pg_wal; empty when the role may not see them.
std::vector<std::string> WalSession::list_pg_wal() {
  std::vector<std::string> names;
  try {
    Connection sql(receiver_.config_, Mode::sql, cancel_);
    const auto answer = sql.query("SELECT name FROM pg_catalog.pg_ls_waldir()");
    for (int row = 0; row < answer.rows(); ++row) names.push_back(answer.text(row, 0));
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    spdlog::warn("{}: pg_wal cannot be listed, older WAL may be left out: {}", server_.server(),
                 error.what());
  }
  return names;
}

// WAL that is wanted next is gone: goes on at the oldest that there still is on this timeline, else
// at its end (then the next timeline follows).
void WalSession::report_gap(WalPosition from, const std::string& why) {
  const auto end = timeline_end(ancestors_, from.timeline);
  const auto limit = end.value_or(info_.flush_lsn);
  std::optional<TimelineId> child;
  if (const auto next =
          next_timeline(ancestors_, info_.timeline, from.timeline, info_.wal_segment_size)) {
    child = next->timeline;
  }
  auto to = oldest_available(list_pg_wal(), from, limit, child, info_.wal_segment_size);
  const auto kept = segment_start(slot_lsn_, info_.wal_segment_size);
  if (!to && kept > from.lsn && kept < limit) to = kept;
  if (!to && end) to = *end;
  if (!to || *to <= from.lsn) {
    throw Error(
        Code::failed, server_.server(),
        fmt::format("WAL at {} is gone and no later WAL is found: {}", to_string(from.lsn), why));
  }
  spdlog::error("{}: WAL [{}, {}) of timeline {} is LOST: {}. Take a new backup.", server_.server(),
                to_string(from.lsn), to_string(*to), from.timeline, why);
  call_sink(
      [&] { receiver_.sink_.on_gap(info_.system_identifier, from.timeline, from.lsn, *to, why); });
  progress_.received[key(from.timeline)] = *to;
  received_anything_ = true;
  const std::lock_guard lock(receiver_.mutex_);
  ++receiver_.status_.gaps;
}

}  // namespace lifeboat::postgres
