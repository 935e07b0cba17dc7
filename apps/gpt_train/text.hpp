// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tessera/mesh/mesh.hpp"
#include "tessera/train/memory.hpp"
#include "tessera/train/plan.hpp"
#include "tessera/train/step_report.hpp"

namespace gpt_train {

/// "1,234,567".
[[nodiscard]] std::string grouped(std::int64_t number);
/// "12.3 MiB", with a unit that leaves one to four digits before the point.
[[nodiscard]] std::string bytes_text(double bytes);

// Lines of the run's header, one paragraph each, without a newline at the end.

[[nodiscard]] std::string model_text(tessera::train::RunConfig const& config);
/// The batch, how it is made up, and the tiles.
[[nodiscard]] std::string batch_text(tessera::train::RunConfig const& config,
                                     tessera::train::Layout const& layout);
/// "measured" or "given": where the peak that model FLOP/s are a share of comes from.
[[nodiscard]] std::string_view peak_origin(tessera::train::OutputConfig const& output);
/// "memory per rank: 12 MiB = 3 MiB parameters ... + ...".
[[nodiscard]] std::string memory_text(tessera::train::MemoryPrediction const& prediction);
/// Bytes of one checkpoint: weights and both moments.
[[nodiscard]] double checkpoint_bytes(tessera::train::RunConfig const& config);
/// "checkpoints in DIR: 1.4 GiB each, every 100 steps, the newest 2 stay", or empty.
[[nodiscard]] std::string checkpoint_text(tessera::train::RunConfig const& config);
/// "tp 37.8 MiB in 336 calls, ...": the axes that were used in a step.
[[nodiscard]] std::string traffic_text(tessera::train::StepReport const& report);
/// One line if tensor parallelism is in use and not needed, as a rank could hold its part without it in the
/// `available_bytes` that it has, or if its groups reach across nodes; else empty.
[[nodiscard]] std::string advice_text(tessera::train::RunConfig const& config,
                                      tessera::mesh::Mesh const& mesh, std::size_t available_bytes);

}  // namespace gpt_train
