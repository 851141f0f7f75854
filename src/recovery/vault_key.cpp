#include "recovery/vault_key.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "base/file.hpp"

namespace lifeboat::recovery {
namespace {

namespace fs = std::filesystem;
using vault::KeyMaterial;

constexpr std::size_t kLeastPassphrase = 8;
constexpr ByteCount kMostFile{64u << 10};

Error wrong(const std::string& what, const std::string& problem) {
  return Error(Code::config, what, problem, "correct vault_key in lifeboat.yaml");
}

// Takes the first line, and wipes the rest.
KeyMaterial passphrase_of(std::string text, const std::string& from) {
  auto line = std::string_view(text).substr(0, text.find_first_of("\r\n"));
  KeyMaterial out{KeyMaterial::Kind::passphrase, vault::Secret(line), from};
  vault::wipe(text);
  if (out.secret.empty()) throw wrong(from, "is empty");
  return out;
}

KeyMaterial passphrase_of_command(const std::string& command) {
  const std::string from = "the passphrase of passphrase_command";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw system_error(errno, from, "starting it");
  char buffer[4096];
  auto n = std::fread(buffer, 1, sizeof buffer, pipe);
  std::string text(buffer, n);
  OPENSSL_cleanse(buffer, sizeof buffer);
  int status = ::pclose(pipe);
  if (status != 0) {
    vault::wipe(text);
    throw wrong(from, fmt::format("the command ended with status {}",
                                  WIFEXITED(status) ? WEXITSTATUS(status) : 128));
  }
  return passphrase_of(std::move(text), from);
}

std::string content_of(const fs::path& file) {
  auto content = read_file(file, kMostFile);
  if (!content) throw wrong(file.string(), "does not exist");
  return std::move(*content);
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace

std::optional<KeyMaterial> vault_key_of_environment() {
  if (auto passphrase = environment("LIFEBOAT_PASSPHRASE")) {
    return passphrase_of(std::move(*passphrase), "the passphrase in LIFEBOAT_PASSPHRASE");
  }
  if (auto file = environment("LIFEBOAT_KEY_FILE")) return read_key_file(*file);
  return std::nullopt;
}

std::optional<KeyMaterial> vault_key(const Config& config) {
  if (auto given = vault_key_of_environment()) return given;
  if (!config.vault_key) return std::nullopt;
  const auto& key = *config.vault_key;
  if (!key.key_file.empty()) return read_key_file(key.key_file);
  if (!key.passphrase_file.empty()) return read_passphrase(key.passphrase_file);
  if (!key.passphrase_command.empty()) return passphrase_of_command(key.passphrase_command);
  auto value = environment(key.passphrase_env.c_str());
  if (!value) throw wrong("environment variable " + key.passphrase_env, "is not set");
  return passphrase_of(std::move(*value), "the passphrase in " + key.passphrase_env);
}

KeyMaterial read_passphrase(const fs::path& file) {
  return passphrase_of(content_of(file), "the passphrase in " + file.string());
}

KeyMaterial read_key_file(const fs::path& file) {
  auto text = content_of(file);
  auto key = vault::parse_key_text(text, file.string());
  vault::wipe(text);
  return key;
}

KeyMaterial make_key_file(const fs::path& file) {
  if (fs::exists(file)) {
    throw Error(Code::refused, file.string(), "exists already", "give another name");
  }
  KeyMaterial key{KeyMaterial::Kind::file, vault::random_key(), "the key file " + file.string()};
  auto text = "# A key of a Lifeboat vault. Keep it secret, and keep a copy elsewhere.\n" +
              vault::to_text(key) + "\n";
  write_file_durably(file, text, 0600);
  vault::wipe(text);
  return key;
}

void write_recovery_key(const fs::path& file, const vault::Sealing& sealing) {
  auto text = "# Opens the Lifeboat vault " + sealing.vault_id() + ".\n" +
              vault::to_text({KeyMaterial::Kind::vault_key, sealing.vault_key().copy(), ""}) + "\n";
  write_file_durably(file, text, 0600);
  vault::wipe(text);
}

void check_new_passphrase(const KeyMaterial& passphrase) {
  if (passphrase.kind != KeyMaterial::Kind::passphrase ||
      passphrase.secret.size() >= kLeastPassphrase) {
    return;
  }
  throw Error(Code::refused, passphrase.from, "is shorter than 8 characters",
              "take a longer one: several words, or `openssl rand -base64 24`");
}

std::vector<fs::path> exposed_key_files(const Config& config) {
  std::vector<fs::path> out;
  if (!config.vault_key) return out;
  for (const auto& file : {config.vault_key->passphrase_file, config.vault_key->key_file}) {
    std::error_code ec;
    auto mode = file.empty() ? fs::perms::none : fs::status(file, ec).permissions();
    auto others = fs::perms::group_read | fs::perms::others_read;
    if (!ec && (mode & others) != fs::perms::none) out.push_back(file);
  }
  return out;
}

std::string recovery_sheet(const vault::Vault& vault, const std::string& place) {
  auto key =
      vault::to_text({KeyMaterial::Kind::vault_key, vault.sealing()->vault_key().copy(), ""});
  auto sheet = fmt::format(
      "# Recovery sheet of the Lifeboat vault {}\n"
      "# made {}, in {}\n"
      "#\n"
      "# The digits below open this vault without any passphrase or key file. Whoever has them "
      "and\n"
      "# the vault can read all that it holds, for ever: removing keys does not change that.\n"
      "# Whoever has lost them, and every passphrase and key file, has lost all that the vault\n"
      "# holds: nobody can bring it back.\n"
      "# Print it, keep it apart from the vault and from the servers, and delete this copy.\n"
      "# It is not enough alone: the vault's objects are needed too.\n"
      "#\n"
      "# To use it: type the digits into a file, name that as vault_key: {{key_file: FILE}} in\n"
      "# lifeboat.yaml (or as LIFEBOAT_KEY_FILE), and restore. To give the vault a new "
      "passphrase:\n"
      "# `lifeboat key import FILE`.\n"
      "\n{}\n",
      vault.id(), to_string(vault.created()), place, key);
  vault::wipe(key);
  return sheet;
}

}  // namespace lifeboat::recovery
