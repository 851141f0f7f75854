#pragma once

#include <optional>
#include <string>
#include <string_view>

// The bytes of the object `capabilities`. How they come to be known: probe.hpp.
namespace lifeboat::store {

// What a store was seen to do when several writers raced for one object. Some servers take a
// condition and ignore it, others look first and then write.
struct Capabilities {
  bool put_if_absent = false;     // of several writers one creates, the others are told `exists`
  bool put_if_unchanged = false;  // of several that saw one version one replaces it
  std::string what;               // what was seen instead; empty: both hold

  bool several_writers() const { return put_if_absent && put_if_unchanged; }
};

std::string encode(const Capabilities& capabilities);
// nullopt: it cannot be read, or is a yes that is not byte for byte what was written.
std::optional<Capabilities> parse_capabilities(std::string_view text);

}  // namespace lifeboat::store
