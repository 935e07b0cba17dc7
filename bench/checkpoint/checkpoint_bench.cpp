// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How fast checkpoints are written, copied aside and verified, against what the disk and the memory do with
// the same bytes in the same run, in turns.
//
//   [mpirun -n N] bench_checkpoint DIRECTORY [MiB per rank: 1024] [rounds: 5]
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "support/hosts.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/loader.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/checkpoint/verify.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/session.hpp"

namespace {

using namespace tessera;
using namespace tessera::checkpoint;

constexpr std::int64_t tiles = 8;
constexpr std::int64_t width = 1024;
constexpr std::size_t large_write = std::size_t{8} << 20;

/// A model's worth of matrices (rows, 1024), rows over the ranks, each matrix in tiles along its columns.
class State {
 public:
  State(int rank, int ranks, std::size_t bytes) : elements_(bytes / sizeof(float)) {
    for (std::size_t k = 0; k < elements_.size(); ++k) elements_[k] = static_cast<float>(k * 2654435761U);
    std::int64_t const rows = 4096;
    auto const matrix = static_cast<std::size_t>(rows * width);
    snapshot_.layout = {ranks, ranks, 1, 1, tiles};
    for (std::size_t first = 0; first + matrix <= elements_.size(); first += matrix) {
      auto const index = snapshot_.tensors.size();
      snapshot_.tensors.push_back(
          {fmt::format("layers.{}.weight", index), DType::f32, {ranks * rows, width}});
      auto& part = snapshot_.parts.emplace_back(Part{index, {{rank * rows, 0}, {rows, width}}, {}, {}});
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        std::int64_t const columns = width / tiles;
        Box const box{{rank * rows, tile * columns}, {rows, columns}};
        auto const* const memory = &elements_[first + static_cast<std::size_t>(tile * rows * columns)];
        part.sources.push_back(row_major(reinterpret_cast<std::byte const*>(memory), box));
      }
    }
  }
  Snapshot const& at(std::int64_t step) {
    snapshot_.step = step;
    return snapshot_;
  }
  [[nodiscard]] std::span<std::byte const> bytes() const { return std::as_bytes(std::span(elements_)); }

 private:
  std::vector<float> elements_;
  Snapshot snapshot_;
};

/// Names of measurements to their times.
using Times = std::map<std::string, std::vector<double>>;

/// Seconds of the slowest rank.
double timed(comm::Communicator& world, std::function<void()> const& action) {
  ::sync();  // what was written before is no part of it
  comm::barrier(world);
  auto const start = std::chrono::steady_clock::now();
  action();
  double const own = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return comm::all_reduce_value(world, own, comm::Op::max);
}

double best(std::vector<double> const& times) { return *std::ranges::min_element(times); }

void write_plainly(std::string const& path, std::span<std::byte const> bytes) {
  auto file = create_file(path);
  for (std::size_t at = 0; at < bytes.size(); at += large_write) {
    auto const block = bytes.subspan(at, std::min(large_write, bytes.size() - at));
    write_at(file, static_cast<std::int64_t>(at), block, path);
  }
  sync_file(file, path);
  close_file(std::move(file), path);
}

/// Makes the next reading of a file come from the disk.
void forget(std::string const& path) {
  auto const file = open_to_read(path);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

void read_plainly(std::string const& path, std::vector<std::byte>& buffer) {
  auto const file = open_to_read(path);
  auto const size = file_size(file, path);
  for (std::int64_t at = 0; at < size; at += std::ssize(buffer)) {
    auto const count = static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(buffer), size - at));
    read_at(file, at, std::span(buffer).first(count), path);
  }
}

class Bench {
 public:
  Bench(comm::Communicator& world, std::string const& directory, std::size_t bytes)
      : world_(world),
        directory_(directory),
        plain_(fmt::format("{}/plain_{}", directory, world.rank())),
        state_(world.rank(), world.size(), bytes),
        copy_(bytes) {}

  void round(std::int64_t step) {
    times_["memcpy"].push_back(
        timed(world_, [&] { std::memcpy(copy_.data(), state_.bytes().data(), copy_.size()); }));
    remove_tree(plain_);
    // In turns, since a disk may be slower the more it has just written.
    for (int turn = 0; turn < 3; ++turn) {
      switch ((turn + step) % 3) {
        case 0:
          times_["write and fsync"].push_back(timed(world_, [&] { write_plainly(plain_, state_.bytes()); }));
          break;
        case 1: save(3 * step, true); break;
        default: save(3 * step + 1, false);
      }
    }
    read(3 * step);
    comm::barrier(world_);
    if (world_.rank() == 0) remove_tree(directory_ + "/steps");
  }

  /// Collective.
  void report() {
    auto const nodes = bench::different(bench::hosts_of(world_));
    if (world_.rank() != 0) return;
    double const gigabytes = 1e-9 * static_cast<double>(copy_.size()) * world_.size();
    fmt::print("{:.2f} GB on {} ranks, {} nodes, best of {} rounds\n", gigabytes, world_.size(), nodes,
               times_["memcpy"].size());
    for (auto const& [name, times] : times_) {
      fmt::print("{:28}{:8.3f} s{:8.2f} GB/s\n", name, best(times), gigabytes / best(times));
    }
    auto const ratio = [&](char const* a, char const* b) { return best(times_[a]) / best(times_[b]); };
    fmt::print("rate of a save / write and fsync   {:.2f} (aim >= 0.8)\n", ratio("write and fsync", "save"));
    fmt::print("blocked by a save / memcpy         {:.2f} (aim <= 1.5)\n", ratio("blocked", "memcpy"));
    fmt::print("rate of verify / read              {:.2f} (aim >= 0.7)\n", ratio("read", "verify"));
    fmt::print("Figure of Merit (FOM): {:.3f} GB/s\n", gigabytes / best(times_["save"]));
  }

 private:
  void save(std::int64_t step, bool synchronous) {
    Saver saver(world_.duplicate(), {directory_ + "/steps", 0, synchronous, 1});
    saver.reserve(state_.at(step));
    if (synchronous) {
      times_["save"].push_back(timed(world_, [&] { saver.begin(state_.at(step)); }));
      return;
    }
    times_["blocked"].push_back(timed(world_, [&] { saver.begin(state_.at(step)); }));
    auto const result = saver.finish();
    times_["asynchronous until committed"].push_back(result->total_s);
  }

  void read(std::int64_t step) {
    auto const directory = fmt::format("{}/steps/step_{:08}", directory_, step);
    std::vector<std::byte> buffer(large_write);
    forget(plain_);
    times_["read"].push_back(timed(world_, [&] { read_plainly(plain_, buffer); }));
    comm::barrier(world_);
    if (world_.rank() == 0) {
      for (auto const& name : list_directory(directory)) forget(path_in(directory, name));
    }
    times_["verify"].push_back(timed(world_, [&] { static_cast<void>(Loader::open(world_, directory)); }));
  }

  comm::Communicator& world_;
  std::string directory_;
  std::string plain_;
  State state_;
  std::vector<std::byte> copy_;
  Times times_;
};

}  // namespace

int main(int argc, char** argv) try {
  auto const session = comm::open_session(comm::launcher_place() ? "mpi" : "loopback", argc, argv);
  auto const world = session->world();
  if (argc < 2)
    throw ConfigError({"usage: bench_checkpoint DIRECTORY [MiB per rank] [rounds]"}, ExitCode::usage);
  auto const megabytes = static_cast<std::size_t>(argc > 2 ? std::atoi(argv[2]) : 1024);
  Bench bench(*world, argv[1], std::max<std::size_t>(megabytes / 16 * 16, 16) << 20);
  for (int round = 0; round < (argc > 3 ? std::atoi(argv[3]) : 5); ++round) bench.round(round);
  bench.report();
  return 0;
} catch (Error const& error) {
  fmt::print(stderr, "bench_checkpoint: {}\n", error.what());
  return static_cast<int>(error.code());
}
