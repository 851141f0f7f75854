#include "base/error.hpp"

#include <cerrno>
#include <cstring>

namespace lifeboat {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::usage:
      return "usage";
    case Code::config:
      return "config";
    case Code::refused:
      return "refused";
    case Code::unavailable:
      return "unavailable";
    case Code::denied:
      return "denied";
    case Code::timeout:
      return "timeout";
    case Code::corrupt:
      return "corrupt";
    case Code::unsupported:
      return "unsupported";
    case Code::no_space:
      return "no_space";
    case Code::conflict:
      return "conflict";
    case Code::not_found:
      return "not_found";
    case Code::could_not_verify:
      return "could_not_verify";
    case Code::cancelled:
      return "cancelled";
    case Code::failed:
      return "failed";
  }
  return "failed";
}

int exit_code(Code code) {
  switch (code) {
    case Code::usage:
    case Code::config:
      return 2;
    case Code::refused:
      return 3;
    case Code::unavailable:
    case Code::denied:
    case Code::timeout:
      return 4;
    case Code::corrupt:
    case Code::unsupported:
      return 5;
    case Code::could_not_verify:
      return 6;
    case Code::no_space:
      return 7;
    case Code::cancelled:
      return 130;
    case Code::conflict:
    case Code::not_found:
    case Code::failed:
      return 1;
  }
  return 1;
}

Error::Error(Code code, std::string subject, std::string message, std::string hint)
    : code_(code),
      subject_(std::move(subject)),
      message_(std::move(message)),
      hint_(std::move(hint)) {
  render();
}

Error& Error::during(std::string what) & {
  context_.push_back(std::move(what));
  render();
  return *this;
}

Error&& Error::during(std::string what) && {
  during(std::move(what));
  return std::move(*this);
}

void Error::render() {
  what_ = subject_.empty() ? message_ : subject_ + ": " + message_;
  for (std::size_t i = 0; i < context_.size(); ++i) {
    what_ += (i == 0 ? " (while " : ", while ") + context_[i];
  }
  if (!context_.empty()) what_ += ")";
}

Error system_error(int errno_value, std::string subject, std::string doing) {
  Code code = Code::failed;
  std::string hint;
  if (errno_value == ENOSPC || errno_value == EDQUOT) {
    code = Code::no_space;
    hint = "free some space, then run the same command again";
  } else if (errno_value == EACCES || errno_value == EPERM) {
    code = Code::denied;
    hint = "run as a user that may access it";
  } else if (errno_value == ENOENT) {
    code = Code::not_found;
  }
  return Error(code, std::move(subject), std::move(doing) + ": " + std::strerror(errno_value),
               std::move(hint));
}

}  // namespace lifeboat
