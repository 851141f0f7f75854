#pragma once

#include "recovery/config.hpp"

namespace lifeboat::recovery {

// Makes the folder `state` of lifeboat.yaml, its parents too, when it is not there. Error(denied,
// no_space, failed) with the folder as subject.
void make_state_folder(const Config& config);

}  // namespace lifeboat::recovery
