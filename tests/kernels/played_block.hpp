// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Plays the blocks of a tile kernel (kernels/flash/thread.hpp) on the host: each thread is a fiber, warps run
// one after another from barrier to barrier. What a GPU leaves open is played at its worst: a copy in the
// background arrives when it is waited for and never earlier, shared memory starts as NaNs, a warp runs as
// far ahead of the others as barriers allow. Lanes that meet in different operations, addresses out of bounds
// and wrong alignment fail the test.
//
// Not modelled: the rounding of the tensor cores' sums (here each is one float after another), of ex2.approx
// (here exact to float), and time.
#pragma once

#include <ucontext.h>

#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/flash/thread.hpp"

namespace tessera::kernels::test {

/// A thread of a played block: what it has to say to the others, and where its copies stand.
class PlayedBlock {
 public:
  PlayedBlock(int threads, int shared_bytes, std::function<void(int)> body);

  /// Runs every thread to its end.
  void run();

  enum class Meeting { running, warp, block, ended };

  /// The calling fiber waits until all of its warp or block are in the same operation.
  void meet(int thread, Meeting meeting, char const* operation);

  struct Copy {
    std::uint32_t to;
    flash::Chunk value;
  };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    Meeting meeting = Meeting::running;
    char const* operation = "";
    std::vector<Copy> copies;
    std::array<std::uint32_t, 6> said[2] =
        {};  ///< to the warp, in turns: so one meeting an operation is enough
    unsigned turn = 0;
  };

  Fiber& fiber(int thread) { return fibers_[static_cast<std::size_t>(thread)]; }
  /// `bytes` of shared memory at a multiple of their number.
  unsigned char* at(std::uint32_t address, std::size_t bytes);

 private:
  static void enter(unsigned high, unsigned low, int thread);
  void resume(int thread);
  bool run_warp(int first);
  void expect_together(int first, int count) const;

  std::vector<Fiber> fibers_;
  std::vector<unsigned char> shared_;
  std::function<void(int)> body_;
  ucontext_t scheduler_ = {};
  std::string failure_;
};

/// The Thread of a played block.
class PlayedThread {
 public:
  PlayedThread(PlayedBlock& block, int index) : block_(&block), index_(index) {}

  [[nodiscard]] int index() const { return index_; }
  [[nodiscard]] int lane() const { return index_ % flash::warp_size; }
  [[nodiscard]] int warp() const { return index_ / flash::warp_size; }
  [[nodiscard]] std::uint32_t shared() const { return 0; }
  void barrier() const { block_->meet(index_, PlayedBlock::Meeting::block, "barrier"); }
  void warp_barrier() const { block_->meet(index_, PlayedBlock::Meeting::warp, "warp_barrier"); }

  template <class T>
  T shuffle_xor(T value, int mask) const {
    static_assert(sizeof(T) == 4);
    std::uint32_t word;
    std::memcpy(&word, &value, 4);
    std::uint32_t const other = said_by_lane(say({word}, "shuffle_xor"), lane() ^ mask)[0];
    std::memcpy(&value, &other, 4);
    return value;
  }

  void load_squares(std::uint32_t address, std::uint32_t (&r)[4]) const;
  void load_squares_transposed(std::uint32_t address, std::uint32_t (&r)[4]) const;

  void copy(std::uint32_t to, void const* from, bool there) const;
  void wait() const;

  template <class T>
  T load(std::uint32_t address) const {
    T value;
    std::memcpy(&value, block_->at(address, sizeof(T)), sizeof(T));
    return value;
  }
  template <class T>
  void store(std::uint32_t address, T const& value) const {
    std::memcpy(block_->at(address, sizeof(T)), &value, sizeof(T));
  }

  [[nodiscard]] float exp2(float x) const { return std::exp2(x); }
  [[nodiscard]] float larger(float x, float y) const { return std::fmax(x, y); }

 protected:
  using Words = std::array<std::uint32_t, 6>;
  /// Tells the warp some words; returns the turn in which they were said.
  unsigned say(Words const& words, char const* operation) const;
  [[nodiscard]] Words const& said_by_lane(unsigned turn, int lane) const;

 private:
  [[nodiscard]] std::uint32_t element(std::uint32_t address) const;

  PlayedBlock* block_;
  int index_;
};

/// One that multiplies numbers of Element.
template <class Element>
class PlayedThreadOf : public PlayedThread {
 public:
  using PlayedThread::PlayedThread;

  void multiply_add(float (&c)[4], std::uint32_t const (&a)[4], std::uint32_t b0, std::uint32_t b1) const {
    unsigned const turn = say({a[0], a[1], a[2], a[3], b0, b1}, "multiply_add");
    for (int i = 0; i < 4; ++i) {
      int const column = lane() % 4 * 2 + i % 2;
      for (int k = 0; k < 16; k += 2) {
        std::uint32_t const left =
            said_by_lane(turn, lane() / 4 * 4 + k % 8 / 2)[static_cast<unsigned>(k / 8 * 2 + i / 2)];
        std::uint32_t const right =
            said_by_lane(turn, column * 4 + k % 8 / 2)[static_cast<unsigned>(4 + k / 8)];
        c[i] += low(left) * low(right) + high(left) * high(right);
      }
    }
  }

  [[nodiscard]] std::uint32_t pack(float low, float high) const {
    return static_cast<std::uint32_t>(Element(low).bits) | static_cast<std::uint32_t>(Element(high).bits)
                                                               << 16;
  }
  [[nodiscard]] float low(std::uint32_t word) const {
    Element element;
    element.bits = static_cast<std::uint16_t>(word);
    return element;
  }
  [[nodiscard]] float high(std::uint32_t word) const { return low(word >> 16); }
};

/// Runs all blocks of a body.
template <class Body>
void play(Body const& body) {
  for (int block = 0; block < body.blocks(); ++block) {
    PlayedBlock* here = nullptr;
    PlayedBlock played(Body::threads, Body::shared_bytes, [&](int thread) {
      body(PlayedThreadOf<typename Body::Element>(*here, thread), block);
    });
    here = &played;
    played.run();
  }
}

}  // namespace tessera::kernels::test
