// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/watchdog/node_board.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>

#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"
#include "train/watchdog/processes.hpp"
#include "train/watchdog/records.hpp"

namespace tessera::train {

namespace {

using comm::ProcessRecord;

using FileName = std::array<std::uint8_t, 64>;

/// Makes the file, with room on it that cannot be missing later. Empty when it cannot be had.
FileName create_file(std::size_t bytes, int& file) {
  FileName name{};
  std::random_device random;
  auto const text = fmt::format("/tessera-watch-{}-{:08x}{:08x}", getpid(), random(), random());
  file = shm_open(text.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return name;
  if (posix_fallocate(file, 0, static_cast<off_t>(bytes)) == 0) {
    std::ranges::copy(text, name.begin());
    return name;
  }
  shm_unlink(text.c_str());
  close(file);
  file = -1;
  return name;
}

char const* text_of(FileName const& name) { return reinterpret_cast<char const*>(name.data()); }

/// Whether this process and the others of the node know each other by their numbers.
bool sees_all(comm::Communicator& node) {
  auto const own = process_status(getpid());
  auto const processes = all_gather_values(node, std::int32_t{getpid()});
  auto const started = all_gather_values(node, own ? own->started : 0);
  bool all = own.has_value();
  for (std::size_t i = 0; i < processes.size(); ++i)
    all = all && !has_ended(state_of(processes[i], started[i]));
  return all;
}

}  // namespace

NodeBoard::NodeBoard(comm::Communicator& world) {
  auto const node = world.split_by_node();
  count_ = static_cast<std::size_t>(node->size());
  own_ = static_cast<std::size_t>(node->rank());
  bool const sees = sees_all(*node), maps = map_shared(*node);
  if (all_reduce_value(*node, std::int32_t{sees && maps}, comm::Op::min) != 0) {
    for (int const rank : all_gather_values(*node, world.rank())) ranks_.push_back(rank);
  } else {
    if (records_ != nullptr) munmap(records_, count_ * sizeof(ProcessRecord));
    map_private();
    ranks_ = {world.rank()};
  }
  fill_own(world.rank());
  barrier(world);  // nobody looks at a record that is not filled
}

NodeBoard::~NodeBoard() { munmap(records_, count_ * sizeof(ProcessRecord)); }

int NodeBoard::lowest_living() const {
  std::size_t i = 0;
  while (i != own_ && !lives(records_[i])) ++i;
  return ranks_[i];
}

bool NodeBoard::claim_report(std::chrono::milliseconds time) const noexcept {
  std::chrono::nanoseconds const now = std::chrono::steady_clock::now().time_since_epoch(), given = time;
  auto& claimed = records().front().claimed;
  auto before = claimed.load();
  bool const free = before == 0 || now.count() - before >= given.count();
  return free && claimed.compare_exchange_strong(before, now.count());
}

void NodeBoard::order_all(std::uint32_t order) const noexcept {
  for (auto& record : records()) record.orders |= order;
}

void NodeBoard::order_end_of_all(std::uint32_t order, std::chrono::milliseconds delay) const noexcept {
  std::chrono::nanoseconds const end = std::chrono::steady_clock::now().time_since_epoch() + delay;
  for (auto& record : records()) record.end_at = end.count();
  order_all(order);
  for (auto const& record : records()) {
    if (is_stopped(state_of(record.process, record.started))) kill(record.process, SIGCONT);
  }
}

void NodeBoard::wait_for_end() const noexcept {
  using Clock = std::chrono::steady_clock;
  std::this_thread::sleep_until(Clock::time_point(std::chrono::nanoseconds(own().end_at)));
}

/// The file's name is gone when this returns: nothing stays behind, however the processes end.
bool NodeBoard::map_shared(comm::Communicator& node) {
  std::size_t const bytes = count_ * sizeof(ProcessRecord);
  int file = -1;
  FileName name{};
  if (node.rank() == 0) name = create_file(bytes, file);
  broadcast(node, name, 0).wait_host();
  if (name[0] == 0) return false;
  if (node.rank() != 0) file = shm_open(text_of(name), O_RDWR | O_CLOEXEC, 0);
  void* const memory =
      file < 0 ? MAP_FAILED : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  barrier(node);
  if (node.rank() == 0) shm_unlink(text_of(name));
  if (memory == MAP_FAILED) return false;
  records_ = static_cast<ProcessRecord*>(memory);  // all zero is a record that nobody has filled
  return true;
}

void NodeBoard::map_private() {
  count_ = 1;
  own_ = 0;
  void* const memory =
      mmap(nullptr, sizeof(ProcessRecord), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "there is memory for one record");
  records_ = static_cast<ProcessRecord*>(memory);
}

void NodeBoard::fill_own(int rank) {
  auto& record = *new (records_ + own_) ProcessRecord;
  record.rank = rank;
  record.process = getpid();
  if (auto const status = process_status(record.process)) record.started = status->started;
  std::array<char, 64> host{};
  gethostname(host.data(), host.size() - 1);
  record.host = host;
  record.phase = ProcessRecord::Phase::running;
}

}  // namespace tessera::train
