#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "store/object_store.hpp"
#include "vault/logbook.hpp"
#include "vault/summary_format.hpp"

// Which objects the logbook consists of: what is there, what was replaced, what summaries tell.
namespace lifeboat::vault {

// A summary object that is used.
struct UsedSummary {
  std::string name;
  Summary summary;
  // Which of its objects it speaks for: those that were not replaced and that no newer summary
  // covers. Empty: all of them.
  std::vector<bool> only;
};

struct ReadFooter {
  ObjectEntry object;
  Footer footer;
};

struct Survey {
  ObjectSet present;
  ObjectSet replaced;                   // by objects that are present
  std::vector<UsedSummary> summaries;   // newest first; together with the footers: every object…
  std::vector<ReadFooter> footers;      // …that is present and was not replaced, once
  std::vector<std::string> superseded;  // summary objects that tell nothing new
  std::vector<DamagedObject> damaged;   // what is missing or cannot be read
};

// Reads the summaries and the footers of the objects that none covers, several at a time. Summaries
// named in `ignored`, damaged ones and ones that name objects that are gone are not used: the
// footers of their objects are read instead. Error(unsupported) when one is of a newer format.
Survey survey(const Vault& vault, const std::set<std::string>& ignored = {});

// Each extent of the objects that the survey found and that count, once, and the object that it
// lies in: of the logs that `wanted` takes. Summaries are read log by log; of one that cannot be
// read any more, the rest is left out.
using VisitExtent = std::function<void(const ObjectEntry&, const LogName&, const StoredExtent&)>;
using WantLog = std::function<bool(const LogName&, const Ranges&)>;
void for_each_extent(const Vault& vault, const Survey& found, const WantLog& wanted,
                     const VisitExtent& visit);
// The same of one of its summaries, of its footers.
void for_each_extent(const Vault& vault, const UsedSummary& used, const WantLog& wanted,
                     const VisitExtent& visit);
void for_each_extent(const std::vector<ReadFooter>& footers, const WantLog& wanted,
                     const VisitExtent& visit);

struct FoundObject {
  LogbookObjectName name;
  ByteCount size;
};
// The objects that are present; other names below logbook/ become damage.
std::vector<FoundObject> list_logbook(const Vault& vault, std::vector<DamagedObject>& damaged);

struct FooterOrDamage {
  std::optional<Footer> footer;
  std::optional<Error> damage;
};
// Several at a time. Damage is a result; a store that fails, or a newer format, is thrown.
std::vector<FooterOrDamage> read_footers(const Vault& vault,
                                         const std::vector<FoundObject>& objects);

}  // namespace lifeboat::vault
