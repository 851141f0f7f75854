#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lifeboat {

// CRC-32C of any part of bytes that come piece by piece, each piece behind the one before it in
// memory. A piece is read when it is added, while it still is in the processor's cache; of what is
// asked for later little is read again. For one thread; the bytes must stay where they are.
class ChecksumTrail {
 public:
  void restart();  // nothing was added; the memory of the trail itself is kept
  void add(std::string_view next);
  // `part` lies within what was added.
  std::uint32_t of(std::string_view part) const;

 private:
  const char* begin_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t crc_ = 0;             // of all that was added
  std::vector<std::uint32_t> marks_;  // of its first 0, 1, 2… steps
};

}  // namespace lifeboat
