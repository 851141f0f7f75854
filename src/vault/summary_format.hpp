#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vault/logbook_format.hpp"
#include "vault/ranges.hpp"

// Summary objects tell what the footers of many objects of the logbook tell, in a hundredth of the
// reads: where each log begins and ends at once, where each extent lies when it is asked for. They
// hold nothing that the footers do not hold: without them reading is slower, not different.
// docs/format.md has the bytes.
namespace lifeboat::vault {

constexpr std::string_view kSummaryPrefix = "index/";
std::string summary_name(const std::string& incarnation, std::uint64_t sequence);

// One object of the logbook, without its extents.
struct ObjectEntry {
  LogbookObjectName name;
  Timestamp created;
  ByteCount size;
  std::uint32_t extents = 0;
  ReplacedObjects replaces;
  Salt salt = {};  // of a sealed object
};

struct SummarizedLog {
  LogName log;
  std::vector<Range> ranges;  // held, sorted, do not touch
  std::vector<Gap> gaps;
  std::uint64_t extents = 0;
  std::uint64_t objects = 0;
  ByteCount bytes;
  Timestamp min_time, max_time;  // when there are extents
  std::string last_attributes;   // of the extent that reaches farthest
  // Where its extents lie in the summary object; `place` counts from the first block.
  ByteCount place, offset, stored, raw;
  std::uint32_t crc = 0;
};

struct Summary {
  Timestamp created;
  std::vector<ObjectEntry> objects;  // sorted by incarnation and number
  std::vector<SummarizedLog> logs;   // sorted by name
  Salt salt;                         // of a sealed one
  ObjectSet covered() const;
};

// An extent and the object that holds it, by its number in Summary::objects.
struct SummarizedExtent {
  StoredExtent stored;  // its log name is left empty
  std::uint32_t object = 0;
};

// Collects what the summary of some objects tells. Memory: about 150 bytes an extent.
class SummaryBuilder {
 public:
  // Sorted by incarnation and number.
  void add(const LogbookObjectName& name, ByteCount size, const Footer& footer);
  std::size_t objects() const { return summary_.objects.size(); }
  std::size_t weight() const { return weight_; }  // extents, more for those with long attributes
  // The whole object of that name.
  std::string finish(const Sealing* sealing, const std::string& name, Timestamp created);

 private:
  struct Log {
    std::vector<SummarizedExtent> extents;
    std::vector<Gap> gaps;
  };
  Summary summary_;
  std::map<LogName, Log> logs_;
  std::size_t weight_ = 0;
};

// A whole summary object; every checksum but those of the logs' extents is checked.
Summary open_summary(const Sealing* sealing, const std::string& name, std::string_view object);
// The extents of a log of the summary from their bytes [offset, offset + stored) of the object, in
// no order.
std::vector<SummarizedExtent> open_summarized(const Sealing* sealing, const std::string& name,
                                              const Summary& summary, const SummarizedLog& log,
                                              std::string stored);

}  // namespace lifeboat::vault
