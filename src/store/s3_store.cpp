#include "store/s3_store.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/random.hpp"
#include "store/s3_answers.hpp"

namespace lifeboat::store {
namespace {

constexpr std::uint64_t kPart = kS3Part.value;
constexpr std::uint64_t kMaxObject = 1ull << 30;
constexpr int kReads = 5;  // of an object that is replaced while it is read
constexpr const char* kMarkHeader = "x-amz-meta-lifeboat-write";

bool is_absent(const S3Response& response) {
  return response.status == 404 && xml_text(response.body, "Code") != "NoSuchBucket";
}

std::string byte_range(std::uint64_t from, std::uint64_t length) {
  return "bytes=" + std::to_string(from) + "-" + std::to_string(from + length - 1);
}

std::uint64_t size_of(const std::vector<std::string_view>& parts) {
  std::uint64_t size = 0;
  for (auto part : parts) size += part.size();
  return size;
}

// Makes [from, from + length) of the parts put together the request's body: in place where it lies
// within one of them.
void set_body(S3Request& request, const std::vector<std::string_view>& parts, std::uint64_t from,
              std::uint64_t length) {
  auto copy = std::make_shared<std::string>();
  for (auto part : parts) {
    if (from >= part.size()) {
      from -= part.size();
      continue;
    }
    if (copy->empty() && part.size() - from >= length) {
      request.body = part.substr(from, length);
      return;
    }
    copy->reserve(length);
    *copy += part.substr(from, length - copy->size());
    from = 0;
    if (copy->size() == length) break;
  }
  request.body = *copy;
  request.own = std::move(copy);
}

void expect_size(const S3Response& response, std::uint64_t wanted, const std::string& subject) {
  if (response.body.size() == wanted) return;
  throw Error(Code::unavailable, subject,
              "cannot read: " + std::to_string(response.body.size()) + " bytes came instead of " +
                  std::to_string(wanted),
              "try again; when it stays so, look at the server");
}

}  // namespace

struct S3Store::Write {
  std::string name;
  std::vector<std::string_view> parts;
  std::uint64_t size = 0;
  S3Fields condition;  // none, If-None-Match or If-Match
  S3Fields lock;       // empty: it is not locked
  std::string mark;
};

struct S3Store::Upload {
  S3Store& store;
  std::string name;
  std::string id;
  bool completed = false;
  std::vector<std::string> etags;

  bool locks = false;

  Upload(S3Store& its, std::string of, const std::string& mark, const S3Fields& lock = {})
      : store(its), name(std::move(of)), locks(!lock.empty()) {
    auto r = its.request("CreateMultipartUpload", "POST", name);
    r.query = {{"uploads", ""}};
    r.headers = lock;
    r.headers.emplace_back(kMarkHeader, mark);
    auto response = its.client_.send(std::move(r));
    id = xml_text(response.body, "UploadId");
    if (!response.ok() || id.empty()) {
      throw s3_error(response, its.subject(name), "cannot begin to write in parts");
    }
  }
  ~Upload() {
    if (completed) return;
    try {
      auto r = store.request("AbortMultipartUpload", "DELETE", name);
      r.query = {{"uploadId", id}};
      store.client_.send(std::move(r));
    } catch (const std::exception& error) {
      spdlog::debug("s3: an upload of {} stays behind: {}", name, error.what());
    }
  }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  void send(const std::vector<std::string_view>& parts, std::uint64_t size) {
    etags.resize(std::max<std::uint64_t>(1, (size + kPart - 1) / kPart));
    store.client_.send_all(
        etags.size(),
        [&](std::size_t i) {
          auto r = store.request("UploadPart", "PUT", name);
          r.query = {{"partNumber", std::to_string(i + 1)}, {"uploadId", id}};
          r.with_md5 = locks;
          set_body(r, parts, i * kPart, std::min(kPart, size - i * kPart));
          return r;
        },
        [&](std::size_t i, const S3Response& response) {
          if (!response.ok()) throw s3_error(response, store.subject(name), "cannot write a part");
          etags[i] = plain_etag(response.header("etag"));
        });
  }
  S3Response complete(const S3Fields& condition) {
    const auto document = complete_document(etags);
    auto r = store.request("CompleteMultipartUpload", "POST", name);
    r.query = {{"uploadId", id}};
    r.headers = condition;
    r.headers.emplace_back("Content-Type", "application/xml");
    r.body = document;
    auto response = store.client_.send(std::move(r));
    // The answer may begin before its outcome is known, and be cut off then.
    if (response.ok() && xml_text(response.body, "ETag").empty()) {
      response.failure = "an answer that began with 200 does not say that it is done";
    }
    completed = response.ok();
    return response;
  }
};

S3Store::S3Store(const S3Location& place, LockRule locks, Clock& clock)
    : prefix_(place.prefix.empty() ? "" : place.prefix + "/"),
      described_(Location(place).shown() + (place.endpoint.empty() ? "" : " at " + place.endpoint) +
                 (place.as_of ? " as of " + to_string(*place.as_of) : "")),
      lock_(place.lock),
      locks_(std::move(locks)),
      clock_(clock),
      client_(place),
      past_(place.as_of ? std::make_unique<S3Past>(client_, *place.as_of, described_) : nullptr),
      writer_(Random().hex(16)) {
  auto r = request("ListObjectsV2", "GET", "");
  r.key.clear();
  r.query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", prefix_}};
  auto response = client_.send(std::move(r));
  if (!response.ok()) throw s3_error(response, described_, "cannot look into it");
}

std::string S3Store::subject(const std::string& name) const {
  return "object " + name + " in " + described_;
}

S3Request S3Store::request(std::string operation, std::string method,
                           const std::string& name) const {
  S3Request r;
  r.operation = std::move(operation);
  r.method = std::move(method);
  r.key = prefix_ + name;
  return r;
}

std::optional<std::string> S3Store::get(const std::string& name) {
  return get_range(name, ByteCount(0), ByteCount(kMaxObject + 1));
}

std::optional<std::string> S3Store::get_range(const std::string& name, ByteCount offset,
                                              ByteCount length) {
  check_name(name);
  const auto from = offset.value;
  if (length.value == 0 || from > kMaxObject) {
    return stat(name) ? std::optional<std::string>("") : std::nullopt;
  }
  const auto wanted = std::min(length.value, kMaxObject + 1);
  for (int tries = 0; tries < kReads; ++tries) {
    auto first = get_part(name, from, std::min(wanted, kPart));
    if (!first) return std::nullopt;
    if (first->status == 416) return "";  // begins behind the end
    const auto total = whole_size(*first, subject(name)).value;
    if (total > kMaxObject) {
      throw Error(Code::corrupt, subject(name),
                  "has " + std::to_string(total) + " bytes: no object is that large");
    }
    if (first->status == 200) {  // a server that gives the whole (of an empty object, some do)
      expect_size(*first, total, subject(name));
      return from >= total ? "" : first->body.substr(from, wanted);
    }
    const auto end = std::min(total, from + wanted);
    expect_size(*first, std::min(end - from, kPart), subject(name));
    if (end - from <= kPart) return std::move(first->body);
    if (auto all = get_rest(name, std::move(*first), from, end - from)) return all;
  }
  throw Error(Code::unavailable, subject(name), "cannot read: it is replaced again and again");
}

std::optional<S3Response> S3Store::get_part(const std::string& name, std::uint64_t from,
                                            std::uint64_t length) {
  auto r = part_request(name, from, length, "");
  if (!set_version(r)) return std::nullopt;
  auto response = client_.send(std::move(r));
  if (is_absent(response)) return std::nullopt;
  if (!response.ok() && response.status != 416) {
    throw s3_error(response, subject(name), "cannot read");
  }
  return response;
}

S3Request S3Store::part_request(const std::string& name, std::uint64_t from, std::uint64_t length,
                                const std::string& only_etag) const {
  auto r = request("GetObject", "GET", name);
  r.headers = {{"Range", byte_range(from, length)}};
  r.most = ByteCount(length);
  if (!only_etag.empty()) r.headers.emplace_back("If-Match", only_etag);
  return r;
}

// nullopt: it was replaced or removed meanwhile.
std::optional<std::string> S3Store::get_rest(const std::string& name, S3Response first,
                                             std::uint64_t from, std::uint64_t length) {
  std::string out(length, '\0');
  first.body.copy(out.data(), kPart);
  const auto etag = first.header("etag");
  bool changed = false;
  auto length_of = [&](std::size_t i) { return std::min(kPart, length - (i + 1) * kPart); };
  client_.send_all((length - 1) / kPart,
                   [&](std::size_t i) {
                     auto r = part_request(name, from + (i + 1) * kPart, length_of(i), etag);
                     changed = !set_version(r) || changed;
                     return r;
                   },
                   [&](std::size_t i, const S3Response& response) {
                     changed = changed || response.status == 412 || is_absent(response);
                     if (changed) return;
                     if (!response.ok()) throw s3_error(response, subject(name), "cannot read");
                     expect_size(response, length_of(i), subject(name));
                     response.body.copy(out.data() + (i + 1) * kPart, response.body.size());
                   });
  if (changed) return std::nullopt;
  return out;
}

void S3Store::refuse_in_the_past(const std::string& name) const {
  if (!past_) return;
  throw Error(Code::refused, subject(name), "cannot be changed: the vault is read as it was",
              "take `as_of` out of lifeboat.yaml to write");
}

bool S3Store::set_version(S3Request& request) {
  if (!past_) return true;
  auto version = past_->version_of(request.key);
  if (version) request.query.emplace_back("versionId", *version);
  return version.has_value();
}

S3Store::Write S3Store::new_write(const std::string& name, std::vector<std::string_view> parts,
                                  std::optional<store::Write> how) {
  check_name(name);
  refuse_in_the_past(name);
  const auto size = size_of(parts);
  if (size > kMaxObject) {
    throw Error(Code::failed, subject(name), std::to_string(size) + " bytes are too large");
  }
  S3Fields lock;
  const auto locked_for = how && lock_ && locks_ ? locks_(name, *how) : Millis(0);
  if (locked_for > Millis(0)) {
    lock = {{"x-amz-object-lock-mode", lock_mode(lock_->mode)},
            {"x-amz-object-lock-retain-until-date", lock_date(clock_.now() + locked_for.count())}};
  }
  return {name, std::move(parts), size,
          {},   std::move(lock),  writer_ + "-" + std::to_string(++writes_)};
}

void S3Store::put(const std::string& name, std::string_view bytes) {
  auto write = new_write(name, {bytes});
  write.size > 2 * kPart ? put_in_parts(write) : put_whole(write);
}

PutResult S3Store::put_parts_if_absent(const std::string& name,
                                       const std::vector<std::string_view>& parts) {
  auto write = new_write(name, parts, store::Write::create);
  write.condition = {{"If-None-Match", "*"}};
  const bool large = write.size > 2 * kPart;
  return large && heeds_condition_at_completion() ? put_in_parts(write) : put_whole(write);
}

PutResult S3Store::put_if_unchanged(const std::string& name, std::string_view bytes,
                                    const std::string& seen_version) {
  auto write = new_write(name, {bytes}, store::Write::replace);
  write.condition = {{"If-Match", "\"" + seen_version + "\""}};
  return put_whole(write);
}

PutResult S3Store::put_whole(const Write& write) {
  auto r = request("PutObject", "PUT", write.name);
  r.headers = write.condition;
  r.headers.insert(r.headers.end(), write.lock.begin(), write.lock.end());
  r.headers.emplace_back(kMarkHeader, write.mark);
  r.with_md5 = !write.lock.empty();
  set_body(r, write.parts, 0, write.size);
  return judge(write, client_.send(std::move(r)));
}

PutResult S3Store::put_in_parts(const Write& write) {
  Upload upload(*this, write.name, write.mark, write.lock);
  upload.send(write.parts, write.size);
  return judge(write, upload.complete(write.condition));
}

PutResult S3Store::judge(const Write& write, const S3Response& response) {
  if (response.ok()) return PutResult::written;
  // 404: the object that was to be replaced is gone, or the upload was completed by a request whose
  // answer was lost.
  if (response.status != 412 && !is_absent(response)) {
    throw s3_error(response, subject(write.name), "cannot write");
  }
  if (is_ours(write)) return PutResult::written;
  if (write.condition.empty()) throw s3_error(response, subject(write.name), "cannot write");
  return write.condition.front().first == "If-Match" ? PutResult::changed : PutResult::exists;
}

bool S3Store::is_ours(const Write& write) {
  auto response = client_.send(request("HeadObject", "HEAD", write.name));
  if (is_absent(response)) return false;
  if (!response.ok()) {
    throw s3_error(response, subject(write.name), "cannot look who has written it");
  }
  return response.header(kMarkHeader) == write.mark;
}

bool S3Store::heeds_condition_at_completion() {
  std::lock_guard lock(mutex_);
  if (completion_heeds_) return *completion_heeds_;
  const std::string name = ".probe-" + writer_;  // no name that a store takes: nobody sees it
  auto put = request("PutObject", "PUT", name);
  put.body = "there";
  if (auto response = client_.send(std::move(put)); !response.ok()) {
    throw s3_error(response, subject(name), "cannot write");
  }
  Upload upload(*this, name, "probe");
  upload.send({"not to be there"}, 15);
  const auto response = upload.complete({{"If-None-Match", "*"}});
  completion_heeds_ = response.status == 412;
  spdlog::debug("s3: {} {} a condition on CompleteMultipartUpload", described_,
                *completion_heeds_ ? "heeds" : "does not heed");
  client_.send(request("DeleteObject", "DELETE", name));
  return *completion_heeds_;
}

void S3Store::list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& visit) {
  std::vector<ObjectInfo> found;
  std::string token;
  do {
    auto listing = past_ ? S3Listing{past_->list(prefix_ + prefix), ""} : page(prefix, token);
    for (auto& info : listing.objects) {
      if (!info.name.starts_with(prefix_ + prefix)) continue;
      info.name.erase(0, prefix_.size());
      if (valid_name(info.name)) found.push_back(std::move(info));
    }
    token = listing.next;
  } while (!token.empty());
  auto by_name = [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; };
  if (!std::is_sorted(found.begin(), found.end(), by_name)) {
    std::sort(found.begin(), found.end(), by_name);
  }
  for (const auto& info : found) visit(info);
}

S3Listing S3Store::page(const std::string& prefix, const std::string& token) {
  auto r = request("ListObjectsV2", "GET", "");
  r.key.clear();
  r.query = {{"encoding-type", "url"}, {"list-type", "2"}, {"prefix", prefix_ + prefix}};
  if (!token.empty()) r.query.insert(r.query.begin(), {"continuation-token", token});
  auto response = client_.send(std::move(r));
  if (!response.ok()) throw s3_error(response, described_, "cannot list " + prefix);
  return parse_listing(response.body, described_);
}

bool S3Store::remove(const std::string& name) {
  refuse_in_the_past(name);
  if (!stat(name)) return false;
  auto response = client_.send(request("DeleteObject", "DELETE", name));
  if (!response.ok() && !is_absent(response)) {
    throw s3_error(response, subject(name), "cannot remove");
  }
  return true;
}

std::optional<S3Response> S3Store::head(const std::string& name) {
  check_name(name);
  auto r = request("HeadObject", "HEAD", name);
  if (!set_version(r)) return std::nullopt;
  auto response = client_.send(std::move(r));
  if (is_absent(response)) return std::nullopt;
  if (!response.ok()) throw s3_error(response, subject(name), "cannot look at it");
  return response;
}

std::optional<ObjectInfo> S3Store::stat(const std::string& name) {
  const auto response = head(name);
  if (!response) return std::nullopt;
  return ObjectInfo{name, whole_size(*response, subject(name)),
                    plain_etag(response->header("etag"))};
}

std::optional<Timestamp> S3Store::locked_until(const std::string& name) {
  const auto response = head(name);
  if (!response) return std::nullopt;
  const auto until = parse_timestamp(response->header("x-amz-object-lock-retain-until-date"));
  return until && *until > clock_.now() ? until : std::nullopt;
}

// Of the version that was looked at: another one that is put meanwhile is not ours to lock.
bool S3Store::lock_until(const std::string& name, Timestamp until) {
  if (!lock_) return ObjectStore::lock_until(name, until);
  refuse_in_the_past(name);
  const auto seen = head(name);
  if (!seen) return false;
  const auto before = parse_timestamp(seen->header("x-amz-object-lock-retain-until-date"));
  if (before && *before >= until) return true;
  const auto document = retention_document(lock_->mode, until);
  auto r = request("PutObjectRetention", "PUT", name);
  r.query = {{"retention", ""}};
  if (auto id = seen->header("x-amz-version-id"); !id.empty()) {
    r.query.emplace_back("versionId", id);
  }
  r.body = document;
  r.with_md5 = true;
  auto response = client_.send(std::move(r));
  if (is_absent(response)) return false;
  if (!response.ok()) throw s3_error(response, subject(name), "cannot lock it");
  return true;
}

}  // namespace lifeboat::store
