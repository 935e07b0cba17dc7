// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Small things that a watchdog does with the records of processes.
#pragma once

#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/watchdog/hang_report.hpp"
#include "train/watchdog/processes.hpp"

namespace tessera::train {

/// What a process is asked to do, in its record.
enum Order : std::uint32_t {
  order_speak = 1,
  order_end = 2,
  order_be_quiet = 4  ///< of processes that end: the job ends
};

/// Where a rank of the world runs.
struct RankPlace {
  std::int32_t node = 0;     ///< its lowest rank
  std::int32_t process = 0;  ///< number in the system of the host
  std::array<char, 64> host{};
};

/// The `index`-th rank of a node; -1 where there are not so many.
inline int rank_of_node(std::vector<RankPlace> const& places, int node, int index) {
  for (std::size_t other = 0; other < places.size(); ++other) {
    if (places[other].node == node && index-- == 0) return static_cast<int>(other);
  }
  return -1;
}

/// What is known of a rank whose node does not answer.
inline ProcessView silent_view(std::vector<RankPlace> const& places, std::size_t rank) {
  ProcessView view;
  view.rank = static_cast<int>(rank);
  view.host = places[rank].host.data();
  view.process = places[rank].process;
  view.state = '?';
  return view;
}

/// Whether its process is there and runs.
inline bool lives(comm::ProcessRecord const& record) {
  char const state = state_of(record.process, record.started);
  return record.phase == comm::ProcessRecord::Phase::running && !has_ended(state) && !is_stopped(state);
}

/// The records of a node and the states of their processes, as they travel between nodes.
inline std::string packed(std::span<comm::ProcessRecord const> records, comm::ProcessRecord const& own) {
  std::string text;
  for (auto const& record : records) {
    text += &record == &own ? 'R' : state_of(record.process, record.started);
    text.append(reinterpret_cast<char const*>(&record), sizeof(record));
  }
  return text;
}

inline std::vector<ProcessView> unpacked(std::string_view text) {
  std::vector<ProcessView> views;
  for (; text.size() > sizeof(comm::ProcessRecord); text.remove_prefix(1 + sizeof(comm::ProcessRecord))) {
    auto const record = std::make_unique<comm::ProcessRecord>();
    std::memcpy(static_cast<void*>(record.get()), text.data() + 1, sizeof(comm::ProcessRecord));
    if (record->phase != comm::ProcessRecord::Phase::absent) views.push_back(view_of(*record, text.front()));
  }
  return views;
}

/// Writes all of it at once, so that lines of other processes do not come in between.
inline void write_error(std::string const& text) {
  for (std::size_t done = 0; done < text.size();) {
    auto const written = ::write(STDERR_FILENO, text.data() + done, text.size() - done);
    if (written <= 0) return;
    done += static_cast<std::size_t>(written);
  }
}

}  // namespace tessera::train
