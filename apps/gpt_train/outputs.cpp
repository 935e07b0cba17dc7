// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "outputs.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace gpt_train {

using tessera::ExitCode;
using tessera::IoError;

namespace {

constexpr std::size_t most_spans = 1 << 20;

/// Opens an output that must not destroy an earlier one.
std::ofstream create(std::string const& option, std::string const& path) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored))
    std::filesystem::rename(path, path + ".previous", ignored);
  std::ofstream file(path);
  if (!file) {
    throw IoError(fmt::format("{} = \"{}\" cannot be created: {}", option, path, std::strerror(errno)),
                  ExitCode::cannot_create);
  }
  return file;
}

/// The texts of all ranks, in rank order, on rank 0.
std::string gather_text(tessera::comm::Communicator& world, std::string const& own) {
  auto const sizes = all_gather_values(world, static_cast<std::uint64_t>(own.size()));
  auto const bytes = [](auto& text) {
    return std::span(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  };
  if (world.rank() != 0) {
    auto copy = own;
    send(world, bytes(copy), 0).wait_host();
    return {};
  }
  auto all = own;
  for (int rank = 1; rank < world.size(); ++rank) {
    std::string part(sizes[static_cast<std::size_t>(rank)], '\0');
    receive(world, bytes(part), rank).wait_host();
    all += ",\n" + part;
  }
  return all;
}

}  // namespace

MetricsFile::MetricsFile(std::string const& path) : path_(path) {
  if (!path_.empty()) file_ = create("output.metrics", path_);
}

void MetricsFile::write(std::string const& line) {
  if (path_.empty()) return;
  file_ << line << '\n' << std::flush;
  if (!file_)
    throw IoError(fmt::format("output.metrics = \"{}\": writing failed: {}", path_, std::strerror(errno)));
}

TraceFile::TraceFile(std::string path, tessera::comm::Communicator& world) : path_(std::move(path)) {
  if (path_.empty()) return;
  barrier(world);
  recorder_ = std::make_unique<tessera::TraceRecorder>(most_spans);
  tessera::set_trace_recorder(recorder_.get());
}

TraceFile::~TraceFile() { tessera::set_trace_recorder(nullptr); }

void TraceFile::write(tessera::mesh::Mesh const& mesh) {
  if (!recorder_) return;
  tessera::set_trace_recorder(nullptr);
  auto const& place = mesh.coordinates();
  auto const text =
      gather_text(mesh.world(), recorder_->events(place.pp, fmt::format("stage {}", place.pp), mesh.rank(),
                                                  fmt::format("rank {} (pp {}, dp {}, tp {})", mesh.rank(),
                                                              place.pp, place.dp, place.tp)));
  if (mesh.rank() != 0) return;
  auto file = create("output.trace", path_);
  file << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" << text << "\n]}\n" << std::flush;
  if (!file)
    throw IoError(fmt::format("output.trace = \"{}\": writing failed: {}", path_, std::strerror(errno)));
}

}  // namespace gpt_train
