#include "vault/pack_check.hpp"

#include <algorithm>
#include <deque>
#include <thread>

#include "base/checksum.hpp"
#include "vault/work_pool.hpp"

namespace lifeboat::vault {
namespace {

bool is_damage(Code code) {
  return code == Code::corrupt || code == Code::not_found || code == Code::unsupported;
}

// Whole, but for what `out.error` says then.
std::optional<PackFooter> open_as_far_as_possible(const Vault& vault, const std::string& object,
                                                  PackCheck& out) {
  for (bool damaged : {false, true}) {
    try {
      return open_pack(vault.sealing(), out.name, object, damaged);
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;
      if (!out.error) out.error = error;
    }
  }
  return std::nullopt;
}

void check_chunk(const ObjectSeal* seal, const std::string& name, const PackedChunk& chunk,
                 std::string_view object) {
  auto stored = object.substr(chunk.offset, chunk.stored);
  if (crc32c(stored) != chunk.crc) {
    throw_corrupt(ObjectType::pack, name,
                  "its chunk " + chunk.digest.hex() + " does not match its checksum");
  }
  open_packed_chunk(seal, name, chunk, std::string(stored));
}

}  // namespace

PackCheck check_pack(const Vault& vault, const std::string& name,
                     const std::optional<std::string>& object, const Cancel& cancel) {
  PackCheck out{name, {}, {}, {}};
  if (!object) {
    out.error = Error(Code::not_found, "pack " + name, "is missing from the vault",
                      "run lifeboat backup: what still exists at its source is written again");
    return out;
  }
  out.bytes = ByteCount(object->size());
  auto footer = open_as_far_as_possible(vault, *object, out);
  if (!footer) return out;
  std::optional<ObjectSeal> seal;
  if (vault.sealing()) seal = vault.sealing()->object(ObjectType::pack, name, footer->salt);
  for (const auto& chunk : footer->chunks) {
    cancel.check();
    try {
      check_chunk(seal ? &*seal : nullptr, name, chunk, *object);
    } catch (const Error& error) {
      if (!is_damage(error.code())) throw;
      if (!out.error) out.error = error;
      out.chunks.emplace_back(chunk.offset, error);
    }
  }
  return out;
}

void check_packs(const Vault& vault, const std::vector<std::string>& names, unsigned at_once,
                 const Cancel& cancel, const std::function<void(PackCheck)>& visit) {
  auto threads = std::clamp(std::thread::hardware_concurrency(), 1u, std::max(1u, at_once));
  std::deque<std::future<PackCheck>> ahead;
  WorkPool pool(vault.store().calls_at_once() > 1 ? threads : 0);  // last: ends before what it works on
  auto next = names.begin();
  while (next != names.end() || !ahead.empty()) {
    cancel.check();
    while (next != names.end() && ahead.size() < threads) {
      ahead.push_back(pool.later<PackCheck>([&vault, &cancel, name = *next] {
        return check_pack(vault, name, vault.store().get(name), cancel);
      }));
      ++next;
    }
    auto done = ahead.front().get();
    ahead.pop_front();
    visit(std::move(done));
  }
}

}  // namespace lifeboat::vault
