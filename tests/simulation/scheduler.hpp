#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"

namespace lifeboat::vault::simulation {

// What an actor's call throws when the simulation ends before it does. Not an Error on purpose.
struct Stopped {};

// Lets actors take turns: one runs at a time, on the one thread that calls run(), until it gives
// way by turn() or sleep(); chance says who is next. Each has a stack of its own, so that code that
// blocks can be put aside. Time is simulated: it passes with the turns, and jumps when all sleep.
class Scheduler {
 public:
  // `stay`: of ten turns, how many an actor that could go on has in a row, about.
  Scheduler(Random& chance, unsigned stay);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // From anywhere; it begins at the next turn of somebody else.
  void spawn(std::function<void()> life);
  // Until every life has ended; throws what a life threw, once the others were stopped.
  void run();

  // For actors. Others may go on meanwhile.
  void turn();
  void sleep(Millis duration);
  // Ends everything: from its next turn on each actor throws Stopped.
  void stop() { stopping_ = true; }

  Timestamp now() const { return now_; }
  void pass(Millis time) { now_ = now_ + time.count(); }
  // False: a thread calls that no turn can be given to.
  bool on_its_thread() const { return std::this_thread::get_id() == thread_; }

 private:
  struct Actor;
  static void begin();
  Actor* next();
  void give_way();
  void resume(Actor& actor);

  Random& chance_;
  unsigned stay_;
  std::thread::id thread_ = std::this_thread::get_id();
  Timestamp now_{1'795'000'000'000};
  std::vector<std::unique_ptr<Actor>> actors_;  // that have not ended
  Actor* current_ = nullptr;
  Actor* chosen_ = nullptr;  // for the next turn
  ucontext_t main_{};
  std::exception_ptr failure_;
  bool stopping_ = false;
};

// What a host's clock shows: it is off, and steps. Its steady clock never does.
class HostClock : public Clock {
 public:
  explicit HostClock(const Scheduler& scheduler) : scheduler_(scheduler) {}
  Timestamp now() const override { return scheduler_.now() + off_.count(); }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::time_point(Millis(scheduler_.now().value));
  }
  void set_off(Millis by) { off_ = by; }

 private:
  const Scheduler& scheduler_;
  Millis off_{0};
};

}  // namespace lifeboat::vault::simulation
