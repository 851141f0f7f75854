#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace lifeboat::kafka {

// Calls f(first, last) for each run of elements with the same key.
template <typename T, typename Key, typename F>
void for_each_run(const std::vector<T>& all, Key key, F f) {
  for (auto first = all.begin(); first != all.end();) {
    const auto last =
        std::find_if(first, all.end(), [&](const T& one) { return key(one) != key(*first); });
    f(first, last);
    first = last;
  }
}

template <typename T, typename Key>
std::size_t count_runs(const std::vector<T>& all, Key key) {
  std::size_t runs = 0;
  for_each_run(all, key, [&](auto, auto) { ++runs; });
  return runs;
}

}  // namespace lifeboat::kafka
