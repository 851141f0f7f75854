#include "store/capabilities.hpp"

#include "fuzz/targets.hpp"

// What was recorded of a store. What cannot be read is nothing, and is no Error.
namespace lifeboat::fuzz {

void capabilities(std::string_view bytes) {
  const auto told = store::parse_capabilities(bytes);
  if (!told) throw Error(Code::corrupt, "capabilities", "cannot be read");
  const auto again = store::parse_capabilities(store::encode(*told));
  if (!again || again->several_writers() != told->several_writers() || again->what != told->what) {
    broken("a store's capabilities are not what was read");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(capabilities)
