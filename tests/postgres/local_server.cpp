#include "local_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/file.hpp"

namespace lifeboat::postgres::test {

namespace {

int free_port() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw system_error(errno, "127.0.0.1", "looking for a free port");
  }
  return ntohs(address.sin_port);
}

// Both standard outputs into `output_fd`; in the child, never returns.
pid_t spawn(const std::vector<std::string>& arguments, int output_fd) {
  std::vector<char*> argv;
  for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const auto user = os_user();
  const auto* entry = user.empty() ? nullptr : ::getpwnam(user.c_str());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  if (entry != nullptr && (::initgroups(user.c_str(), entry->pw_gid) != 0 ||
                           ::setgid(entry->pw_gid) != 0 || ::setuid(entry->pw_uid) != 0)) {
    ::_exit(126);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  if (output_fd >= 0) {
    ::dup2(output_fd, 1);
    ::dup2(output_fd, 2);
  }
  if (::chdir("/") != 0) ::_exit(126);
  ::setenv("LC_ALL", "C", 1);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void give_to_os_user(const fs::path& path) {
  if (os_user().empty()) return;
  const auto* entry = ::getpwnam(os_user().c_str());
  if (::chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0) {
    throw system_error(errno, path.string(), "chown");
  }
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = (fs::temp_directory_path() / "lifeboat-pg-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw system_error(errno, pattern, "mkdtemp");
  path_ = pattern;
  fs::permissions(path_, fs::perms(0755));
  give_to_os_user(path_);
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string os_user() {
  return ::geteuid() == 0 ? "postgres" : "";
}

std::string bin(const std::string& program) {
  return "/usr/lib/postgresql/15/bin/" + program;
}

int run_program(const std::vector<std::string>& arguments, std::string* output) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) throw system_error(errno, arguments[0], "pipe");
  const Fd reader(pipe_fds[0]);
  Fd writer(pipe_fds[1]);
  const pid_t pid = spawn(arguments, writer.get());
  writer.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  const int code = wait_for(pid);
  if (output != nullptr) *output = text;
  return code;
}

LocalServer::LocalServer(fs::path data) : data_(std::move(data)), port_(free_port()) {}

LocalServer::~LocalServer() {
  kill();
}

namespace {

// initdb once a process; every server starts as a copy of it.
fs::path template_cluster() {
  static const TempDir dir;
  static const fs::path data = [] {
    const auto password_file = dir.path() / "password";
    std::ofstream(password_file) << LocalServer::kPassword << "\n";
    fs::permissions(password_file, fs::perms(0644));
    std::string output;
    const int code =
        run_program({bin("initdb"), "-D", (dir.path() / "data").string(), "-U", "postgres", "-k",
                     "-A", "scram-sha-256", "--pwfile", password_file.string(), "-E", "UTF8",
                     "--no-sync", "--locale", "C"},
                    &output);
    if (code != 0) throw Error(Code::failed, "initdb", output);
    return dir.path() / "data";
  }();
  return data;
}

}  // namespace

// fsync is off: processes are killed here, machines are not.
void LocalServer::init(std::string_view settings) {
  std::string output;
  const int code =
      run_program({"/bin/cp", "-a", template_cluster().string(), data_.string()}, &output);
  if (code != 0) throw Error(Code::failed, data_.string(), "cp: " + output);
  std::ofstream conf(data_ / "postgresql.conf", std::ios::app);
  conf << "unix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\nwal_level = replica\n"
       << "max_wal_senders = 8\nshared_buffers = 16MB\nautovacuum_naptime = 1s\n"
       << "max_slot_wal_keep_size = 4GB\nfsync = off\n"
       << settings << "\n";
}

void LocalServer::start() {
  const auto log_path = data_.string() + ".log";
  {
    const auto log = open_file(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    pid_ = spawn({bin("postgres"), "-D", data_.string(), "-c", "port=" + std::to_string(port_)},
                 log.get());
  }
  const bool up = eventually([&] {
    try {
      return sql("SELECT 1").rows() == 1;
    } catch (const Error& error) {
      if (error.code() != Code::unavailable) throw;
      if (::waitpid(pid_, nullptr, WNOHANG) == 0) return false;
      pid_ = -1;
      throw Error(Code::failed, data_.string(), "the server did not start: " + log());
    }
  });
  if (!up) throw Error(Code::timeout, data_.string(), "the server is not up: " + log());
}

void LocalServer::kill() {
  if (pid_ < 0) return;
  std::ifstream list(fmt::format("/proc/{}/task/{}/children", pid_, pid_));
  const std::vector<pid_t> children{std::istream_iterator<pid_t>(list), {}};
  ::kill(pid_, SIGKILL);
  for (const auto child : children) ::kill(child, SIGKILL);
  wait_for(pid_);
  pid_ = -1;
  // Left ones hold the shared memory, and the next start would be refused.
  eventually([&] {
    return std::none_of(children.begin(), children.end(), [](pid_t child) {
      std::ifstream status(fmt::format("/proc/{}/stat", child));
      std::string id, name, state;
      return (status >> id >> name >> state) && state != "Z";
    });
  });
}

void LocalServer::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGINT);
  wait_for(pid_);
  pid_ = -1;
}

Config LocalServer::config() const {
  Config config;
  config.conninfo = fmt::format("host=127.0.0.1 port={} user=postgres", port_);
  config.password = kPassword;
  return config;
}

Result LocalServer::sql(std::string_view statement) const {
  Connection connection(config(), Mode::sql);
  return connection.query(statement);
}

std::string LocalServer::log() const {
  return read_file(data_.string() + ".log").value_or("");
}

}  // namespace lifeboat::postgres::test
