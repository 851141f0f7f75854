#include "recovery/files_to_snapshot.hpp"

#include <spdlog/spdlog.h>

#include <ranges>

#include "base/error.hpp"
#include "postgres/relative_path.hpp"
#include "vault/points.hpp"

namespace lifeboat::recovery {
namespace {

std::uint32_t permissions(int mode) {
  return static_cast<std::uint32_t>(mode & 07777);
}

}  // namespace

void FilesToSnapshot::begin_directory(const std::string& path, int mode) {
  writer_.add_directory(path, permissions(mode));
}

void FilesToSnapshot::symlink(const std::string& path, const std::string& target) {
  writer_.add_symlink(path, target);
}

bool FilesToSnapshot::known(const postgres::FileFacts& file) {
  stamp_.reset();
  if (!file.settled) return false;
  stamp_ = {file.inode, file.changed};
  if (!earlier_) return false;
  try {
    if (!unchanged(file, *stamp_)) return false;
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    spdlog::warn("all files are read: of the earlier snapshot, {}", error.what());
    earlier_.reset();
    return false;
  }
  unread_ = unread_ + file.size.value;
  return true;
}

bool FilesToSnapshot::unchanged(const postgres::FileFacts& file, const vault::FileStamp& stamp) {
  const auto* entry = earlier_->find(file.path);
  if (entry == nullptr || entry->type != vault::Entry::Type::file || entry->stamp != stamp ||
      entry->size != file.size) {
    return false;
  }
  auto now = *entry;
  now.mode = permissions(file.mode);
  now.mtime = file.mtime;
  return writer_.add_known_file(now);
}

void FilesToSnapshot::begin_file(const std::string& path, ByteCount /*size*/, int mode,
                                 Timestamp mtime) {
  const auto cut = postgres::is_relation(path) ? vault::Cut::aligned : vault::Cut::by_content;
  writer_.begin_file(path, permissions(mode), mtime, cut, std::exchange(stamp_, std::nullopt));
}

void FilesToSnapshot::begin_stream(const std::string& path, int mode) {
  writer_.begin_file(path, permissions(mode), clock_.now());
}

void FilesToSnapshot::data(std::string_view piece) {
  writer_.data(piece);
}

void FilesToSnapshot::end_file() {
  writer_.end_file();
}

std::unique_ptr<vault::EarlierSnapshot> find_earlier(vault::Chunks& chunks,
                                                     const std::string& store,
                                                     const nlohmann::json& read_from) {
  try {
    const auto points = vault::list_points(chunks.vault());
    for (const auto& listed : std::views::reverse(points)) {
      if (!listed.point || !listed.point->stores.contains(store)) continue;
      const auto& document = listed.point->stores.at(store);
      if (!document.is_object() || document.value("read_from", nlohmann::json()) != read_from)
        continue;
      const auto id = vault::SnapshotId::parse(document.value("snapshot", ""));
      if (!id) continue;
      return std::make_unique<vault::EarlierSnapshot>(chunks, snapshot_name(chunks.vault(), *id));
    }
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    spdlog::warn("all files are read: looking for an earlier snapshot, {}", error.what());
  }
  return nullptr;
}

}  // namespace lifeboat::recovery
