// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::backends::nccl {

namespace {

/// The words of a failure as they travel: cut to fit, ended by zeros.
struct Words {
  bool of_device = false;
  std::array<std::uint8_t, 511> text{};
};

struct Failure {
  std::exception_ptr error;
  Words words;
};

Words words_of(std::exception const& error) {
  Words words;
  words.of_device = dynamic_cast<DeviceError const*>(&error) != nullptr;
  std::string_view const text(error.what());
  std::copy_n(text.begin(), std::min(text.size(), words.text.size()), words.text.begin());
  return words;
}

std::optional<Failure> attempt(std::function<void()> const& action) {
  try {
    action();
    return std::nullopt;
  } catch (std::exception const& error) {
    return Failure{std::current_exception(), words_of(error)};
  }
}

Words broadcast_words(comm::Communicator& group, Words words, int root) {
  std::array<std::uint8_t, 512> bytes{words.of_device};
  std::copy(words.text.begin(), words.text.end(), bytes.begin() + 1);
  comm::broadcast(group, bytes, root).wait_host();
  words.of_device = bytes[0] != 0;
  std::copy(bytes.begin() + 1, bytes.end(), words.text.begin());
  return words;
}

}  // namespace

void together(comm::Communicator& group, std::function<void()> const& action) {
  auto const failure = attempt(action);
  int const first = comm::all_reduce_value(group, failure ? group.rank() : group.size(), comm::Op::min);
  if (first == group.size()) return;
  Words const words = broadcast_words(group, failure ? failure->words : Words{}, first);
  if (failure) std::rethrow_exception(failure->error);
  std::string const text(words.text.begin(), std::find(words.text.begin(), words.text.end(), 0));
  auto const message = fmt::format("rank {} of {} failed: {}", first, group.size(), text);
  if (words.of_device) throw DeviceError(message);
  throw CommError(message);
}

}  // namespace tessera::backends::nccl
