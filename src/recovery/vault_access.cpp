#include "recovery/vault_access.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.hpp"

namespace lifeboat::recovery {
namespace {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

User find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16384, '\0');
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) {
    throw Error(Code::not_found, "user " + name, "does not exist on this machine",
                "correct postgres.os_user in lifeboat.yaml");
  }
  User user{entry.pw_uid, entry.pw_gid, std::vector<gid_t>(256)};
  int count = static_cast<int>(user.groups.size());
  ::getgrouplist(name.c_str(), user.gid, user.groups.data(), &count);
  user.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return user;
}

}  // namespace

bool user_can(const std::string& name, const std::filesystem::path& path, int mode) {
  if (::geteuid() != 0) return ::access(path.c_str(), mode) == 0;
  User user = find_user(name);
  pid_t child = ::fork();
  if (child < 0) throw system_error(errno, path.string(), "cannot fork to look at it");
  if (child == 0) {  // only system calls from here on
    bool became = ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
                  ::setgid(user.gid) == 0 && ::setuid(user.uid) == 0;
    ::_exit(became && ::access(path.c_str(), mode) == 0 ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void share_vault_with_postgres(const Config& config) {
  if (config.vault.s3) return;
  if (!config.postgres || config.postgres->os_user.empty() || ::geteuid() != 0) return;
  User user = find_user(config.postgres->os_user);
  const auto& vault = config.vault.directory;
  if (::chown(vault.c_str(), static_cast<uid_t>(-1), user.gid) != 0 ||
      ::chmod(vault.c_str(), 02750) != 0) {
    throw system_error(errno, vault.string(), "cannot give it to PostgreSQL's group");
  }
}

void check_postgres_can_fetch(const Config& config) {
  const auto& user = config.postgres->os_user;
  if (user.empty()) return;
  auto program = std::filesystem::read_symlink("/proc/self/exe");
  if (!user_can(user, program, X_OK)) {
    throw Error(
        Code::denied, program.string(),
        fmt::format("cannot be run by PostgreSQL's user '{}', who fetches WAL with it", user),
        "install lifeboat where that user can run it, such as /usr/local/bin");
  }
  if (config.vault.s3) return;  // whose credentials that user will have is not known here
  const auto& vault = config.vault.directory;
  if (!user_can(user, vault / "vault", R_OK)) {
    throw Error(
        Code::denied, vault.string(),
        fmt::format("cannot be read by PostgreSQL's user '{}', who fetches WAL from it", user),
        fmt::format("chgrp -R {0} {1} && chmod -R g+rX {1}, and let '{0}' into the folders "
                    "above it",
                    user, vault.string()));
  }
}

}  // namespace lifeboat::recovery
