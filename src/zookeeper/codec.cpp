#include <openssl/evp.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "zookeeper/tree.hpp"

namespace lifeboat::zookeeper {

namespace {

using nlohmann::json;

// A node of the largest size in base64, and room for its path and ACL.
constexpr std::size_t max_line_bytes = max_node_bytes / 3 * 4 + (1u << 20);
constexpr std::size_t max_acl_entries = 10'000;

std::string to_base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock adds a NUL
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

// Strict: what to_base64() would not write is not taken.
std::string from_base64(const std::string& text, const std::string& subject) {
  std::string bytes(text.size() / 4 * 3 + 1, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  if (length >= 0 && static_cast<std::size_t>(length) >= padding) {
    bytes.resize(static_cast<std::size_t>(length) - padding);
    if (to_base64(bytes) == text) return bytes;
  }
  throw Error(Code::corrupt, subject, "its data is not base64");
}

std::vector<Acl> decode_acl(const json& list, const std::string& subject) {
  if (!list.is_array() || list.empty() || list.size() > max_acl_entries) {
    throw Error(Code::corrupt, subject, "its ACL is not a list, is empty or too long");
  }
  std::vector<Acl> acl;
  for (const json& entry : list) {
    acl.push_back(Acl{entry.at("scheme").get<std::string>(), entry.at("id").get<std::string>(),
                      entry.at("perms").get<std::int32_t>()});
    const Acl& last = acl.back();
    if (last.scheme.empty() || last.scheme.find('\0') != std::string::npos ||
        last.id.find('\0') != std::string::npos || last.perms < 0 || last.perms > 31) {
      throw Error(Code::corrupt, subject, "its ACL is not one that ZooKeeper knows");
    }
  }
  return acl;
}

Znode decode_fields(const json& fields) {
  Znode node;
  node.path = fields.at("path").get<std::string>();
  check_path(node.path);
  const std::string subject = "znode " + node.path;
  node.data = from_base64(fields.at("data").get_ref<const std::string&>(), subject);
  if (node.data.size() > max_node_bytes) throw Error(Code::corrupt, subject, "is too large");
  node.acl = decode_acl(fields.at("acl"), subject);
  node.created = Zxid(fields.at("czxid").get<std::int64_t>());
  node.modified = Zxid(fields.at("mzxid").get<std::int64_t>());
  node.version = fields.at("version").get<std::int32_t>();
  return node;
}

}  // namespace

void check_path(std::string_view path) {
  // The subject must print: hostile bytes are not repeated.
  auto refuse = [](const char* why) { throw Error(Code::corrupt, "znode path", why); };
  if (path.empty() || path.front() != '/') refuse("does not begin with '/'");
  if (path.size() > (1u << 20)) refuse("is longer than 1 MiB");
  for (const unsigned char c : path) {
    if (c < 0x20 || c == 0x7f) refuse("holds a control character");
  }
  if (path == "/") return;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    if (name.empty() || name == "." || name == "..") refuse("holds an empty name, '.' or '..'");
    at = end + 1;
  }
}

std::string encode(const Znode& node) {
  json acl = json::array();
  for (const Acl& entry : node.acl) {
    acl.push_back({{"scheme", entry.scheme}, {"id", entry.id}, {"perms", entry.perms}});
  }
  const json fields = {
      {"path", node.path},           {"data", to_base64(node.data)}, {"acl", std::move(acl)},
      {"czxid", node.created.value}, {"mzxid", node.modified.value}, {"version", node.version}};
  try {
    return fields.dump() + "\n";
  } catch (const json::exception&) {
    throw Error(Code::unsupported, "znode", "its path or ACL is not UTF-8");
  }
}

Znode decode(std::string_view line) {
  if (line.size() > max_line_bytes) throw Error(Code::corrupt, "znode", "its line is too long");
  try {
    return decode_fields(json::parse(line));
  } catch (const json::exception& error) {
    throw Error(Code::corrupt, "znode", std::string("its line is not one: ") + error.what());
  }
}

void TreeDecoder::feed(std::string_view bytes) {
  bytes_.erase(0, at_);
  searched_ -= at_;
  at_ = 0;
  bytes_ += bytes;
}

std::optional<Znode> TreeDecoder::next() {
  const std::size_t end = bytes_.find('\n', searched_);
  if (end == std::string::npos) {
    searched_ = bytes_.size();
    if (searched_ - at_ > max_line_bytes) {
      throw Error(Code::corrupt, "znode tree", "a line is too long");
    }
    return std::nullopt;
  }
  Znode node = decode(std::string_view(bytes_).substr(at_, end - at_));
  at_ = searched_ = end + 1;
  return node;
}

void TreeDecoder::finish() const {
  if (at_ != bytes_.size()) throw Error(Code::corrupt, "znode tree", "ends within a line");
}

}  // namespace lifeboat::zookeeper
