#include "recovery/writers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "store/probe.hpp"
#include "store/s3_lock_probe.hpp"

namespace lifeboat::recovery {
namespace {

constexpr const char* kSingleWriterHint =
    "run one Lifeboat with this vault at a time: one `run`, and no `backup` beside another";

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

Finding check_writers(const Context& c) {
  Finding finding{"vault", "writers", Finding::Level::ok, "the store keeps several writers apart",
                  ""};
  look(finding, [&] {
    auto store = open_store(c.config);
    const auto found = store::probe(*store, c.random);
    store::record(*store, found);
    if (found.several_writers()) return;
    finding.level = Finding::Level::warning;
    finding.what = "the store does not keep several writers apart: " + found.what;
    finding.hint = kSingleWriterHint;
  });
  return finding;
}

void check_store(const Context& c, std::vector<Finding>& findings) {
  findings.push_back(check_writers(c));
  findings.push_back(check_deletion(c));
  if (auto locks = check_locks(c)) findings.push_back(std::move(*locks));
}

void warn_of_single_writer(const Context& c, store::ObjectStore& store) {
  const auto found = store::recorded(store);
  if (!found || found->several_writers()) return;
  if (c.config.kafka && !c.config.kafka->archiver_group.empty()) {
    throw Error(
        Code::refused, c.config.vault.shown(),
        "does not keep several writers apart (" + found->what +
            "), and lifeboat.yaml has kafka.archiver_group",
        "take archiver_group out, or use a store that does; `lifeboat check` tries it again");
  }
  c.reporter.note("SINGLE WRITER: " + c.config.vault.shown() +
                  " does not keep several writers apart (" + found->what + "); " +
                  kSingleWriterHint);
}

}  // namespace lifeboat::recovery
