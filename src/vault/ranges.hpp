#pragma once

#include <vector>

#include "vault/extent.hpp"

// Sets of positions: ranges that are sorted and do not touch.
namespace lifeboat::vault {

using Ranges = std::vector<Range>;

// Before and behind every position.
constexpr Position kFirstPosition{INT64_MIN};
constexpr Position kLastPosition{INT64_MAX};

// Any ranges put together.
Ranges unite(std::vector<Range> ranges);
Ranges intersect(const Ranges& a, const Ranges& b);
Ranges subtract(const Ranges& from, const Ranges& what);
bool meets(const Ranges& ranges, Range range);

}  // namespace lifeboat::vault
