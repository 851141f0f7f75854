#include "store/probe.hpp"

#include <fmt/format.h>

#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/thread.hpp"

namespace lifeboat::store {
namespace {

const std::string kRecord = "capabilities";

// While a server that looks first and then writes takes these bytes, another writer may look.
constexpr std::size_t kBytes = 1 << 20;

std::string bytes_of(const std::string& verb, int writer) {
  auto out = fmt::format("{} by {}", verb, writer);
  out.resize(kBytes, '.');
  return out;
}

// Who may not delete can still make it small: it stays then, and nobody reads it.
void discard(ObjectStore& store, const std::string& name) {
  try {
    store.remove(name);
  } catch (const Error&) {
    store.put(name, "");
  }
}

// Removes the probe's object at the end, whatever happened.
struct Probed {
  ObjectStore& store;
  std::string name;
  ~Probed() {
    try {
      discard(store, name);
    } catch (const Error&) {  // the store is away: what is wrong with it is known already
    }
  }
};

// Every writer's result, all having begun at once. The first exception is thrown again. Fewer than
// were wanted would prove less: without a thread for each none writes.
std::vector<PutResult> race(int writers, const std::function<PutResult(int)>& write) {
  std::vector<PutResult> results(static_cast<std::size_t>(writers));
  std::exception_ptr failure;
  std::mutex mutex;
  std::promise<bool> start;
  const auto started = start.get_future().share();
  const auto writer = [&](int i) {
    try {
      if (started.get()) results[static_cast<std::size_t>(i)] = write(i);
    } catch (...) {
      std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      for (int i = 0; i < writers; ++i) threads.emplace_back(writer, i);
    } catch (const std::exception&) {
      start.set_value(false);
      throw no_thread_for("letting writers race");
    }
    start.set_value(true);
  }
  if (failure) std::rethrow_exception(failure);
  return results;
}

// What is wrong with the outcome; empty when one writer won and its bytes are there.
std::string judge(ObjectStore& store, const std::string& name, const std::string& verb,
                  const std::vector<PutResult>& results, const char* what) {
  int winner = -1, winners = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i] != PutResult::written) continue;
    winner = static_cast<int>(i);
    ++winners;
  }
  if (winners != 1) {
    return fmt::format("{} of {} writers were each told that {} theirs", winners, results.size(),
                       what);
  }
  if (store.get(name) != bytes_of(verb, winner)) {
    return fmt::format("the writer that was told that {} its own was written over", what);
  }
  return "";
}

std::string race_to_create(ObjectStore& store, const std::string& name, int writers) {
  Probed probed{store, name};
  auto create = [&](int i) { return store.put_if_absent(name, bytes_of("created", i)); };
  auto wrong = judge(store, name, "created", race(writers, create), "the new object is");
  if (wrong.empty() && store.put_if_absent(name, "late") != PutResult::exists) {
    wrong = "an object that is there was created once more";
  }
  return wrong;
}

std::string race_to_replace(ObjectStore& store, const std::string& name, int writers) {
  Probed probed{store, name};
  store.put(name, "before");
  const auto seen = store.stat(name);
  if (!seen) return "an object that was written is not there";
  auto replace = [&](int i) {
    return store.put_if_unchanged(name, bytes_of("replaced", i), seen->version);
  };
  auto wrong = judge(store, name, "replaced", race(writers, replace), "the replaced object is");
  if (wrong.empty() && store.put_if_unchanged(name, "late", seen->version) != PutResult::changed) {
    wrong = "an object that had changed was replaced all the same";
  }
  return wrong;
}

}  // namespace

Capabilities probe(ObjectStore& store, Random& random, const ProbeOptions& options) {
  std::string create, replace;
  const auto prefix = "probe/" + random.hex(16) + "-";
  for (int round = 0; round < options.rounds; ++round) {
    const auto name = prefix + std::to_string(round);
    if (create.empty()) create = race_to_create(store, name + "-create", options.writers);
    if (replace.empty()) replace = race_to_replace(store, name + "-replace", options.writers);
  }
  Capabilities out{create.empty(), replace.empty(), create};
  if (!replace.empty()) out.what += (create.empty() ? "" : "; ") + replace;
  return out;
}

void record(ObjectStore& store, const Capabilities& capabilities) {
  store.put(kRecord, encode(capabilities));
}

std::optional<Capabilities> recorded(ObjectStore& store) {
  return parse_capabilities(store.get(kRecord).value_or(""));
}

}  // namespace lifeboat::store
