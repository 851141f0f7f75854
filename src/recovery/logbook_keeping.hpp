#pragma once

#include "recovery/context.hpp"
#include "vault/logbook_keeper.hpp"

namespace lifeboat::recovery {

vault::KeeperOptions keeper_options(const Config& config);

// The logbook's keeper beside an archiver: summaries as objects come, small old objects merged now
// and then. What it cannot do is logged and tried again; archiving does not wait for it.
class LogbookKeeping {
 public:
  LogbookKeeping(const Context& context, vault::Vault vault);

  // Before the logbook is loaded: a long history without summaries gets them.
  void catch_up();
  // Until cancelled, on the caller's thread, which becomes a nice one.
  void run(const vault::LogbookWriter& writer, const Cancel& cancel);

 private:
  void round(const vault::LogbookWriter& writer, const Cancel& cancel);

  const Context& context_;
  vault::KeeperOptions options_;
  vault::LogbookKeeper keeper_;
  bool told_ = false;  // that it may not remove
};

}  // namespace lifeboat::recovery
