#include "recovery/unpublished_backups.hpp"

#include <algorithm>

namespace lifeboat::recovery {

std::optional<clickhouse::BackupPlace> visible_backups(const Config& config) {
  if (!config.clickhouse) return std::nullopt;
  std::error_code error;
  const auto& path = config.clickhouse->backup_path;
  if (!std::filesystem::is_directory(path, error)) return std::nullopt;
  return clickhouse::BackupPlace{config.clickhouse->backup_disk, path};
}

std::vector<std::string> unpublished_backups(const Config& config, const std::string& point) {
  const auto place = visible_backups(config);
  if (!place) return {};
  auto names = clickhouse::finished_backups(*place);
  const auto exact = std::string(clickhouse::kBackupPrefix) + point;
  const auto bounded = exact + std::string(kBoundedSuffix);
  std::erase_if(names, [&](const auto& name) { return name != exact && name != bounded; });
  return names;
}

void remove_unpublished_backups(const Config& config, const std::string& point) {
  for (const auto& name : unpublished_backups(config, point)) {
    clickhouse::remove_backup(*visible_backups(config), name);
  }
}

}  // namespace lifeboat::recovery
