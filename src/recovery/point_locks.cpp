#include "recovery/point_locks.hpp"

#include <spdlog/spdlog.h>

#include "base/file.hpp"
#include "vault/locks.hpp"

namespace lifeboat::recovery {

void lock_content_of(const Context& c, const vault::Vault& vault, const vault::Chunks& chunks,
                     const vault::RecoveryPoint& point) {
  const auto& s3 = c.config.vault.s3;
  if (!s3 || !s3->lock) return;
  step(c, "lock", "Lock what the point needs", [&] {
    const auto file = c.config.state / "locks";
    auto known = vault::decode_locks(read_file(file).value_or(""), vault.id());
    const auto done =
        vault::lock_needed(vault, chunks, point, s3->lock->retain, known, c.clock, c.cancel);
    write_file_durably(file, vault::encode_locks(known, vault.id()));
    spdlog::info("{} objects are needed; asked of {} whether they are locked, locked {} again",
                 done.needed, done.asked, done.locked);
  });
}

}  // namespace lifeboat::recovery
