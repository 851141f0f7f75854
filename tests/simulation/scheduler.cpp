#include "simulation/scheduler.hpp"

#include <cxxabi.h>
#include <sys/mman.h>

#include <cstring>
#include <exception>
#include <utility>

#include "base/error.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace lifeboat::vault::simulation {
namespace {

constexpr std::size_t kStack = 512 * 1024;  // only what is touched takes memory
constexpr std::size_t kGuard = 4096;

// Memory that an actor runs on. Kept for the next one: thousands of simulations are run.
class Stacks {
 public:
  ~Stacks() {
    for (auto* stack : free_) ::munmap(stack, kStack);
  }
  char* take() {
    if (!free_.empty()) {
      auto* stack = free_.back();
      free_.pop_back();
      return stack;
    }
    void* memory = ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || ::mprotect(memory, kGuard, PROT_NONE) != 0) {
      throw system_error(errno, "simulation", "cannot get a stack");
    }
    return static_cast<char*>(memory);
  }
  void give_back(char* stack) { free_.push_back(stack); }

 private:
  std::vector<char*> free_;
};

Stacks& stacks() {
  static Stacks all;
  return all;
}

// What the C++ runtime knows of the exceptions that a thread handles: each actor has its own, as it
// may give way within a handler. (The Itanium ABI fixes these two members.)
struct Handled {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

void swap_handled(Handled& other) {
  auto* own = reinterpret_cast<Handled*>(abi::__cxa_get_globals());
  std::swap(*own, other);
}

// AddressSanitizer wants to know on which stack it is.
struct StackSwitch {
#if defined(__SANITIZE_ADDRESS__)
  static void begin(void** own, const void* bottom, std::size_t size) {
    __sanitizer_start_switch_fiber(own, bottom, size);
  }
  static void end(void* own, const void** from, std::size_t* size) {
    __sanitizer_finish_switch_fiber(own, from, size);
  }
#else
  static void begin(void**, const void*, std::size_t) {}
  static void end(void*, const void**, std::size_t*) {}
#endif
};

const void* main_bottom = nullptr;
std::size_t main_size = 0;
void* main_fake = nullptr;

}  // namespace

struct Scheduler::Actor {
  Scheduler& scheduler;
  std::function<void()> life;
  ucontext_t context{};
  char* stack = stacks().take();
  void* fake_stack = nullptr;
  Handled handled;
  Timestamp wakes;
  bool ended = false;

  Actor(Scheduler& its, std::function<void()> what) : scheduler(its), life(std::move(what)) {}
  ~Actor() { stacks().give_back(stack); }
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;
};

namespace {
Scheduler* beginning = nullptr;  // whose actor begins: makecontext() passes no pointer
}

Scheduler::Scheduler(Random& chance, unsigned stay) : chance_(chance), stay_(stay) {}
Scheduler::~Scheduler() = default;

void Scheduler::spawn(std::function<void()> life) {
  auto actor = std::make_unique<Actor>(*this, std::move(life));
  actor->wakes = now_;
  ::getcontext(&actor->context);
  actor->context.uc_stack.ss_sp = actor->stack + kGuard;
  actor->context.uc_stack.ss_size = kStack - kGuard;
  actor->context.uc_link = nullptr;
  ::makecontext(&actor->context, &Scheduler::begin, 0);
  actors_.push_back(std::move(actor));
}

void Scheduler::begin() {
  auto& scheduler = *beginning;
  StackSwitch::end(nullptr, &main_bottom, &main_size);
  auto& self = *scheduler.current_;
  try {
    if (!scheduler.stopping_) self.life();
  } catch (const Stopped&) {
  } catch (...) {
    if (!scheduler.failure_) scheduler.failure_ = std::current_exception();
    scheduler.stopping_ = true;
  }
  self.life = nullptr;
  self.ended = true;
  swap_handled(self.handled);
  StackSwitch::begin(nullptr, main_bottom, main_size);
  ::setcontext(&scheduler.main_);
}

void Scheduler::run() {
  while (!actors_.empty()) {
    auto* actor = chosen_ != nullptr ? std::exchange(chosen_, nullptr) : next();
    resume(*actor);
    if (actor->ended) {
      std::erase_if(actors_, [&](const auto& one) { return one.get() == actor; });
    }
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// Whoever can go on; nobody: time jumps to the first who can.
Scheduler::Actor* Scheduler::next() {
  std::size_t ready = 0;
  Actor* first = actors_.front().get();
  for (const auto& one : actors_) {
    if (one->wakes <= now_) ++ready;
    if (one->wakes < first->wakes) first = one.get();
  }
  if (ready == 0) {
    now_ = first->wakes;
    return first;
  }
  auto chosen = chance_.below(ready);
  for (const auto& one : actors_) {
    if (one->wakes <= now_ && chosen-- == 0) return one.get();
  }
  return first;
}

void Scheduler::resume(Actor& actor) {
  current_ = &actor;
  beginning = this;
  swap_handled(actor.handled);
  StackSwitch::begin(&main_fake, actor.stack + kGuard, kStack - kGuard);
  ::swapcontext(&main_, &actor.context);
  StackSwitch::end(main_fake, nullptr, nullptr);
  current_ = nullptr;
}

void Scheduler::give_way() {
  auto& self = *current_;
  swap_handled(self.handled);
  StackSwitch::begin(&self.fake_stack, main_bottom, main_size);
  ::swapcontext(&self.context, &main_);
  StackSwitch::end(self.fake_stack, &main_bottom, &main_size);
}

void Scheduler::turn() {
  if (stopping_) throw Stopped{};
  if (chance_.below(10) < stay_) return;
  current_->wakes = now_;
  auto* chosen = next();
  if (chosen == current_) return;
  chosen_ = chosen;
  give_way();
  if (stopping_) throw Stopped{};
}

void Scheduler::sleep(Millis duration) {
  if (stopping_) throw Stopped{};
  current_->wakes = now_ + duration.count();
  give_way();
  if (stopping_) throw Stopped{};
}

}  // namespace lifeboat::vault::simulation
