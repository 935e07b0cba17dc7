// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/comm/call.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// What one rank did with one operation.
struct OperationTotals {
  std::uint64_t calls = 0;
  /// Payload (call.hpp).
  std::uint64_t bytes = 0;
  /// Seconds the host was blocked waiting for it: communication that nothing hid.
  double exposed_s = 0;
  /// Seconds from its start until it was seen to have ended.
  double in_flight_s = 0;

  OperationTotals& operator+=(OperationTotals const& other) noexcept;
};

/// All operations of one axis.
struct AxisTotals {
  std::array<OperationTotals, operation_count> by_operation{};

  [[nodiscard]] OperationTotals const& operator[](Operation operation) const noexcept {
    return by_operation[static_cast<std::size_t>(operation)];
  }
  [[nodiscard]] OperationTotals sum() const noexcept;
};

/// What the recorded communicators of one rank did since the last reset, by axis. Several communicators may
/// record under one axis. Nothing is allocated after the last communicator was made.
class Ledger {
 public:
  /// The totals of `axis`, zero if nothing was ever recorded under it. A copy: a snapshot.
  [[nodiscard]] AxisTotals totals(std::string_view axis) const noexcept;
  /// Over all axes.
  [[nodiscard]] OperationTotals sum() const noexcept;
  /// Names of the axes, in the order their first communicator was made.
  [[nodiscard]] std::vector<std::string> const& axes() const noexcept { return names_; }
  /// Sets everything to zero; operations under way add the rest of their time after it.
  void reset() noexcept;

  /// For make_recorded: where to record under `axis`. Valid as long as the ledger.
  [[nodiscard]] AxisTotals& entry(std::string_view axis);

 private:
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<AxisTotals>> totals_;
};

/// `inner`, with every operation recorded in `ledger` under `axis`. Communicators split or duplicated from it
/// record under the same axis. A group of one rank records nothing: nothing travels. `ledger` outlives the
/// result.
[[nodiscard]] std::unique_ptr<Communicator> make_recorded(std::unique_ptr<Communicator> inner, Ledger& ledger,
                                                          std::string axis);

}  // namespace tessera::comm
