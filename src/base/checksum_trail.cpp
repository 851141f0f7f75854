#include "base/checksum_trail.hpp"

#include <algorithm>

#include "base/checksum.hpp"

namespace lifeboat {

namespace {

constexpr std::size_t kStep = 16 * 1024;

}  // namespace

void ChecksumTrail::restart() {
  begin_ = nullptr;
  size_ = 0;
  crc_ = 0;
  marks_.assign(1, 0);
}

void ChecksumTrail::add(std::string_view next) {
  if (begin_ == nullptr) {
    restart();
    begin_ = next.data();
  }
  while (!next.empty()) {
    const auto piece = next.substr(0, kStep - size_ % kStep);
    crc_ = crc32c(piece, crc_);
    size_ += piece.size();
    if (size_ % kStep == 0) marks_.push_back(crc_);
    next.remove_prefix(piece.size());
  }
}

// What lies between two marks needs not be read: its checksum is what the second one's prefix has
// beyond the first one's.
std::uint32_t ChecksumTrail::of(std::string_view part) const {
  const auto from = static_cast<std::size_t>(part.data() - begin_);
  const auto first = (from + kStep - 1) / kStep;
  const auto last = (from + part.size()) / kStep;
  if (first >= last) return crc32c(part);
  const auto head = part.substr(0, first * kStep - from);
  const auto tail = part.substr(last * kStep - from);
  const auto size = (last - first) * kStep;
  const auto middle = crc32c_combine(marks_[first], marks_[last], size);
  return crc32c(tail, crc32c_combine(crc32c(head), middle, size));
}

}  // namespace lifeboat
