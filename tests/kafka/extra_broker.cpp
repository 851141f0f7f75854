#include "kafka/extra_broker.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "kafka/broker_tools.hpp"
#include "kafka/cluster.hpp"

namespace lifeboat::kafka::test {

namespace {

int free_port() {
  const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (bind(s, any, size) != 0 || getsockname(s, any, &size) != 0) {
    throw std::runtime_error("no free port");
  }
  close(s);
  return ntohs(address.sin_port);
}

// As stack/setup lays it out.
std::string jars() {
  const auto variable = [](const char* name) {
    const char* value = getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  auto cache = variable("LIFEBOAT_CACHE");
  if (cache.empty()) {
    const auto base = variable("XDG_CACHE_HOME");
    cache = (base.empty() ? variable("HOME") + "/.cache" : base) + "/lifeboat";
  }
  return cache + "/kafka-3.9.1/*";
}

}  // namespace

ExtraBroker::ExtraBroker(const lifeboat::test::StackProcess& stack, int id)
    : stack_(stack),
      id_(id),
      port_(free_port()),
      folder_((stack.folder() / ("kafka-" + std::to_string(id))).string()) {
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ + "/server.properties")
      << "broker.id=" << id << "\nlisteners=PLAINTEXT://127.0.0.1:" << port_
      << "\nlog.dirs=" << folder_ << "/data"
      << "\nzookeeper.connect=" << stack.info()["zookeeper"]["connect"].get<std::string>()
      << "\nzookeeper.session.timeout.ms=6000\nzookeeper.connection.timeout.ms=60000"
      << "\nauto.create.topics.enable=false\noffsets.topic.replication.factor=1"
      << "\nlog.cleaner.dedupe.buffer.size=16777216\n";
  start();
}

ExtraBroker::~ExtraBroker() {
  kill();
}

void ExtraBroker::start() {
  const auto config = config_of(stack_);
  const auto known = [&] {
    return Cluster(config, Clock::real()).metadata().broker(BrokerId(id_)) != nullptr;
  };
  // A killed broker is refused until ZooKeeper has forgotten its last session.
  if (!wait_until([&] { return !known(); })) throw std::runtime_error("old session stays");
  const auto classpath = jars();
  const auto properties = folder_ + "/server.properties";
  const int log = open((folder_ + ".log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execlp("java", "java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
           classpath.c_str(), "kafka.Kafka", properties.c_str(), nullptr);
    _exit(127);
  }
  close(log);
  if (!wait_until([&] { return known(); }, Millis(120000))) {
    throw std::runtime_error("the broker does not start: see " + folder_ + ".log");
  }
}

void ExtraBroker::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace lifeboat::kafka::test
