#include "vault/ranges.hpp"

#include <algorithm>

namespace lifeboat::vault {

Ranges unite(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.from < b.from; });
  Ranges out;
  for (const auto& range : ranges) {
    if (!out.empty() && range.from <= out.back().to) {
      out.back().to = std::max(out.back().to, range.to);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

Ranges intersect(const Ranges& a, const Ranges& b) {
  Ranges out;
  for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
    const Range both{std::max(x->from, y->from), std::min(x->to, y->to)};
    if (both.from < both.to) out.push_back(both);
    (x->to < y->to ? x : y)++;
  }
  return out;
}

Ranges subtract(const Ranges& from, const Ranges& what) {
  Ranges rest;
  Position at = kFirstPosition;
  for (const auto& range : what) {
    if (at < range.from) rest.push_back({at, range.from});
    at = std::max(at, range.to);
  }
  if (at < kLastPosition) rest.push_back({at, kLastPosition});
  return intersect(from, rest);
}

bool meets(const Ranges& ranges, Range range) {
  const auto it = std::upper_bound(ranges.begin(), ranges.end(), range.from,
                                   [](Position at, const Range& one) { return at < one.to; });
  return it != ranges.end() && it->from < range.to;
}

}  // namespace lifeboat::vault
