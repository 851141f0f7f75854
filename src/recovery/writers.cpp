#include "recovery/writers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "store/s3_lock_probe.hpp"

namespace lifeboat::recovery {
namespace {

constexpr const char* kSingleWriterHint =
    "run one Lifeboat with this vault at a time: one `run`, and no `backup` beside another";

// One that passes now and then is no better than one that never does.
constexpr const char* kLiftHint =
    "It stays recorded, as a store may pass by luck: once the server is mended or another one, "
    "`lifeboat check --reprobe` asks it at length";

constexpr int kRoundsAtLength = 12;

// What `f` throws is the finding.
template <typename F>
void look(Finding& finding, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    finding.level = Finding::Level::problem;
    finding.what = error.what();
    finding.hint = error.hint();
  }
}

std::optional<Finding> check_locks(const Context& c) {
  const auto& s3 = c.config.vault.s3;
  if (!s3 || !s3->lock) return std::nullopt;
  Finding finding{"vault", "object_lock", Finding::Level::ok,
                  "a locked object was neither deleted nor given a shorter lock", ""};
  look(finding, [&] {
    const auto seen = store::probe_lock(*s3, c.clock, c.random);
    if (!seen.holds) {
      finding.level = Finding::Level::problem;
      finding.what = "LOCKS DO NOT HOLD HERE: " + seen.broken;
      finding.hint = "use another server, or take `object_lock` out of lifeboat.yaml";
    } else if (!seen.notes.empty()) {
      finding.what += fmt::format("; {}", fmt::join(seen.notes, "; "));
    }
  });
  return finding;
}

Finding check_deletion(const Context& c) {
  Finding finding{"vault", "deletion", Finding::Level::ok, "these credentials may delete", ""};
  look(finding, [&] {
    auto store = open_store(c.config);
    const auto name = "probe/" + c.random.hex(16) + "-deletion";
    store->put(name, "");
    try {
      store->remove(name);
    } catch (const Error& error) {
      if (error.code() != Code::denied) throw;
      finding.what =
          "these credentials may not delete: what they leave behind goes by `lifeboat prune` "
          "with others that may";
    }
  });
  return finding;
}

}  // namespace

store::Capabilities ask_writers(const Context& c, store::ObjectStore& store, Ask how) {
  const auto known = store::recorded(store);
  const bool stands = known && (how == Ask::when_unknown || !known->several_writers());
  if (stands && how != Ask::at_length) return *known;
  store::ProbeOptions options;
  if (how == Ask::at_length) options.rounds = kRoundsAtLength;
  const auto found = store::probe(store, c.random, options);
  const auto now = store::recorded(store);  // another one may have seen it fail meanwhile
  if (found.several_writers() && now && how != Ask::at_length) return *now;
  store::record(store, found);
  return found;
}

Finding check_writers(const Context& c, Ask how) {
  Finding finding{"vault", "writers", Finding::Level::ok, "the store keeps several writers apart",
                  ""};
  look(finding, [&] {
    auto store = open_store(c.config);
    const auto found = ask_writers(c, *store, how);
    if (found.several_writers()) return;
    finding.level = Finding::Level::warning;
    finding.what =
        "SINGLE WRITER: the store was seen not to keep several writers apart: " + found.what;
    finding.hint = fmt::format("{}. {}", kSingleWriterHint, kLiftHint);
  });
  return finding;
}

void check_store(const Context& c, Ask how, std::vector<Finding>& findings) {
  findings.push_back(check_writers(c, how));
  findings.push_back(check_deletion(c));
  if (auto locks = check_locks(c)) findings.push_back(std::move(*locks));
}

std::optional<std::string> single_writer(store::ObjectStore& store) {
  const char* unknown = "not known whether it keeps several writers apart";
  try {
    const auto found = store::recorded(store);
    if (!found) return fmt::format("{}; `lifeboat check` asks it", unknown);
    if (found->several_writers()) return std::nullopt;
    return "it does not keep several writers apart: " + found->what;
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    return fmt::format("{}: {}", unknown, error.what());
  }
}

void warn_of_single_writer(const Context& c, store::ObjectStore& store) {
  std::string why, hint = "`lifeboat check --reprobe` asks it again, at length";
  try {
    const auto found = ask_writers(c, store, Ask::when_unknown);
    if (found.several_writers()) return;
    why = "does not keep several writers apart (" + found.what + ")";
  } catch (const Error& error) {
    if (error.code() != Code::denied && error.code() != Code::no_space) throw;
    why =
        fmt::format("could not be asked whether it keeps several writers apart ({})", error.what());
    hint = error.code() == Code::no_space
               ? "`lifeboat check` asks it, once there is space"
               : "`lifeboat check`, by who may write `capabilities` and below `probe/`, asks it";
  }
  if (c.config.kafka && !c.config.kafka->archiver_group.empty()) {
    throw Error(Code::refused, c.config.vault.shown(),
                why + ", and lifeboat.yaml has kafka.archiver_group",
                "take archiver_group out, or use a store that does; " + hint);
  }
  c.reporter.note(fmt::format("SINGLE WRITER: {} {}; {}. {}", c.config.vault.shown(), why,
                              kSingleWriterHint, hint));
}

}  // namespace lifeboat::recovery
