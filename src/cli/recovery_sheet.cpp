#include "cli/recovery_sheet.hpp"

#include "base/error.hpp"
#include "base/file.hpp"
#include "cli/output.hpp"
#include "recovery/vault_key.hpp"

namespace lifeboat::cli {
namespace {

std::string sheet_of(const vault::Vault& vault, const recovery::Config& config) {
  if (!vault.encrypted()) {
    throw Error(Code::refused, config.vault.shown(), "is a plain vault: it has no key",
                "nothing is needed to read it but its files");
  }
  return recovery::recovery_sheet(vault, config.vault.shown());
}

}  // namespace

void print_recovery_sheet(const vault::Vault& vault, const recovery::Config& config, bool json) {
  auto sheet = sheet_of(vault, config);
  if (json) {
    print_document({{"vault", vault.id()}, {"sheet", sheet}});
  } else {
    print_data(sheet);
  }
  vault::wipe(sheet);
}

void write_recovery_sheet(const vault::Vault& vault, const recovery::Config& config,
                          const std::filesystem::path& file) {
  auto sheet = sheet_of(vault, config);
  if (std::filesystem::exists(file)) {
    throw Error(Code::refused, file.string(), "exists already", "give another name");
  }
  write_file_durably(file, sheet, 0600);
  vault::wipe(sheet);
}

}  // namespace lifeboat::cli
