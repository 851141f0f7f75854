#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "store/directory_store.hpp"

namespace lifeboat::store {

using namespace std::string_literals;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "lifeboat-test-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Adds `times` to the number in the object, by compare-and-swap.
inline void increment(ObjectStore& store, const std::string& name, int times) {
  while (times > 0) {
    auto version = store.stat(name)->version;
    auto value = std::stoi(store.get(name).value());
    if (store.put_if_unchanged(name, std::to_string(value + 1), version) == PutResult::written) {
      --times;
    }
  }
}

// Runs `body` in so many processes; each must return 0.
inline void in_processes(int count, const std::function<int(int)>& body) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      int result = 99;
      try {
        result = body(i);
      } catch (const std::exception& e) {
        fprintf(stderr, "child %d: %s\n", i, e.what());
      }
      ::_exit(result);
    }
    children.push_back(pid);
  }
  for (pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

}  // namespace lifeboat::store
