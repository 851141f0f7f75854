#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// What kind of thing went wrong. Each kind has one stable exit code (exit_code()).
enum class Code {
  usage,             // the command line is wrong
  config,            // lifeboat.yaml is wrong
  refused,           // the world is not as the operation needs it; nothing was touched
  unavailable,       // a server or store cannot be reached, or went away
  denied,            // a password or a privilege is missing
  timeout,           // a deadline passed
  corrupt,           // bytes are not what they must be
  unsupported,       // a version or a feature that this build does not know
  no_space,          // the disk or quota is full
  conflict,          // somebody else changed it meanwhile
  not_found,         // the named thing does not exist
  could_not_verify,  // neither proven good nor proven bad
  cancelled,         // the user or the daemon asked to stop
  failed,            // a server answered with an error, or a check did not hold
};

std::string_view to_string(Code code);

// 0 done, 1 failed, 2 usage or config, 3 refused, 4 unavailable/denied/timeout, 5 corrupt or
// unsupported, 6 could not verify, 7 no space, 130 cancelled.
int exit_code(Code code);

// The one error type. `subject` names the table, partition, object or server; `hint` says what to
// type next. `during()` adds what was being done, innermost first, while the exception passes.
class Error : public std::exception {
 public:
  Error(Code code, std::string subject, std::string message, std::string hint = {});

  Error& during(std::string what) &;
  Error&& during(std::string what) &&;

  Code code() const { return code_; }
  const std::string& subject() const { return subject_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const std::vector<std::string>& context() const { return context_; }

  // "subject: message (while a, while b)"; the hint is not part of it.
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  void render();

  Code code_;
  std::string subject_;
  std::string message_;
  std::string hint_;
  std::vector<std::string> context_;
  std::string what_;
};

// An Error from errno: ENOSPC/EDQUOT become no_space, EACCES/EPERM denied, the rest failed.
Error system_error(int errno_value, std::string subject, std::string doing);

// Runs `f`; an Error that passes gets `what` added to its context.
template <typename F>
auto while_doing(std::string what, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (Error& error) {
    error.during(std::move(what));
    throw;
  }
}

}  // namespace lifeboat
