// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "support/hosts.hpp"
#include "tessera/base/version.hpp"

namespace tessera::bench {

namespace {

constexpr double micro = 1e6;
constexpr double giga = 1e-9;

double mean_bus_rate(std::span<Measurement const> all) {
  double sum = 0;
  for (auto const& one : all) sum += one.bus_rate();
  return all.empty() ? 0 : sum / static_cast<double>(all.size());
}

/// As nccl-tests does: more digits the shorter the time, in seven places.
std::string nccl_time(double us) {
  if (us >= 10000) return fmt::format("{:7.0f}", us);
  return fmt::format("{:7.{}f}", us, us >= 100 ? 1 : 2);
}

std::string nccl_half(Measurement const* one) {
  if (one == nullptr) return fmt::format("  {:>7}  {:>6}  {:>6}  {:>5}", "N/A", "N/A", "N/A", "N/A");
  return fmt::format("  {}  {:6.2f}  {:6.2f}  {:>5}", nccl_time(one->median_s * micro),
                     one->algorithm_rate() * giga, one->bus_rate() * giga, one->wrong);
}

std::string nccl_opening(RunHead const& head) {
  auto text = fmt::format(
      "# Measured by bench_comm of Tessera {} in the layout of nccl-tests; time is the median\n"
      "# nThread 1 nGpus 1 minBytes {} maxBytes {} step: {}(factor) warmup iters: {} iters: {} agg iters: 1 "
      "validation: 1 graph: 0\n#\n# Using devices\n",
      version(), head.min_bytes, head.max_bytes, head.factor, head.repetition.warmup,
      head.repetition.iterations);
  for (int rank = 0; rank < head.ranks; ++rank) {
    auto const place = static_cast<std::size_t>(rank);
    text += fmt::format("#  Rank {:2} Group  0 Pid {:6} on {:>10} device {:2} [0x00] host memory\n", rank,
                        head.processes[place], head.hosts[place], 0);
  }
  return text;
}

/// Sizes that the group was asked for, each once.
std::vector<std::size_t> sizes_of(std::span<Measurement const> group) {
  std::vector<std::size_t> sizes;
  for (auto const& one : group) {
    if (sizes.empty() || sizes.back() != one.asked_bytes) sizes.push_back(one.asked_bytes);
  }
  return sizes;
}

Measurement const* find(std::span<Measurement const> group, std::size_t asked_bytes, bool in_place) {
  auto const found = std::ranges::find_if(
      group, [&](auto const& one) { return one.asked_bytes == asked_bytes && one.in_place == in_place; });
  return found == group.end() ? nullptr : &*found;
}

std::string nccl_group(std::span<Measurement const> group) {
  auto const& collective = *group.front().collective;
  auto text = fmt::format("#\n# {} by {}\n", collective.name, group.front().kind);
  text += fmt::format("# {:>71}  {:>33}\n", "out-of-place", "in-place");
  text += fmt::format("# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}", "size", "count", "type", "redop", "root");
  for (int half = 0; half < 2; ++half)
    text += fmt::format("  {:>7}  {:>6}  {:>6}  {:>5}", "time", "algbw", "busbw", "#wrong");
  text += fmt::format("\n# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}", "(B)", "(elements)", "", "", "");
  for (int half = 0; half < 2; ++half)
    text += fmt::format("  {:>7}  {:>6}  {:>6}  {:>5}", "(us)", "(GB/s)", "(GB/s)", "");
  text += '\n';
  for (auto const asked : sizes_of(group)) {
    auto const *const out = find(group, asked, false), *const in = find(group, asked, true);
    auto const& one = out != nullptr ? *out : *in;
    text += fmt::format("{:12}  {:12}  {:>8}  {:>6}  {:>6}{}{}\n", one.bytes, one.count(), "float",
                        collective.redop, collective.root, nccl_half(out), nccl_half(in));
  }
  return text;
}

std::string osu_group(std::span<Measurement const> group) {
  auto const& collective = *group.front().collective;
  auto text = fmt::format(
      "\n# OSU MPI {} Latency Test\n# Measured by bench_comm of Tessera {} in the layout of the OSU "
      "Micro-Benchmarks: {} by {}\n",
      collective.osu_name, version(), collective.name, group.front().kind);
  text += fmt::format("{:<10}{:>20}{:>20}{:>20}{:>20}\n", "# Size", "Avg Latency(us)", "Min Latency(us)",
                      "Max Latency(us)", "Iterations");
  for (auto const asked : sizes_of(group)) {
    auto const* const out = find(group, asked, false);
    auto const& one = out != nullptr ? *out : *find(group, asked, true);
    text +=
        fmt::format("{:<10}{:>20.2f}{:>20.2f}{:>20.2f}{:>20}\n",
                    collective.osu_names_part ? asked / static_cast<std::size_t>(one.ranks) : asked,
                    one.rank_mean_s * micro, one.rank_min_s * micro, one.rank_max_s * micro, one.iterations);
  }
  return text;
}

/// Names and values of a row of JSON or CSV; what is text is quoted in JSON.
struct Cell {
  std::string_view name;
  std::string value;
  bool text = false;
};

std::vector<Cell> cells(Measurement const& one) {
  auto const number = [](double value) { return fmt::format("{:.6g}", value); };
  return {{"collective", std::string(one.collective->name), true},
          {"kind", one.kind, true},
          {"ranks", std::to_string(one.ranks)},
          {"asked_bytes", std::to_string(one.asked_bytes)},
          {"bytes", std::to_string(one.bytes)},
          {"count", std::to_string(one.count())},
          {"type", "float", true},
          {"in_place", one.in_place ? "true" : "false"},
          {"iterations", std::to_string(one.iterations)},
          {"time_us", number(one.median_s * micro)},
          {"mean_us", number(one.mean_s * micro)},
          {"min_us", number(one.min_s * micro)},
          {"max_us", number(one.max_s * micro)},
          {"algbw_gbps", number(one.algorithm_rate() * giga)},
          {"busbw_gbps", number(one.bus_rate() * giga)},
          {"wrong", std::to_string(one.wrong)}};
}

std::string json_row(Measurement const& one) {
  std::string text = "{";
  for (auto const& cell : cells(one)) {
    text += fmt::format(R"({}"{}":)", text.size() > 1 ? "," : "", cell.name);
    text += cell.text ? fmt::format(R"("{}")", cell.value) : cell.value;
  }
  return text + "}";
}

template <class Value>
std::string comma_separated(std::vector<Cell> const& row, Value const& value) {
  std::string text;
  for (auto const& cell : row) text += fmt::format("{}{}", text.empty() ? "" : ",", value(cell));
  return text + "\n";
}

}  // namespace

std::string listed(std::span<std::string const> names, std::string_view quote) {
  std::string text;
  for (auto const& name : names)
    text += fmt::format("{}{}{}{}", text.empty() ? "" : ", ", quote, name, quote);
  return text;
}

std::string opening(Format format, RunHead const& head) {
  if (format == Format::nccl) return nccl_opening(head);
  if (format == Format::json)
    return fmt::format(
        "{{\"program\":\"bench_comm\",\"version\":\"{}\",\"ranks\":{},\"nodes\":{},\"left_out\":[{}],"
        "\"rows\":[\n",
        version(), head.ranks, different(head.hosts), listed(head.left_out, "\""));
  if (format == Format::csv)
    return comma_separated(cells({.collective = collectives().data(), .kind = "", .median_s = 1}),
                           [](Cell const& cell) { return cell.name; });
  return {};
}

std::string group_text(Format format, std::span<Measurement const> group, bool first) {
  std::string text;
  switch (format) {
    case Format::nccl: return nccl_group(group);
    case Format::osu: return osu_group(group);
    case Format::json:
      for (auto const& one : group)
        text += fmt::format("{}{}", first && &one == &group.front() ? "" : ",\n", json_row(one));
      return text;
    case Format::csv:
      for (auto const& one : group)
        text += comma_separated(cells(one), [](Cell const& cell) { return cell.value; });
      return text;
    case Format::table: break;
  }
  return text;
}

std::string closing(Format format, std::span<Measurement const> all) {
  double const rate = mean_bus_rate(all) * giga;
  if (format == Format::json) return fmt::format("\n],\"mean_busbw_gbps\":{:.6g}}}\n", rate);
  std::int64_t wrong = 0;
  for (auto const& one : all) wrong += one.wrong;
  auto const merit = fmt::format("Figure of Merit (FOM): {:.6f} GB/s\n", rate);
  switch (format) {
    case Format::nccl:
      return fmt::format("# Out of bounds values : {} {}\n# Avg bus bandwidth    : {:.6g} \n#\n# {}", wrong,
                         wrong == 0 ? "OK" : "FAILED", rate, merit);
    case Format::osu: return "\n# " + merit;
    case Format::table: return merit;
    default: return {};
  }
}

}  // namespace tessera::bench
