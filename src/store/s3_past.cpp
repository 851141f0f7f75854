#include "store/s3_past.hpp"

#include <map>

#include "store/s3_answers.hpp"

namespace lifeboat::store {
namespace {

// Of each key's versions, in whichever order the server tells them, the newest up to a moment. Of
// two of the same second the one that is told first: servers tell the newest first.
class Newest {
 public:
  explicit Newest(Timestamp at) : at_(at) {}

  void add(std::vector<S3Version> versions) {
    for (auto& one : versions) {
      if (one.modified > at_) continue;
      auto [known, is_new] = best_.try_emplace(one.info.name, one);
      if (!is_new && one.modified > known->second.modified) known->second = std::move(one);
    }
  }
  // By key; also those that were removed then.
  const std::map<std::string, S3Version>& all() const { return best_; }

 private:
  Timestamp at_;
  std::map<std::string, S3Version> best_;
};

S3Versions versions_page(S3Client& client, const std::string& prefix, const S3Versions& before,
                         const std::string& described) {
  S3Request r;
  r.operation = "ListObjectVersions";
  r.method = "GET";
  r.query = {{"encoding-type", "url"}};
  if (!before.next_key.empty()) r.query.emplace_back("key-marker", before.next_key);
  r.query.emplace_back("prefix", prefix);
  if (!before.next_version.empty()) {
    r.query.emplace_back("version-id-marker", before.next_version);
  }
  r.query.emplace_back("versions", "");
  auto response = client.send(std::move(r));
  if (!response.ok()) throw s3_error(response, described, "cannot list the versions");
  return parse_versions(response.body, described);
}

}  // namespace

std::optional<std::string> S3Past::version_of(const std::string& key) {
  {
    std::lock_guard lock(mutex_);
    if (auto known = versions_.find(key); known != versions_.end()) return known->second;
  }
  Newest newest(at_);
  S3Versions page;
  do {  // the key itself comes before all others that begin with it
    page = versions_page(client_, key, page, described_);
    newest.add(std::move(page.versions));
  } while (page.next_key == key);
  const auto found = newest.all().find(key);
  if (found == newest.all().end() || found->second.is_marker) return std::nullopt;
  std::lock_guard lock(mutex_);
  return versions_[key] = found->second.id;
}

std::vector<ObjectInfo> S3Past::list(const std::string& prefix) {
  Newest newest(at_);
  S3Versions page;
  do {
    page = versions_page(client_, prefix, page, described_);
    newest.add(std::move(page.versions));
  } while (!page.next_key.empty());
  std::vector<ObjectInfo> out;
  std::lock_guard lock(mutex_);
  for (const auto& [key, version] : newest.all()) {
    if (version.is_marker) continue;
    versions_[key] = version.id;
    out.push_back(version.info);
  }
  return out;
}

}  // namespace lifeboat::store
