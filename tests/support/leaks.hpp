// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// LeakSanitizer and MPI: a communication library loads modules, unloads some at its start and the others at
// its end, and what these never gave back can then be told from leaks of ours neither by name nor by
// reachability.
#pragma once

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace tessera::support {

#ifdef __SANITIZE_ADDRESS__
/// What is allocated while one lives is no leak.
using LeaksIgnored = __lsan::ScopedDisabler;
/// Searches for leaks now, instead of at the end of the process; ends it if there are any.
inline void search_leaks() { __lsan_do_leak_check(); }
#else
struct LeaksIgnored {};
inline void search_leaks() {}
#endif

}  // namespace tessera::support
