#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace lifeboat::vault {

// Numbers of objects, as ranges that do not touch.
class SequenceSet {
 public:
  void add(std::uint64_t first, std::uint64_t end);  // [first, end)
  void add(std::uint64_t sequence) { add(sequence, sequence + 1); }
  bool has(std::uint64_t sequence) const;
  bool has_all(const SequenceSet& other) const;
  bool meets(const SequenceSet& other) const;  // have one in common
  std::uint64_t count() const;
  bool empty() const { return ranges_.empty(); }
  const std::map<std::uint64_t, std::uint64_t>& ranges() const { return ranges_; }  // first -> end
  friend bool operator==(const SequenceSet&, const SequenceSet&) = default;

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;
};

// Objects of the logbook: incarnation -> numbers.
class ObjectSet {
 public:
  void add(const std::string& incarnation, std::uint64_t sequence);
  void add(const std::string& incarnation, std::uint64_t first, std::uint64_t end);
  void add(const ObjectSet& other);
  bool has(const std::string& incarnation, std::uint64_t sequence) const;
  bool has_all(const ObjectSet& other) const;
  bool meets(const ObjectSet& other) const;
  std::uint64_t count() const;
  bool empty() const { return sets_.empty(); }
  const std::map<std::string, SequenceSet>& sets() const { return sets_; }
  friend bool operator==(const ObjectSet&, const ObjectSet&) = default;

 private:
  std::map<std::string, SequenceSet> sets_;
};
using ReplacedObjects = ObjectSet;

}  // namespace lifeboat::vault
