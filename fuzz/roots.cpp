#include "fuzz/targets.hpp"
#include "vault/root_format.hpp"

// The payload of a vault's root, plain or encrypted: what is taken is written as it was read.
namespace lifeboat::fuzz {

void roots(std::string_view bytes) {
  const auto root =
      vault::open_root(vault::frame(vault::ObjectType::root, vault::kRootName, bytes));
  const auto again = taken([&] { return vault::open_root(vault::root_object(root)); });
  if (again != root) broken("a root is not what was read");
  vault::checked_part(root);
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(roots)
