#include "recovery/writers.hpp"

#include "store/open_store.hpp"
#include "store/probe.hpp"

namespace lifeboat::recovery {
namespace {

constexpr const char* kSingleWriterHint =
    "run one Lifeboat with this vault at a time: one `run`, and no `backup` beside another";

}  // namespace

Finding check_writers(const Context& c) {
  Finding finding{"vault", "writers", Finding::Level::ok, "the store keeps several writers apart",
                  ""};
  try {
    auto store = store::open_store(c.config.vault);
    const auto found = store::probe(*store, c.random);
    store::record(*store, found);
    if (found.several_writers()) return finding;
    finding.level = Finding::Level::warning;
    finding.what = "the store does not keep several writers apart: " + found.what;
    finding.hint = kSingleWriterHint;
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    finding.level = Finding::Level::problem;
    finding.what = error.what();
    finding.hint = error.hint();
  }
  return finding;
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
