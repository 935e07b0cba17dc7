// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "events.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tessera/base/version.hpp"

namespace gpt_train {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson as_json(OverRanks const& figure) { return {{"mean", figure.mean}, {"largest", figure.largest}}; }

/// Text of a configuration need not be UTF-8; what is not is replaced.
std::string dumped(OrderedJson const& object) {
  return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::string begin_event(tessera::train::RunConfig const& config, tessera::train::Layout const& layout,
                        RunFacts const& facts) {
  return dumped({{"event", "begin"},
                 {"begins_at", facts.begins_at},
                 {"steps", config.training.steps},
                 {"version", tessera::version()},
                 {"instructions", tessera::instruction_level()},
                 {"host", host_name()},
                 {"ranks", layout.ranks()},
                 {"nodes", facts.nodes},
                 {"tp", layout.tp},
                 {"pp", layout.pp},
                 {"dp", layout.dp},
                 {"tiles", config.parallel.tiles},
                 {"sequence_parallel", config.parallel.sequence_parallel},
                 {"schedule", config.parallel.schedule},
                 {"precision", config.training.precision},
                 {"matmul", facts.matmul},
                 {"peak_flops", facts.peak_flops},
                 {"model", config.model.name},
                 {"parameters", tessera::model::parameter_count(config.model)},
                 {"flops_per_token", tessera::model::flops_per_token(config.model, config.batch.seq_length)},
                 {"seq_length", config.batch.seq_length},
                 {"global_batch_size", config.batch.global_batch_size},
                 {"microbatches_per_replica", layout.microbatches_per_replica},
                 {"stored_parameters_per_rank", as_json(facts.stored_parameters)},
                 {"predicted_bytes_per_rank", as_json(facts.predicted_bytes)}});
}

std::string end_event(RunResult const& result) {
  OrderedJson event{{"event", "end"}, {"code", result.code}};
  if (result.weights) {
    event["weights"] = fmt::format("{:016x}", *result.weights);
    event["tokens_per_s"] = result.tokens_per_s;
    event["used_bytes"] = result.used_bytes;
  }
  return dumped(event);
}

}  // namespace gpt_train
