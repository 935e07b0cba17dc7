// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "collective.hpp"

#include "tessera/comm/collectives.hpp"

namespace tessera::bench {

namespace {

using comm::Communicator;
using comm::Op;

/// Element `i` of the whole buffer of rank `rank`.
float contribution(std::size_t i, std::size_t rank) { return static_cast<float>((i + 3 * rank) % 7); }

float sum_of_all(std::size_t i, std::size_t ranks) {
  float sum = 0;
  for (std::size_t rank = 0; rank < ranks; ++rank) sum += contribution(i, rank);
  return sum;
}

std::span<float> part_of(std::vector<float>& whole, std::size_t rank, std::size_t count) {
  return std::span(whole).subspan(rank * count, count);
}

void all_reduce(Communicator& comm, Buffers& data, bool in_place) {
  if (in_place) {
    comm::all_reduce_in_place(comm, data.whole, Op::sum).wait_host();
  } else {
    comm::all_reduce(comm, data.whole, data.other, Op::sum).wait_host();
  }
}

void all_gather(Communicator& comm, Buffers& data, bool in_place) {
  if (in_place) {
    comm::all_gather_in_place(comm, data.whole).wait_host();
  } else {
    comm::all_gather(comm, data.part, data.other).wait_host();
  }
}

void reduce_scatter(Communicator& comm, Buffers& data, bool in_place) {
  auto const own = in_place ? part_of(data.whole, static_cast<std::size_t>(comm.rank()), data.part.size())
                            : std::span(data.part);
  comm::reduce_scatter(comm, data.whole, own, Op::sum).wait_host();
}

void broadcast(Communicator& comm, Buffers& data, bool) { comm::broadcast(comm, data.whole, 0).wait_host(); }

std::span<float const> whole_result(Buffers const& data, bool in_place, std::size_t) {
  return in_place ? data.whole : data.other;
}
std::span<float const> part_result(Buffers const& data, bool in_place, std::size_t rank) {
  if (!in_place) return data.part;
  return std::span(data.whole).subspan(rank * data.part.size(), data.part.size());
}

float sum_everywhere(std::size_t i, std::size_t, std::size_t ranks, std::size_t) {
  return sum_of_all(i, ranks);
}
float sum_of_part(std::size_t i, std::size_t rank, std::size_t ranks, std::size_t part) {
  return sum_of_all(rank * part + i, ranks);
}
float of_its_rank(std::size_t i, std::size_t, std::size_t, std::size_t part) {
  return contribution(i, i / part);
}
float of_rank_0(std::size_t i, std::size_t, std::size_t, std::size_t) { return contribution(i, 0); }

double twice_others(double ranks) { return 2 * (ranks - 1) / ranks; }
double others(double ranks) { return (ranks - 1) / ranks; }
double once(double) { return 1; }

constexpr Collective table[] = {
    {"all_reduce", "Allreduce", "sum", -1, true, false, false, &twice_others, &all_reduce, &whole_result,
     &sum_everywhere},
    {"all_gather", "Allgather", "none", -1, true, true, true, &others, &all_gather, &whole_result,
     &of_its_rank},
    {"reduce_scatter", "Reduce_scatter", "sum", -1, true, true, false, &others, &reduce_scatter, &part_result,
     &sum_of_part},
    {"broadcast", "Broadcast", "none", 0, false, false, false, &once, &broadcast, &whole_result, &of_rank_0}};

}  // namespace

std::span<Collective const> collectives() { return table; }

void fill(Buffers& data, std::size_t rank) {
  for (std::size_t i = 0; i < data.whole.size(); ++i) data.whole[i] = contribution(i, rank);
  for (std::size_t i = 0; i < data.part.size(); ++i)
    data.part[i] = contribution(rank * data.part.size() + i, rank);
}

std::int64_t wrong_elements(Collective const& collective, Buffers const& data, bool in_place,
                            std::size_t rank, std::size_t ranks) {
  auto const got = collective.result(data, in_place, rank);
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    wrong += got[i] != collective.expected(i, rank, ranks, data.part.size());
  return wrong;
}

}  // namespace tessera::bench
