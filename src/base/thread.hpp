#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <thread>

#include "base/error.hpp"

namespace lifeboat {

// What could not begin ("archiving") because the machine has no more threads and processes for it,
// and which limits there are.
Error no_thread_for(const std::string& work);

// A thread for `work`, which must not throw. no_thread_for(work) when the machine gives none.
std::thread start_thread(const std::string& work, std::function<void()> body);

// Before a library starts that many, and would abort or hang when it gets fewer: starts and ends
// them. no_thread_for(work) when the machine does not give them.
void require_threads(std::size_t count, const std::string& work);

// f(i) for each i below `count` on so many threads, of which the caller's is one; on fewer when the
// machine gives no more. After a failure no more are begun; the first is thrown once all have
// ended.
void for_each_index(std::size_t count, std::size_t threads,
                    const std::function<void(std::size_t)>& f);

}  // namespace lifeboat
