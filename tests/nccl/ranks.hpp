// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the NCCL backend share: ranks that are threads, each with a device of the double.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "support/cuda_double/control.hpp"
#include "support/threads/communicator.hpp"
#include "tessera/backends/nccl.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::support {

namespace cuda = cuda_double;

/// Long enough for a busy machine; who waits in vain sets his own.
inline constexpr comm::DeviceLimits patient{std::chrono::seconds(60), std::chrono::seconds(60)};
inline constexpr comm::DeviceLimits impatient{std::chrono::seconds(60), std::chrono::milliseconds(200)};

/// `count` elements of device memory, which the test may look into: it is the host's.
template <class T>
class DeviceArray {
 public:
  DeviceArray(std::size_t count, T value) : count_(count) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)), cudaSuccess);
    std::fill_n(data_, count, value);
  }
  DeviceArray(DeviceArray const&) = delete;
  DeviceArray& operator=(DeviceArray const&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool holds(T value) const {
    return std::all_of(data_, data_ + count_, [&](T const& element) { return element == value; });
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

/// The sessions that ranks have open, so that one that fails can end the others, as a watchdog would.
class Sessions {
 public:
  void add(comm::DeviceSession& session) {
    std::lock_guard const lock(mutex_);
    sessions_.insert(&session);
  }
  void remove(comm::DeviceSession& session) {
    std::lock_guard const lock(mutex_);
    sessions_.erase(&session);
  }
  void cancel(std::string const& reason) {
    std::lock_guard const lock(mutex_);
    for (auto* const session : sessions_) session->cancel(reason);
  }

 private:
  std::mutex mutex_;
  std::set<comm::DeviceSession*> sessions_;
};

/// The words of what each rank threw, empty where it ended well.
inline std::vector<std::string> words_of(std::vector<std::exception_ptr> const& thrown) {
  std::vector<std::string> words;
  for (auto const& error : thrown) {
    try {
      if (error) std::rethrow_exception(error);
      words.emplace_back();
    } catch (std::exception const& known) {
      words.emplace_back(known.what());
    }
  }
  return words;
}

inline void expect_words(std::string const& text, std::initializer_list<char const*> words) {
  for (char const* const word : words)
    EXPECT_NE(text.find(word), std::string::npos) << word << " in: " << text;
}

class OnNccl : public ::testing::Test {
 protected:
  void SetUp() override { cuda::reset(); }
  void TearDown() override { EXPECT_EQ(cuda::objects_alive(), 0) << "streams, events ... that nobody ended"; }

  /// `body(world, session, communicator over all)` on `ranks` threads. What they threw.
  template <class Body>
  std::vector<std::string> run(int ranks, comm::DeviceLimits const& limits, Body const& body) {
    return words_of(run_ranks(ranks, 0, [&](comm::Communicator& world) {
      auto const session = backends::nccl::open(world, limits);
      auto const group = session->over(world.duplicate());
      body(world, *session, *group);
    }));
  }
  /// The same where nothing may fail.
  template <class Body>
  void run_well(int ranks, Body const& body) {
    for (auto const& words : run(ranks, patient, body)) EXPECT_EQ(words, "");
  }
};

}  // namespace tessera::support
