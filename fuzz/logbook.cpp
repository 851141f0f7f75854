#include "fuzz/containers.hpp"
#include "fuzz/targets.hpp"
#include "vault/logbook_format.hpp"

namespace lifeboat::fuzz {
namespace {

const std::string kName = "logbook/20261122T170506123Z-00000000/00000000000000000000";

}  // namespace

void logbook(std::string_view bytes) {
  const auto object = container_with_checksums(kName, bytes);
  vault::open_logbook_object(nullptr, kName, object);
  const auto footer = vault::check_logbook_object(nullptr, kName, object);
  for (const auto& extent : footer.extents) {
    const auto stored =
        std::string_view(object).substr(static_cast<std::size_t>(extent.offset.value),
                                        static_cast<std::size_t>(extent.stored.value));
    vault::open_extent(nullptr, kName, footer.salt, extent, std::string(stored));
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(logbook)
