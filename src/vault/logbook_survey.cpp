#include "vault/logbook_survey.hpp"

#include <algorithm>
#include <tuple>

#include "base/error.hpp"
#include "base/thread.hpp"

namespace lifeboat::vault {
namespace {

constexpr std::uint64_t kMostMissing = 1000;  // named one by one

Error gone(const std::string& name) {
  return Error(Code::not_found, "logbook " + name, "is missing from the vault",
               "run lifeboat verify: it names the ranges that are lost");
}

// One survey; the steps are told in run().
class Surveyor {
 public:
  Surveyor(const Vault& vault, const std::set<std::string>& ignored)
      : vault_(vault), ignored_(ignored) {}

  Survey run() {
    read_summaries();
    found_ = list_logbook(vault_, out_.damaged);
    for (const auto& object : found_)
      out_.present.add(object.name.incarnation, object.name.sequence);
    // What is replaced is known when every object's footer or summary was seen; that a summary
    // cannot be used is known when it is known what was replaced.
    do {
      read_uncovered();
      collect_replaced();
    } while (drop_untrue_summaries() || look_again_for_missing());
    for (const auto& one : lost_) {
      bool named = std::any_of(missing_.begin(), missing_.end(),
                               [&](const auto& other) { return other.object == one.object; });
      if (!named) missing_.push_back(one);
    }
    out_.damaged.insert(out_.damaged.end(), missing_.begin(), missing_.end());
    use_summaries();
    drop_replaced();
    return std::move(out_);
  }

 private:
  void read_summaries() {
    std::vector<std::string> names;
    vault_.store().list(std::string(kSummaryPrefix), [&](const store::ObjectInfo& info) {
      if (ignored_.count(info.name) == 0) names.push_back(info.name);
    });
    for (const auto& name : names) {
      try {
        auto bytes = vault_.store().get(name);
        if (!bytes) continue;  // superseded meanwhile
        summaries_.push_back({name, open_summary(vault_.sealing(), name, *bytes), {}});
      } catch (const Error& error) {
        if (error.code() != Code::corrupt && error.code() != Code::unsupported) throw;
        out_.damaged.push_back({name, error});
      }
    }
    std::sort(summaries_.begin(), summaries_.end(), [](const auto& a, const auto& b) {
      return std::tie(b.summary.created, b.name) < std::tie(a.summary.created, a.name);
    });
  }

  void read_uncovered() {
    ObjectSet seen = read_;
    for (const auto& one : summaries_) seen.add(one.summary.covered());
    std::vector<FoundObject> unseen;
    for (const auto& object : found_) {
      if (!seen.has(object.name.incarnation, object.name.sequence)) unseen.push_back(object);
    }
    auto footers = read_footers(vault_, unseen);
    for (std::size_t i = 0; i < unseen.size(); ++i) {
      const auto& [name, size] = unseen[i];
      read_.add(name.incarnation, name.sequence);
      if (footers[i].damage) {
        out_.damaged.push_back({logbook_name(name), *footers[i].damage});
        continue;
      }
      auto& footer = *footers[i].footer;
      auto extents = static_cast<std::uint32_t>(footer.extents.size());
      ObjectEntry entry{name, footer.created, size, extents, footer.replaced, footer.salt};
      out_.footers.push_back({std::move(entry), std::move(footer)});
    }
  }

  void collect_replaced() {
    out_.replaced = {};
    for (const auto& one : summaries_) {
      for (const auto& object : one.summary.objects) out_.replaced.add(object.replaces);
    }
    for (const auto& one : out_.footers) out_.replaced.add(one.footer.replaced);
  }

  // A summary that tells of an object that is gone, and that nothing replaced, is not to be
  // trusted in what it says was replaced; that object is missing. True when there was one.
  bool drop_untrue_summaries() {
    ObjectSet known = out_.present;
    known.add(out_.replaced);
    auto n = std::erase_if(summaries_, [&](const UsedSummary& one) {
      if (known.has_all(one.summary.covered())) return false;
      bool untrue = false;
      for (const auto& object : one.summary.objects) {
        const auto& [incarnation, sequence] = object.name;
        if (known.has(incarnation, sequence)) continue;
        // A list need not show what came while it was read.
        auto name = logbook_name(object.name);
        if (vault_.store().stat(name)) continue;
        lost_.push_back({name, gone(name)});
        untrue = true;
      }
      return untrue;
    });
    return n > 0;
  }

  // A writer numbers its objects from 0 without a break. One that the list jumps over was written
  // while it was read, was replaced, or is lost. True when one is there after all.
  bool look_again_for_missing() {
    ObjectSet known = out_.present;
    known.add(out_.replaced);
    std::size_t before = found_.size();
    missing_.clear();
    for (const auto& [incarnation, numbers] : known.sets()) {
      std::uint64_t expected = 0;
      for (const auto& [first, end] : numbers.ranges()) {
        auto most = std::min(first, expected + kMostMissing);
        for (auto n = expected; n < most; ++n) look_for({incarnation, n});
        expected = end;
      }
    }
    return found_.size() > before;
  }

  void look_for(const LogbookObjectName& object) {
    auto name = logbook_name(object);
    if (auto there = vault_.store().stat(name)) {
      found_.push_back({object, there->size});
      out_.present.add(object.incarnation, object.sequence);
    } else {
      missing_.push_back({name, gone(name)});
    }
  }

  void use_summaries() {
    ObjectSet told = out_.replaced;
    for (auto& one : summaries_) {
      auto covered = one.summary.covered();
      if (told.has_all(covered)) {
        out_.superseded.push_back(one.name);
        continue;
      }
      if (told.meets(covered)) {
        for (const auto& object : one.summary.objects) {
          one.only.push_back(!told.has(object.name.incarnation, object.name.sequence));
        }
      }
      told.add(covered);
      out_.summaries.push_back(std::move(one));
    }
  }

  void drop_replaced() {
    std::erase_if(out_.footers, [&](const ReadFooter& one) {
      return out_.replaced.has(one.object.name.incarnation, one.object.name.sequence);
    });
    // An object that was replaced and is damaged, or half gone, is nobody's loss.
    std::erase_if(out_.damaged, [&](const DamagedObject& one) {
      auto name = parse_logbook_name(one.object);
      return name && out_.replaced.has(name->incarnation, name->sequence);
    });
  }

  const Vault& vault_;
  const std::set<std::string>& ignored_;
  Survey out_;
  std::vector<UsedSummary> summaries_;
  std::vector<FoundObject> found_;
  ObjectSet read_;                      // whose footers were read
  std::vector<DamagedObject> missing_;  // numbers that are jumped over…
  std::vector<DamagedObject> lost_;     // …and what a summary tells of
};

}  // namespace

Survey survey(const Vault& vault, const std::set<std::string>& ignored) {
  // What is missing may have been merged into an object that came after it was listed.
  for (int left = 3;; --left) {
    auto found = Surveyor(vault, ignored).run();
    bool missing = std::any_of(found.damaged.begin(), found.damaged.end(),
                               [](const auto& one) { return one.error.code() == Code::not_found; });
    if (!missing || left == 0) return found;
  }
}

void for_each_extent(const Vault& vault, const UsedSummary& used, const WantLog& wanted,
                     const VisitExtent& visit) {
  const auto& summary = used.summary;
  for (const auto& log : summary.logs) {
    if (log.extents == 0 || !wanted(log.log, log.ranges)) continue;
    auto bytes = vault.store().get_range(used.name, log.offset, log.stored);
    if (!bytes) return;  // superseded meanwhile
    try {
      for (const auto& one :
           open_summarized(vault.sealing(), used.name, summary, log, std::move(*bytes))) {
        if (!used.only.empty() && !used.only[one.object]) continue;
        visit(summary.objects[one.object], log.log, one.stored);
      }
    } catch (const Error& error) {
      if (error.code() != Code::corrupt) throw;
      return;  // whoever reads the logbook tells of it
    }
  }
}

void for_each_extent(const std::vector<ReadFooter>& footers, const WantLog& wanted,
                     const VisitExtent& visit) {
  for (const auto& one : footers) {
    for (const auto& stored : one.footer.extents) {
      const auto& extent = stored.extent;
      if (wanted(extent.log, {{extent.base, extent.next}})) visit(one.object, extent.log, stored);
    }
  }
}

void for_each_extent(const Vault& vault, const Survey& found, const WantLog& wanted,
                     const VisitExtent& visit) {
  for (const auto& one : found.summaries) for_each_extent(vault, one, wanted, visit);
  for_each_extent(found.footers, wanted, visit);
}

std::vector<FoundObject> list_logbook(const Vault& vault, std::vector<DamagedObject>& damaged) {
  std::vector<FoundObject> found;
  vault.store().list("logbook/", [&](const store::ObjectInfo& info) {
    if (auto name = parse_logbook_name(info.name)) {
      found.push_back({std::move(*name), info.size});
    } else {
      damaged.push_back({info.name, Error(Code::corrupt, "logbook " + info.name,
                                          "is not a name that an object of the logbook has",
                                          "move it out of the vault")});
    }
  });
  return found;
}

std::vector<FooterOrDamage> read_footers(const Vault& vault,
                                         const std::vector<FoundObject>& objects) {
  std::vector<FooterOrDamage> out(objects.size());
  for_each_index(objects.size(), vault.store().calls_at_once(), [&](std::size_t i) {
    try {
      out[i].footer = read_footer(vault, logbook_name(objects[i].name), objects[i].size);
    } catch (const Error& error) {
      if (error.code() != Code::corrupt && error.code() != Code::not_found) throw;
      out[i].damage = error;
    }
  });
  return out;
}

}  // namespace lifeboat::vault
