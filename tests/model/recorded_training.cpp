// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "recorded_training.hpp"

#include <fmt/format.h>

#include "support/device.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/pipeline/generators.hpp"

namespace tessera::model::test {

namespace {

train::RunConfig run_config(recorded::Config const& recording, Cut const& cut, DType type) {
  train::RunConfig config;
  auto& model = config.model;
  model.layers = recording.layers;
  model.hidden_size = recording.hidden;
  model.heads = recording.heads;
  model.ffn_hidden_size = recording.feed_forward;
  model.vocab_size = recording.vocabulary;
  model.max_positions = recording.positions;
  model.layer_norm_epsilon = recording.norm_epsilon;
  config.batch = {recording.sequence_length, recording.microbatch_size, recording.global_batch_size};
  config.parallel.tp = cut.shape.tp;
  config.parallel.pp = cut.shape.pp;
  config.parallel.dp = cut.shape.dp;
  config.parallel.sequence_parallel = cut.sequence_parallel;
  config.parallel.tiles = cut.tiles;
  config.training.precision = type == DType::f64   ? "float64"
                              : type == DType::f32 ? "float32"
                              : type == DType::f16 ? "fp16"
                                                   : "bf16";
  return config;
}

}  // namespace

std::string Cut::name() const {
  return fmt::format("tp {} pp {} dp {}{} tiles {}", shape.tp, shape.pp, shape.dp,
                     sequence_parallel ? " SP" : "", tiles);
}

template <class T>
RecordedWork<T>::RecordedWork(Stage<T>& stage, layers::Context const& context, params::ParameterHooks& hooks,
                              recorded::Config const& recording, std::int64_t first_microbatch)
    : stage_(&stage),
      context_(context),
      hooks_(&hooks),
      scale_(loss_scale<T> / (recording.global_batch_size * recording.sequence_length)),
      arena_("tessera::test::tokens") {
  auto const microbatches = static_cast<std::size_t>(stage.layout().batch_tiles.microbatches());
  auto const rows = static_cast<std::size_t>(context.tokens.rows());
  tokens_ = arena_.matrix<std::int32_t>(microbatches, rows);
  targets_ = arena_.matrix<std::int32_t>(microbatches, rows);
  losses_ = arena_.matrix<Wide<T>>(microbatches, rows);
  int const batch = recording.microbatch_size;
  auto const tokens = support::on_host<std::int32_t>(tokens_);
  auto const targets = support::on_host<std::int32_t>(targets_);
  for (std::size_t i = 0; i < microbatches; ++i) {
    for (std::size_t row = 0; row < rows; ++row) {
      int const sequence =
          (static_cast<int>(first_microbatch) + static_cast<int>(i)) * batch + static_cast<int>(row) % batch;
      int const position = static_cast<int>(row) / batch;
      tokens(i, row) = recorded::token(recording, sequence, position);
      targets(i, row) = recorded::token(recording, sequence, position + 1);
    }
  }
}

template <class T>
layers::Context RecordedWork<T>::context_of(int microbatch) const {
  auto context = context_;
  context.target = params::gradient_target(stage_->layout().batch_tiles, microbatch);
  return context;
}

template <class T>
void RecordedWork<T>::forward(int microbatch) {
  stage_->forward(context_of(microbatch), slot(microbatch),
                  slice(tokens_, static_cast<std::size_t>(microbatch)), *hooks_);
}

template <class T>
void RecordedWork<T>::backward(int microbatch) {
  auto const i = static_cast<std::size_t>(microbatch);
  auto const context = context_of(microbatch);
  if (stage_->layout().is_last()) {
    stage_->loss_and_gradient(context, slot(microbatch), slice(targets_, i), static_cast<Wide<T>>(scale_),
                              slice(losses_, i), *hooks_);
  }
  stage_->backward(context, slot(microbatch), slice(tokens_, i), *hooks_);
}

template <class T>
double RecordedWork<T>::loss_sum() const {
  double sum = 0;
  for (std::size_t i = 0; i < losses_.size(); ++i) sum += losses_.data()[i];
  return sum;
}

template <class T>
RecordedTraining<T>::RecordedTraining(std::unique_ptr<comm::Communicator> world,
                                      recorded::Config const& recording, Cut const& cut)
    : recording_(recording),
      matmul_(kernels::make_matmul_provider("auto", dtype_of<T>)),
      arena_("tessera::test::model") {
  auto const config = run_config(recording, cut, dtype_of<T>);
  auto const layout = train::resolve(config, world->size());
  mesh::MeshOptions options;
  options.explicit_tiles = layout.explicit_tiles;
  mesh_.emplace(std::move(world), cut.shape, options, ledger_);
  auto const& place = mesh_->coordinates();
  plan_ = train::make_plan(config, layout, {place.tp, place.pp, place.dp});
  schedule_ = train::training_schedule(config, plan_);
  stage_.emplace(config.model, plan_.specs, plan_.stage, arena_, arena_);
  reducer_.emplace(store(), exec_, mesh_->dp_buckets(),
                   data_parallel::Tie{stage_->tied_table(), stage_->tied_gradient(), mesh_->tied()},
                   data_parallel::ReducerOptions{});
  squares_.emplace(arena_, store().gradient_range().end);
  background_ = {&mesh_->tp(), &mesh_->dp_buckets()};
  layers::Context context;
  context.exec = exec_;
  context.matmul = matmul_.get();
  context.tp = &mesh_->tp();
  context.background = background_;
  context.sequence_parallel = plan_.stage.sequence_parallel;
  context.tokens = plan_.stage.tokens;
  work_.emplace(*stage_, context, *reducer_, recording_, plan_.first_microbatch);
  executor_.emplace(place.pp, pipeline::Channels{&mesh_->pp_forward(), &mesh_->pp_backward()},
                    plan_.stage.slots);
  set_weights();
}

template <class T>
void RecordedTraining<T>::set_weights() {
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store().parameters().size()); ++id) {
    auto const& parameter = store()[id];
    if (parameter.role == params::Role::tied_gradient) continue;
    for (int tile = 0; tile < parameter.tiles.count; ++tile) {
      auto const where = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
      auto const values = support::on_host<Wide<T>>(store().value(id, tile));
      for (std::int64_t i = 0; i < where.outer * where.run; ++i) {
        if (i % where.run >= where.valid_run) continue;
        auto const global = where.first + i / where.run * where.stride + i % where.run;
        values(static_cast<std::size_t>(i)) =
            static_cast<Wide<T>>(recorded::initial_weight(parameter.spec.name, global));
      }
    }
  }
  stage_->round_weights(exec_);
}

template <class T>
void RecordedTraining<T>::run(pipeline::Schedule const& schedule) {
  executor_->run(schedule, *work_, StreamRef(exec_));
}

template <class T>
typename RecordedTraining<T>::Step RecordedTraining<T>::accumulate() {
  run(schedule_);
  gradients_.emplace(reducer_->finish(params::LocalGradients<T>(store())));
  std::vector<double> sums(1 + static_cast<std::size_t>(params::slot_count(plan_.specs)));
  std::span<double> const squares(sums.data() + 1, sums.size() - 1);
  bool const counts = plan_.place.tp == 0;
  if (plan_.stage.is_last() && counts) sums[0] = work_->loss_sum();
  if (plan_.place.dp == 0) squares_->add_tiles(exec_, *gradients_, counts, squares);
  all_reduce_in_place(mesh_->world(), sums, comm::Op::sum).wait_host();
  return {sums[0] / static_cast<double>(plan_.tokens_per_step()),
          optim::global_norm(squares) / loss_scale<T>};
}

template <class T>
void RecordedTraining<T>::update(double gradient_norm) {
  optim::Adamw<T> const adamw(
      {recording_.beta1, recording_.beta2, recording_.epsilon, recording_.weight_decay});
  adamw.update(exec_, std::move(*gradients_), recording_.learning_rate,
               optim::clip_scale(gradient_norm, recording_.clip) / loss_scale<T>, ++updates_);
}

template <class T>
std::vector<double> RecordedTraining<T>::logits() {
  run(pipeline::forward_only(plan_.layout.pp, 1));
  if (!plan_.stage.is_last() || plan_.place.dp != 0) return {};
  Arena arena("tessera::test::logits");
  auto const row = arena.vector<T>(static_cast<std::size_t>(stage_->padded_vocabulary()));
  std::vector<double> all;
  for (int position = 0; position < recording_.sequence_length; ++position) {
    for (int sequence = 0; sequence < recording_.microbatch_size; ++sequence) {
      stage_->logits_at(work_->context_of(0), 0, position, sequence, row);
      all.insert(all.end(), row.data(), row.data() + recording_.vocabulary);
    }
  }
  return all;
}

TESSERA_COMPUTE_TYPES(template class, RecordedTraining)

}  // namespace tessera::model::test
