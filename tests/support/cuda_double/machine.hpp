// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string_view>

namespace tessera::support::cuda_double {

/// What the process shares: settings, memory, counts.
class Machine {
 public:
  static Machine& instance();

  std::atomic<int> device_count{8};
  std::atomic<bool> one_address{false};
  std::atomic<bool> all_memory_on_device{false};
  std::atomic<bool> aborts_held{false};
  std::atomic<int> alive{0};

  void own_memory(void* memory, std::size_t bytes);
  void disown_memory(void* memory);
  [[nodiscard]] bool owns(void const* memory);

  void hold(int device);
  [[nodiscard]] bool is_held(int device);
  void release_all();

 private:
  std::mutex mutex_;
  std::map<std::byte const*, std::size_t> memory_;
  std::set<int> held_;
};

/// Counts a call of the calling thread; true if it has to fail.
bool must_fail(std::string_view function);

/// The device and the node of the calling thread.
int& current_device();
int& current_node();

}  // namespace tessera::support::cuda_double
