#pragma once

#include <map>
#include <memory>

#include "support/stack_fixture.hpp"

namespace lifeboat::kafka::test {

// One broker under KRaft of "3.9" or "4", with listeners for TLS and SASL, for as long as the
// program runs.
inline lifeboat::test::StackProcess& kraft_stack(const std::string& kind) {
  static std::map<std::string, std::unique_ptr<lifeboat::test::StackProcess>> stacks;
  auto& stack = stacks[kind];
  if (!stack) {
    std::vector<std::string> options = {"--kafka", kind, "--secure-kafka"};
    stack = std::make_unique<lifeboat::test::StackProcess>(std::vector<std::string>{"kafka"},
                                                           std::filesystem::path(), options);
  }
  return *stack;
}

}  // namespace lifeboat::kafka::test
