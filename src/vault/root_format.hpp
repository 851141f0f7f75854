#pragma once

#include <string>
#include <string_view>

#include "vault/object.hpp"

// The bytes of the object `vault`; docs/format.md. What is done with them: vault.hpp.
namespace lifeboat::vault {

inline const std::string kRootName = "vault";

// What the root says to everybody.
struct Root {
  std::string id;  // 32 hex digits, random
  Timestamp created;
  bool encrypted = false;
  std::string check;  // of an encrypted one
  friend bool operator==(const Root&, const Root&) = default;
};

// The whole object; it is never sealed.
std::string root_object(const Root& root);
// Error(corrupt), Error(unsupported).
Root open_root(std::string_view object);
// What the check of an encrypted vault's root is made of.
std::string checked_part(const Root& root);

}  // namespace lifeboat::vault
