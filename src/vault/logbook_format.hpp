#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vault/container.hpp"
#include "vault/extent.hpp"
#include "vault/sequence_set.hpp"

namespace lifeboat::vault {

// An object of the logbook: header, extents, footer, trailer; docs/format.md has the bytes.
constexpr ByteCount kMaxExtent{256u << 20};  // uncompressed; nothing larger is written or read
constexpr std::size_t kMaxLogName = 1024;
constexpr std::size_t kMaxAttributes = 65535;

// logbook/<incarnation>/<20-digit sequence>.
struct LogbookObjectName {
  std::string incarnation;
  std::uint64_t sequence = 0;
};
std::string logbook_name(const LogbookObjectName& name);
std::optional<LogbookObjectName> parse_logbook_name(std::string_view name);

enum class Codec : std::uint8_t { none = 0, zstd = 1 };

struct StoredExtent {
  Extent extent;
  ByteCount offset;  // in the object
  ByteCount stored;  // length in the object, sealed
  ByteCount raw;     // length after decompression
  Codec codec = Codec::none;
  std::uint32_t crc = 0;  // crc32c of the stored bytes
};

struct Footer {
  Timestamp created;
  std::vector<StoredExtent> extents;  // back to back in the object, from its header to the footer
  std::vector<Gap> gaps;
  ReplacedObjects replaced;  // by this object, which holds all that they held
  Salt salt;                 // of a sealed object
};

// Puts an object together; extents are added one by one, and sealed when the vault is encrypted.
class LogbookObject {
 public:
  // Sealed extents are put into `room` as far as they fit, else into buffers of their own: new
  // memory for each object costs as much time as sealing it.
  LogbookObject(std::string name, int zstd_level, const Sealing* sealing = nullptr,
                std::shared_ptr<std::string> room = nullptr);
  // The extent's bytes are those of the pieces, one after the other; all of them have a buffer.
  // They are kept as they are, or compressed when that is to be tried and a sample shrinks.
  void add(const Extent& extent, std::vector<ExtentBytes> pieces, bool try_compressing = true);
  // The whole object in parts, which the pieces' buffers and this object hold.
  std::vector<std::string_view> finish(Timestamp created, std::vector<Gap> gaps,
                                       ReplacedObjects replaced = {});
  ByteCount size() const { return ByteCount(at_); }  // of what was added so far
  const Footer& footer() const { return footer_; }

 private:
  ExtentBytes sealed(const std::vector<ExtentBytes>& pieces);

  std::string name_;
  int zstd_level_;
  std::shared_ptr<std::string> room_;
  std::size_t room_used_ = 0;
  std::optional<ObjectSeal> seal_;   // of an encrypted vault
  std::vector<ExtentBytes> pieces_;  // between header and footer
  ContainerEnds ends_;
  std::uint64_t at_;
  Footer footer_;
};

// What the footer of an object in the store says. Error(not_found) when the object is gone.
Footer read_footer(const Vault& vault, const std::string& name, ByteCount object_size);
// The footer of a whole object, of which all but that may be damaged.
Footer find_footer(const Sealing* sealing, const std::string& name, std::string_view object);
// The extent's own bytes from those that are stored. `salt` is the footer's.
std::string open_extent(const Sealing* sealing, const std::string& name, const Salt& salt,
                        const StoredExtent& extent, std::string stored);
ExtentBytes piece_of(std::string bytes);

// A whole object: open checks all but its extents, check every byte.
Footer open_logbook_object(const Sealing* sealing, const std::string& name,
                           std::string_view object);
Footer check_logbook_object(const Sealing* sealing, const std::string& name,
                            std::string_view object);

bool valid_incarnation(std::string_view incarnation);
bool valid_log(const LogName& log);
std::string describe(const Extent& extent);  // "log [base, next)"

}  // namespace lifeboat::vault
