// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "recorded.hpp"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tessera/base/error.hpp"

namespace tessera::recorded {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Config, layers, hidden, heads, feed_forward, vocabulary, positions,
                                   sequence_length, microbatch_size, global_batch_size, steps, norm_epsilon,
                                   learning_rate, beta1, beta2, epsilon, weight_decay, clip)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Tensor, shape, values)

void from_json(nlohmann::json const& json, Checksum& checksum) {
  checksum = {json.at(0).get<double>(), json.at(1).get<double>(), json.at(2).get<double>()};
}

void from_json(nlohmann::json const& json, SpotCheck& check) {
  check = {json.at(0).get<std::int64_t>(), json.at(1).get<double>()};
}

void from_json(nlohmann::json const& json, Recording& recording) {
  json.at("config").get_to(recording.config);
  json.at("tokens").get_to(recording.tokens);
  json.at("initial_weights").get_to(recording.initial_weights);
  json.at("logits").get_to(recording.logits);
  json.at("gradients").get_to(recording.gradients);
  json.at("losses").get_to(recording.losses);
  json.at("gradient_norms").get_to(recording.gradient_norms);
  json.at("final_weights").get_to(recording.final_weights);
}

void from_json(nlohmann::json const& json, Course& course) {
  json.at("config").get_to(course.config);
  json.at("losses").get_to(course.losses);
  json.at("gradient_norms").get_to(course.gradient_norms);
}

namespace {

std::uint64_t fnv1a(std::string_view name) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (unsigned char const byte : name) value = (value ^ byte) * 0x100000001B3u;
  return value;
}

std::uint64_t splitmix64(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

std::uint64_t number(std::string_view name, std::int64_t index) {
  return splitmix64(fnv1a(name) + static_cast<std::uint64_t>(index));
}

template <class Recorded>
Recorded read_as(std::string const& precision) {
  std::string const path = std::string(TESSERA_REFERENCE_DIR) + "/gpt2_" + precision + ".json";
  std::ifstream file(path);
  if (!file) throw DataError(path + ": cannot be read; make it with tests/reference/generate_gpt2.py");
  try {
    return nlohmann::json::parse(file).get<Recorded>();
  } catch (nlohmann::json::exception const& error) {
    throw DataError(path + ": not a recording of generate_gpt2.py: " + error.what());
  }
}

}  // namespace

Recording read(std::string const& precision) { return read_as<Recording>(precision); }

Course read_course(std::string const& precision) { return read_as<Course>(precision); }

double initial_weight(std::string_view name, std::int64_t index) {
  double const centred = static_cast<double>(number(name, index) >> 44) * 0x1p-22 - 0x1p-3;
  return name.ends_with(".gamma") ? centred + 1 : centred;
}

int token(Config const& config, int sequence, int position) {
  auto const index = std::int64_t{sequence} * (config.sequence_length + 1) + position;
  return static_cast<int>(number("tokens", index) % static_cast<std::uint64_t>(config.vocabulary));
}

Checksum checksum(std::vector<double> const& values) {
  Checksum result;
  auto const count = static_cast<double>(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    result.sum += values[i];
    result.norm += values[i] * values[i];
    result.ramp += static_cast<double>(i + 1) / count * values[i];
  }
  result.norm = std::sqrt(result.norm);
  return result;
}

}  // namespace tessera::recorded
