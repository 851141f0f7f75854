#include "recovery/state_folder.hpp"

#include "base/error.hpp"

namespace lifeboat::recovery {

void make_state_folder(const Config& config) {
  std::error_code why;
  std::filesystem::create_directories(config.state, why);
  if (!why) return;
  const auto error =
      system_error(why.value(), config.state.string(), "the state folder cannot be made");
  throw Error(error.code(), error.subject(), error.message(),
              error.code() == Code::no_space
                  ? error.hint()
                  : "run as a user that may make it, or give another one in " +
                        config.file.string() + ", such as `state: /var/lib/lifeboat`");
}

}  // namespace lifeboat::recovery
