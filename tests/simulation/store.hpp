#pragma once

#include <array>
#include <optional>

#include "simulation/mischief.hpp"
#include "simulation/model.hpp"
#include "simulation/scheduler.hpp"
#include "simulation/trace.hpp"
#include "store/around_store.hpp"

namespace lifeboat::vault::simulation {

// What a life throws when it dies. Nothing that handles Errors may handle it.
struct Killed {};

// At the n-th call (1 is the first; 0: never), or the n-th of such calls, before or after it took
// effect.
struct Death {
  std::uint64_t at = 0;
  std::optional<store::Op> of{};
  bool takes_effect = false;
};

// How many lives ended at a call, by what it was.
using Deaths = std::array<std::uint64_t, store::kOps>;

// What all share: the objects, and who looks at them.
struct Ground {
  Random& chance;
  Scheduler& scheduler;
  Objects& objects;
  Model& model;
  Trace& trace;
  Mischief mischief = Mischief::none;
  bool etags = false;       // versions are made of the content: they come back with it
  Millis latency{3000};     // of a call, twice the mean
  unsigned stall_in = 50;   // one of so many calls hangs…
  Millis longest_stall{0};  // …for up to this
  Millis latest{0};         // a write that is late takes effect
  Millis retain{0};         // of Object Lock; 0: there is none
  Millis pin_life{0};
  struct Written {
    Timestamp when;
    std::string before;  // what it replaced…
    std::string first;   // …and what was there first
    std::string who;     // wrote that
    Timestamp since{0};  // it is there
  };
  std::map<std::string, Written> written{};
  std::uint64_t calls = 0;  // so far
  Deaths deaths{};
};

// The store as one life of a program sees it: each call is a turn, may hang, and may be the last.
class LifeStore : public store::ObjectStore {
 public:
  // By the clock it locks what it writes.
  LifeStore(Ground& ground, std::string who, const Clock& clock, Death death = {})
      : ground_(ground), who_(std::move(who)), clock_(clock), death_(death) {}

  std::optional<std::string> get(const std::string& name) override;
  std::optional<std::string> get_range(const std::string& name, ByteCount offset,
                                       ByteCount length) override;
  void put(const std::string& name, std::string_view bytes) override;
  store::PutResult put_if_absent(const std::string& name, std::string_view bytes) override;
  store::PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                                    const std::string& seen_version) override;
  void list(const std::string& prefix,
            const std::function<void(const store::ObjectInfo&)>& visit) override;
  bool remove(const std::string& name) override;
  std::optional<store::ObjectInfo> stat(const std::string& name) override;
  std::optional<Timestamp> locked_until(const std::string& name) override;
  bool lock_until(const std::string& name, Timestamp until) override;
  std::string describe() const override { return "the store of the simulation"; }
  unsigned calls_at_once() const override { return 1; }

 private:
  template <typename Effect>
  auto call(store::Op op, const std::string& name, Effect&& effect) -> decltype(effect());
  void wait();
  bool dies(store::Op op);
  using Lock = std::optional<Timestamp>;
  Lock lock_of_write(const std::string& name, store::Write how) const;
  void write(const std::string& name, std::string_view bytes, Lock lock);
  std::optional<std::string> read(const std::string& name);
  bool now_and_then(Mischief mischief, unsigned one_in);
  bool fresh(const std::string& name);
  std::string version_of(const store::ObjectInfo& info);
  std::vector<store::ObjectInfo> listed(const std::string& prefix);
  std::vector<store::ObjectInfo> mixed(std::vector<store::ObjectInfo> before,
                                       std::vector<store::ObjectInfo> after);
  bool hidden(const store::ObjectInfo& info);

  Ground& ground_;
  std::string who_;
  const Clock& clock_;
  Death death_;
  std::uint64_t calls_ = 0;  // of those that are counted for that
  bool dead_ = false;
  Timestamp saw_pins_{0};  // a pruner who looks at them first
};

// Writes that are told to have timed out, and take effect later: they are still on their way.
class LateStore : public store::ForwardingStore {
 public:
  // One of `late_in` writes; 0: none.
  LateStore(store::ObjectStore& inner, Ground& ground, std::string who, const Clock& clock,
            unsigned late_in)
      : ForwardingStore(inner),
        ground_(ground),
        who_(std::move(who)),
        clock_(clock),
        late_in_(late_in) {}

  void put(const std::string& name, std::string_view bytes) override;
  store::PutResult put_if_absent(const std::string& name, std::string_view bytes) override;
  store::PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                                    const std::string& seen_version) override;
  bool remove(const std::string& name) override;

 private:
  bool late();
  [[noreturn]] void send(const std::string& name,
                         std::function<void(store::ObjectStore&)> write) const;

  Ground& ground_;
  std::string who_;
  const Clock& clock_;
  unsigned late_in_;
};

// Outermost: what the program is told is what it acts on.
class Witness : public store::ForwardingStore {
 public:
  Witness(store::ObjectStore& inner, Ground& ground, std::string who)
      : ForwardingStore(inner), ground_(ground), who_(std::move(who)) {}
  store::PutResult put_if_unchanged(const std::string& name, std::string_view bytes,
                                    const std::string& seen_version) override;

 private:
  Ground& ground_;
  std::string who_;
};

}  // namespace lifeboat::vault::simulation
