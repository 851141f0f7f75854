#include "clickhouse/snapshot.hpp"
#include "fuzz/targets.hpp"

// The list of files in a BACKUP of ClickHouse: whole or in pieces, the same files come out, and
// none of them lies outside.
namespace lifeboat::fuzz {
namespace {

std::string read(std::string_view bytes, std::size_t piece) {
  std::string out;
  const auto give = [&] {
    const std::string part(bytes.substr(0, piece));
    bytes.remove_prefix(part.size());
    return part;
  };
  try {
    clickhouse::parse_backup_xml(give, "a backup", [&](const clickhouse::BackupFile& file) {
      for (const auto& name : {file.name, file.data_file}) {
        if (name.empty() || name.front() == '/' ||
            ("/" + name + "/").find("/../") != std::string::npos) {
          broken("a file outside of its folder");
        }
      }
      out += file.name + ' ' + file.data_file + ' ' + file.checksum + ' ' +
             std::to_string(file.size.value) + '\n';
    });
    return out + "whole";
  } catch (const Error&) {
    return out + "refused";
  }
}

}  // namespace

void backup_lists(std::string_view bytes) {
  const auto whole = read(bytes, bytes.size());
  if (read(bytes, 1 + bytes.size() % 97) != whole) broken("other files, in pieces");
  if (whole.ends_with("refused")) throw Error(Code::corrupt, "a backup", "is refused");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(backup_lists)
