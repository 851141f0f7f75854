#include "store/s3_answers.hpp"

#include <aws/common/xml_parser.h>
#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <optional>

namespace lifeboat::store {
namespace {

std::string text_of(aws_byte_cursor c) {
  return {reinterpret_cast<const char*>(c.ptr), c.len};
}

std::string body_of(aws_xml_node* node) {
  aws_byte_buf text{};
  aws_byte_buf_init(&text, aws_default_allocator(), 128);
  const bool good = aws_xml_node_as_body_unescaped(aws_default_allocator(), node, &text) == 0;
  std::string out = good ? text_of(aws_byte_cursor_from_buf(&text)) : "";
  aws_byte_buf_clean_up(&text);
  return out;
}

using Visit = std::function<void(const std::string& name, aws_xml_node* node)>;

int visit_node(aws_xml_node* node, void* data) {
  (*static_cast<const Visit*>(data))(text_of(aws_xml_node_get_name(node)), node);
  return AWS_OP_SUCCESS;
}

// false: it ended before its end tag. All above it did then, so only the outermost need look.
bool each_child(aws_xml_node* node, const Visit& visit) {
  return aws_xml_node_traverse(node, visit_node, const_cast<Visit*>(&visit)) == AWS_OP_SUCCESS;
}

bool parse(const std::string& xml, const Visit& root) {
  aws_xml_parser_options options{};
  options.doc = aws_byte_cursor_from_array(xml.data(), xml.size());
  options.on_root_encountered = visit_node;
  options.user_data = const_cast<Visit*>(&root);
  return aws_xml_parse(aws_default_allocator(), &options) == AWS_OP_SUCCESS;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

ObjectInfo parse_entry(aws_xml_node* contents, const std::string& subject) {
  ObjectInfo info;
  std::optional<std::uint64_t> size;
  each_child(contents, [&](const std::string& name, aws_xml_node* node) {
    if (name == "Key") info.name = percent_decode(body_of(node));
    if (name == "Size") size = number(body_of(node));
    if (name == "ETag") info.version = plain_etag(body_of(node));
  });
  if (!size || info.name.empty()) {
    throw Error(Code::corrupt, subject, "the server's listing lacks an object's name or size");
  }
  info.size = ByteCount(*size);
  return info;
}

S3Version parse_version(aws_xml_node* node, bool is_marker, const std::string& subject) {
  S3Version out;
  out.is_marker = is_marker;
  std::optional<Timestamp> modified;
  std::optional<std::uint64_t> size;
  each_child(node, [&](const std::string& name, aws_xml_node* child) {
    if (name == "Key") out.info.name = percent_decode(body_of(child));
    if (name == "VersionId") out.id = body_of(child);
    if (name == "LastModified") modified = parse_timestamp(body_of(child));
    if (name == "Size") size = number(body_of(child));
    if (name == "ETag") out.info.version = plain_etag(body_of(child));
  });
  if (!modified || out.info.name.empty() || out.id.empty() || (!size && !is_marker)) {
    throw Error(Code::corrupt, subject,
                "the server's listing of versions lacks a name, an id, a time or a size");
  }
  out.modified = *modified;
  out.info.size = ByteCount(size.value_or(0));
  return out;
}

struct Meaning {
  const char* s3_code;  // S3's word; "" for a status without one (HEAD has no body)
  int status;           // 0: any
  Code code;
  const char* what;
  const char* hint;
};

constexpr const char* kCredentialsHint =
    "correct the access key, secret key and session token (environment, profile or the machine's "
    "role); `aws sts get-caller-identity` tells whose they are";
constexpr const char* kPermissionHint =
    "give these credentials s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload "
    "below the prefix and s3:ListBucket on the bucket; README has what object_lock, as_of and a "
    "writer that may not delete need";
constexpr const char* kLockHint =
    "make the bucket with Object Lock, or take `object_lock` out of lifeboat.yaml";
constexpr const char* kBucketHint =
    "make the bucket, or correct `vault: s3://bucket/prefix` and `s3:` in lifeboat.yaml";
constexpr const char* kClockHint = "set this machine's clock (NTP), then try again";
constexpr const char* kRegionHint =
    "write the bucket's region into lifeboat.yaml: `s3: {region: …}`";
constexpr const char* kLaterHint = "try again; when it stays so, look at the server";
constexpr const char* kReachHint =
    "look whether the endpoint in lifeboat.yaml is right, and the server and the network are up";

constexpr Meaning kMeanings[] = {
    {"NoSuchBucket", 0, Code::not_found, "the bucket does not exist", kBucketHint},
    {"InvalidAccessKeyId", 0, Code::denied, "the access key is not known there", kCredentialsHint},
    {"SignatureDoesNotMatch", 0, Code::denied, "the secret key is wrong", kCredentialsHint},
    {"ExpiredToken", 0, Code::denied, "the credentials have expired", kCredentialsHint},
    {"InvalidToken", 0, Code::denied, "the session token is wrong", kCredentialsHint},
    {"RequestTimeTooSkewed", 0, Code::denied,
     "this machine's clock and the server's differ too much", kClockHint},
    {"RequestExpired", 0, Code::denied, "this machine's clock and the server's differ too much",
     kClockHint},
    {"AuthorizationHeaderMalformed", 0, Code::config, "the bucket lies in another region",
     kRegionHint},
    {"PermanentRedirect", 0, Code::config,
     "the bucket lies in another region or at another endpoint", kRegionHint},
    {"IllegalLocationConstraintException", 0, Code::config, "the bucket lies in another region",
     kRegionHint},
    {"AccessDenied", 0, Code::denied, "these credentials may not", kPermissionHint},
    {"AllAccessDisabled", 0, Code::denied, "the bucket is closed", kPermissionHint},
    {"QuotaExceeded", 0, Code::no_space, "the bucket's quota is used up",
     "raise the quota, or prune"},
    {"XMinioStorageFull", 0, Code::no_space, "the server's disks are full", "make room there"},
    {"EntityTooLarge", 0, Code::no_space, "the server takes no object so large", ""},
    {"BadDigest", 0, Code::unavailable, "bytes were damaged on the way", kLaterHint},
    {"XAmzContentSHA256Mismatch", 0, Code::unavailable, "bytes were damaged on the way",
     kLaterHint},
    {"RequestTimeout", 0, Code::timeout, "the server waited too long for the request", kLaterHint},
    {"ObjectLockConfigurationNotFoundError", 0, Code::unsupported, "the bucket has no Object Lock",
     kLockHint},
    {"InvalidRequest", 0, Code::failed, "the server does not take such a request",
     "when `s3: {object_lock: …}` is given: only a bucket made with Object Lock takes it"},
    {"NotImplemented", 0, Code::unsupported, "the server cannot do this", ""},
    {"", 301, Code::config, "the bucket lies in another region or at another endpoint",
     kRegionHint},
    {"", 401, Code::denied, "the credentials are not accepted", kCredentialsHint},
    {"", 403, Code::denied, "these credentials may not, or are wrong", kPermissionHint},
    {"", 409, Code::unavailable, "another write of the same object is under way", kLaterHint},
    {"", 408, Code::timeout, "the server waited too long for the request", kLaterHint},
    {"", 429, Code::unavailable, "the server asks for less requests", kLaterHint},
    {"", 500, Code::unavailable, "the server failed", kLaterHint},
    {"", 501, Code::unsupported, "the server cannot do this", ""},
    {"", 502, Code::unavailable, "the server failed", kLaterHint},
    {"", 503, Code::unavailable, "the server is busy", kLaterHint},
    {"", 504, Code::unavailable, "the server failed", kLaterHint},
    {"", 507, Code::no_space, "the server's disks are full", "make room there"},
};

const Meaning* meaning_of(const std::string& s3_code, int status) {
  for (const auto& meaning : kMeanings) {
    if (*meaning.s3_code != '\0' ? s3_code == meaning.s3_code : status == meaning.status) {
      return &meaning;
    }
  }
  return nullptr;
}

// What the library says when there was no answer to go by.
Error no_answer(const S3Response& response, const std::string& subject, const std::string& doing) {
  const auto& why = response.failure;
  auto has = [&](const char* word) { return why.find(word) != std::string::npos; };
  if (response.timed_out || has("TIMEOUT") || has("TIMED_OUT")) {
    return {Code::timeout, subject, doing + ": no answer in time: " + why, kReachHint};
  }
  if (has("AUTH") && (has("CREDENTIALS") || has("PROVIDER"))) {
    return {Code::denied, subject, doing + ": there are no credentials: " + why,
            kNoCredentialsHint};
  }
  if (has("TLS")) {
    return {Code::unavailable, subject, doing + ": no secure connection: " + why,
            "give the authority that signed the endpoint's certificate: `s3: {ca: FILE}`"};
  }
  return {Code::unavailable, subject, doing + ": " + why, kReachHint};
}

// Calls `visit` for each element below the root, which must have this name. Error(corrupt) when it
// has not, and what `visit` throws; Error(unavailable) when it is cut off: what is not listed would
// be taken for gone.
void parse_entries(const std::string& xml, const std::string& wanted_root,
                   const std::string& subject, const Visit& visit) {
  bool is_one = false, is_whole = false;
  std::string problem;
  const bool parsed = parse(xml, [&](const std::string& root, aws_xml_node* node) {
    is_one = root == wanted_root;
    if (!is_one) return;
    is_whole = each_child(node, [&](const std::string& name, aws_xml_node* child) {
      if (!problem.empty()) return;
      try {  // no exception passes the library, which is written in C
        visit(name, child);
      } catch (const Error& error) {
        problem = error.message();
      }
    });
  });
  if (!is_one) throw Error(Code::corrupt, subject, "the server's answer is no listing", kReachHint);
  if (!parsed || !is_whole) {
    throw Error(Code::unavailable, subject, "the server's listing is cut off", kLaterHint);
  }
  if (!problem.empty()) throw Error(Code::corrupt, subject, problem, kReachHint);
}

// Whether there are more pages, by the two things that a page says of that.
class Truncation {
 public:
  void said(const std::string& text) {
    if (text == "true") is_truncated_ = true;
    if (text == "false") is_truncated_ = false;
  }
  // `next` tells where the next page begins; without it what follows would be taken for gone.
  void check(const std::string& next, const std::string& subject) const {
    if (is_truncated_ && (!*is_truncated_ || !next.empty())) return;
    throw Error(Code::corrupt, subject,
                is_truncated_ ? "the server's listing goes on, but does not say where"
                              : "the server's listing does not say whether it is whole",
                kReachHint);
  }

 private:
  std::optional<bool> is_truncated_;
};

}  // namespace

S3Listing parse_listing(const std::string& xml, const std::string& subject) {
  S3Listing out;
  Truncation truncation;
  parse_entries(xml, "ListBucketResult", subject, [&](const std::string& name, aws_xml_node* n) {
    if (name == "IsTruncated") truncation.said(body_of(n));
    if (name == "NextContinuationToken") out.next = body_of(n);
    if (name == "Contents") out.objects.push_back(parse_entry(n, subject));
  });
  truncation.check(out.next, subject);
  return out;
}

S3Versions parse_versions(const std::string& xml, const std::string& subject) {
  S3Versions out;
  Truncation truncation;
  parse_entries(xml, "ListVersionsResult", subject, [&](const std::string& name, aws_xml_node* n) {
    if (name == "IsTruncated") truncation.said(body_of(n));
    if (name == "NextKeyMarker") out.next_key = percent_decode(body_of(n));
    if (name == "NextVersionIdMarker") out.next_version = body_of(n);
    const bool is_marker = name == "DeleteMarker";
    if (name != "Version" && !is_marker) return;
    out.versions.push_back(parse_version(n, is_marker, subject));
  });
  truncation.check(out.next_key, subject);
  return out;
}

std::string lock_date(Timestamp time) {
  const Timestamp whole((time.value + 999) / 1000 * 1000);
  return to_string(whole).substr(0, std::string_view("2026-11-28T17:06:11").size()) + "Z";
}

std::string lock_mode(ObjectLock::Mode mode) {
  return mode == ObjectLock::Mode::compliance ? "COMPLIANCE" : "GOVERNANCE";
}

std::string retention_document(ObjectLock::Mode mode, Timestamp until) {
  return "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>" + lock_mode(mode) +
         "</Mode><RetainUntilDate>" + lock_date(until) + "</RetainUntilDate></Retention>";
}

std::string xml_text(const std::string& xml, const std::string& element) {
  std::string out;
  parse(xml, [&](const std::string& root, aws_xml_node* node) {
    if (root == element) {
      out = body_of(node);
      return;
    }
    each_child(node, [&](const std::string& name, aws_xml_node* child) {
      if (name == element && out.empty()) out = body_of(child);
    });
  });
  return out;
}

std::string complete_document(const std::vector<std::string>& etags) {
  std::string out = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < etags.size(); ++i) {
    out +=
        fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", i + 1, etags[i]);
  }
  return out + "</CompleteMultipartUpload>";
}

std::string plain_etag(std::string_view etag) {
  if (etag.starts_with('"')) etag.remove_prefix(1);
  if (etag.ends_with('"')) etag.remove_suffix(1);
  return std::string(etag);
}

ByteCount whole_size(const S3Response& response, const std::string& subject) {
  const auto range = response.header("content-range");
  const auto text = range.empty() ? response.header("content-length")
                                  : range.substr(std::min(range.find('/'), range.size() - 1) + 1);
  const auto size = number(text);
  if (!size) throw Error(Code::corrupt, subject, "the server does not say how large it is");
  return ByteCount(*size);
}

Error s3_error(const S3Response& response, const std::string& subject, const std::string& doing) {
  const auto s3_code = xml_text(response.body, "Code");
  if (s3_code.empty() && !response.failure.empty()) return no_answer(response, subject, doing);
  auto said = fmt::format("S3 says {}", response.status);
  if (!s3_code.empty()) said += " " + s3_code;
  if (auto message = xml_text(response.body, "Message"); !message.empty()) said += ", " + message;
  const auto* meaning = meaning_of(s3_code, response.status);
  if (meaning == nullptr) return {Code::failed, subject, doing + " (" + said + ")", kLaterHint};
  std::string hint = meaning->hint;
  if (auto region = response.header("x-amz-bucket-region");
      meaning->code == Code::config && !region.empty()) {
    hint = "write `s3: {region: " + region + "}` into lifeboat.yaml";
  }
  return {meaning->code, subject, fmt::format("{}: {} ({})", doing, meaning->what, said), hint};
}

}  // namespace lifeboat::store
