// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "support/cuda_double/machine.hpp"

#include <string>

#include "support/cuda_double/control.hpp"

namespace tessera::support::cuda_double {

namespace {

/// What a thread called, and which calls of which functions from now on it asked to fail.
struct Plan {
  std::map<std::string, int> calls, fails;
};

Plan& plan() {
  thread_local Plan instance;
  return instance;
}

}  // namespace

Machine& Machine::instance() {
  static Machine machine;
  return machine;
}

void Machine::own_memory(void* memory, std::size_t bytes) {
  std::lock_guard const lock(mutex_);
  memory_[static_cast<std::byte*>(memory)] = bytes;
  ++alive;
}

void Machine::disown_memory(void* memory) {
  std::lock_guard const lock(mutex_);
  alive -= static_cast<int>(memory_.erase(static_cast<std::byte*>(memory)));
}

bool Machine::owns(void const* memory) {
  auto const* const byte = static_cast<std::byte const*>(memory);
  std::lock_guard const lock(mutex_);
  auto next = memory_.upper_bound(byte);
  if (next == memory_.begin()) return false;
  --next;
  return byte < next->first + next->second;
}

void Machine::hold(int device) {
  std::lock_guard const lock(mutex_);
  held_.insert(device);
}

bool Machine::is_held(int device) {
  std::lock_guard const lock(mutex_);
  return held_.contains(device);
}

void Machine::release_all() {
  std::lock_guard const lock(mutex_);
  held_.clear();
}

bool must_fail(std::string_view function) {
  auto& own = plan();
  std::string const name(function);
  ++own.calls[name];
  auto const asked = own.fails.find(name);
  return asked != own.fails.end() && --asked->second == 0;
}

int& current_device() {
  thread_local int device = 0;
  return device;
}

int& current_node() {
  thread_local int node = 0;
  return node;
}

void set_node(int node) { current_node() = node; }

void reset() {
  auto& machine = Machine::instance();
  machine.device_count = 8;
  machine.one_address = false;
  machine.all_memory_on_device = false;
  machine.release_all();
  hold_aborts(false);
  plan() = {};
  current_device() = 0;
  current_node() = 0;
}

void set_device_count(int count) { Machine::instance().device_count = count; }
void set_one_address(bool one) { Machine::instance().one_address = one; }
void set_all_memory_on_device(bool all) { Machine::instance().all_memory_on_device = all; }

void fail_call(std::string const& function, int nth) { plan().fails[function] = nth; }

std::map<std::string, int> calls() { return plan().calls; }
void reset_calls() { plan().calls.clear(); }
void hold_openings(int device) { Machine::instance().hold(device); }
void hold_aborts(bool hold) {
  Machine::instance().aborts_held = hold;
  Machine::instance().aborts_held.notify_all();
}
int objects_alive() { return Machine::instance().alive; }

}  // namespace tessera::support::cuda_double
