#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clickhouse/snapshot.hpp"
#include "recovery/config.hpp"

namespace lifeboat::recovery {

// Of the name of a BACKUP whose cut is bounded; else its point's id follows
// clickhouse::kBackupPrefix.
inline constexpr std::string_view kBoundedSuffix = "-bounded";

// nullopt: ClickHouse's backup disk can't be seen here.
std::optional<clickhouse::BackupPlace> visible_backups(const Config& config);

// ClickHouse's finished BACKUPs that are named for this point, of which it is known that it was
// never published: no point names them. Those of other vaults on the same disk have other points'
// names.
std::vector<std::string> unpublished_backups(const Config& config, const std::string& point);
void remove_unpublished_backups(const Config& config, const std::string& point);

}  // namespace lifeboat::recovery
