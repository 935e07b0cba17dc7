// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/progress.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tessera::comm {

namespace {

/// An operation may end, and so leave the list, while the list is walked: its place is emptied then and
/// closed when no walk is under way.
/// Room from the start for as many operations as are ever under way in practice: how many there are at one
/// time depends on timing, and a step should not allocate because its messages were slow.
constexpr std::size_t usual_operations = 1024;

struct Enlisted {
  Enlisted() { operations.reserve(usual_operations); }

  std::vector<Progressive*> operations;
  std::size_t count = 0;
  int walks = 0;
};

Enlisted& enlisted() {
  thread_local Enlisted instance;
  return instance;
}

}  // namespace

void enlist(Progressive& operation) {
  auto& list = enlisted();
  list.operations.push_back(&operation);
  ++list.count;
}

void delist(Progressive& operation) noexcept {
  auto& list = enlisted();
  auto const place = std::find(list.operations.begin(), list.operations.end(), &operation);
  if (place == list.operations.end()) return;
  *place = nullptr;
  --list.count;
  if (list.walks == 0) std::erase(list.operations, nullptr);
}

bool anything_enlisted() noexcept { return enlisted().count > 0; }

void progress_all() noexcept {
  auto& list = enlisted();
  if (list.count == 0) return;
  ++list.walks;
  for (std::size_t i = 0; i < list.operations.size(); ++i) {
    if (list.operations[i] != nullptr) list.operations[i]->progress();
  }
  if (--list.walks == 0) std::erase(list.operations, nullptr);
}

}  // namespace tessera::comm
