// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/session.hpp"

#include "communicator.hpp"

namespace tessera::backends::loopback {

namespace {

class LoopbackSession final : public comm::Session {
 public:
  [[nodiscard]] std::unique_ptr<comm::Communicator> world() override {
    return std::make_unique<LoopbackCommunicator>();
  }
};

}  // namespace

std::unique_ptr<comm::Session> open(int&, char**&) { return std::make_unique<LoopbackSession>(); }

}  // namespace tessera::backends::loopback
