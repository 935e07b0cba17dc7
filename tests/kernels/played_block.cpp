// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "played_block.hpp"

namespace tessera::kernels::test {

namespace {

constexpr std::size_t stack_bytes = 64 * 1024;

}  // namespace

PlayedBlock::PlayedBlock(int threads, int shared_bytes, std::function<void(int)> body)
    : fibers_(static_cast<std::size_t>(threads)),
      shared_(static_cast<std::size_t>(shared_bytes), 0xFF),
      body_(std::move(body)) {
  auto const self = reinterpret_cast<std::uintptr_t>(this);
  for (int thread = 0; thread < threads; ++thread) {
    Fiber& f = fiber(thread);
    f.stack = std::make_unique_for_overwrite<char[]>(stack_bytes);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = stack_bytes;
    f.context.uc_link = nullptr;
    makecontext(&f.context, reinterpret_cast<void (*)()>(&PlayedBlock::enter), 3,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self), thread);
  }
}

void PlayedBlock::enter(unsigned high, unsigned low, int thread) {
  auto* const self = reinterpret_cast<PlayedBlock*>((static_cast<std::uintptr_t>(high) << 32) |
                                                    static_cast<std::uintptr_t>(low));
  try {
    self->body_(thread);
  } catch (std::exception const& error) {
    self->failure_ = error.what();
  }
  self->meet(thread, Meeting::ended, "end");
}

void PlayedBlock::meet(int thread, Meeting meeting, char const* operation) {
  Fiber& f = fiber(thread);
  f.meeting = meeting;
  f.operation = operation;
  swapcontext(&f.context, &scheduler_);
}

void PlayedBlock::resume(int thread) {
  fiber(thread).meeting = Meeting::running;
  swapcontext(&scheduler_, &fiber(thread).context);
  if (!failure_.empty()) throw std::runtime_error("thread " + std::to_string(thread) + ": " + failure_);
}

void PlayedBlock::expect_together(int first, int count) const {
  Fiber const& leader = fibers_[static_cast<std::size_t>(first)];
  for (int i = first; i < first + count; ++i) {
    Fiber const& f = fibers_[static_cast<std::size_t>(i)];
    if (std::strcmp(f.operation, leader.operation) != 0) {
      throw std::runtime_error("thread " + std::to_string(first) + " is in " + leader.operation +
                               ", thread " + std::to_string(i) + " in " + f.operation);
    }
  }
}

bool PlayedBlock::run_warp(int first) {
  do {
    for (int lane = 0; lane < flash::warp_size; ++lane) resume(first + lane);
    expect_together(first, flash::warp_size);
  } while (fiber(first).meeting == Meeting::warp);
  return fiber(first).meeting == Meeting::ended;
}

void PlayedBlock::run() {
  auto const threads = static_cast<int>(fibers_.size());
  for (bool ended = false; !ended;) {
    for (int first = 0; first < threads; first += flash::warp_size) ended = run_warp(first);
    expect_together(0, threads);
  }
}

unsigned char* PlayedBlock::at(std::uint32_t address, std::size_t bytes) {
  if (address % bytes != 0 || address + bytes > shared_.size()) {
    throw std::runtime_error(std::to_string(bytes) + " bytes at " + std::to_string(address) + " of " +
                             std::to_string(shared_.size()));
  }
  return shared_.data() + address;
}

unsigned PlayedThread::say(Words const& words, char const* operation) const {
  auto& own = block_->fiber(index_);
  unsigned const turn = own.turn++ % 2;
  own.said[turn] = words;
  block_->meet(index_, PlayedBlock::Meeting::warp, operation);
  return turn;
}

PlayedThread::Words const& PlayedThread::said_by_lane(unsigned turn, int lane) const {
  return block_->fiber(warp() * flash::warp_size + lane).said[turn];
}

std::uint32_t PlayedThread::element(std::uint32_t address) const { return load<std::uint16_t>(address); }

void PlayedThread::load_squares(std::uint32_t address, std::uint32_t (&r)[4]) const {
  block_->at(address, 16);
  unsigned const turn = say({address}, "load_squares");
  for (int q = 0; q < 4; ++q) {
    std::uint32_t const row =
        said_by_lane(turn, 8 * q + lane() / 4)[0] + static_cast<std::uint32_t>(lane() % 4 * 4);
    r[q] = element(row) | element(row + 2) << 16;
  }
}

void PlayedThread::load_squares_transposed(std::uint32_t address, std::uint32_t (&r)[4]) const {
  block_->at(address, 16);
  unsigned const turn = say({address}, "load_squares_transposed");
  auto const column = static_cast<std::uint32_t>(lane() / 4 * 2);
  for (int q = 0; q < 4; ++q) {
    int const row = 8 * q + lane() % 4 * 2;
    r[q] = element(said_by_lane(turn, row)[0] + column) | element(said_by_lane(turn, row + 1)[0] + column)
                                                              << 16;
  }
}

void PlayedThread::copy(std::uint32_t to, void const* from, bool there) const {
  block_->at(to, 16);
  if (reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
    throw std::runtime_error("a copy from an odd address");
  PlayedBlock::Copy copy{to, {}};
  if (there) std::memcpy(&copy.value, from, 16);
  block_->fiber(index_).copies.push_back(copy);
}

void PlayedThread::wait() const {
  for (auto const& copy : block_->fiber(index_).copies) store(copy.to, copy.value);
  block_->fiber(index_).copies.clear();
}

}  // namespace tessera::kernels::test
