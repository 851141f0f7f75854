#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lifeboat::vault {

// Bytes of a key or a passphrase: wiped when they go, copied only by copy(), never printed.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size);  // zeros
  explicit Secret(std::string_view bytes);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  Secret copy() const { return Secret(view()); }
  std::string_view view() const { return {bytes_.get(), size_}; }
  char* data() { return bytes_.get(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

// Wipes what held a secret on its way, and empties it.
void wipe(std::string& bytes);

}  // namespace lifeboat::vault
