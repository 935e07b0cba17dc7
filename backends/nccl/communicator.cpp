// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

#include <chrono>
#include <cstdlib>
#include <utility>

#include "tessera/base/run_within.hpp"

namespace tessera::backends::nccl {

bool is_on_device(void const* memory) {
  cudaPointerAttributes attributes{};
  cudaError_t const answer = cudaPointerGetAttributes(&attributes, memory);
  if (is_unknown(answer)) return false;
  check_device(answer, "cudaPointerGetAttributes");
  return is_of_device(attributes);
}

NcclCommunicator::NcclCommunicator(std::shared_ptr<DeviceContext> context,
                                   std::unique_ptr<comm::Communicator> host, std::string_view name)
    : context_(std::move(context)), host_(std::move(host)), channel_(context_, *host_, name) {}

void NcclCommunicator::group_begin() {
  host_->group_begin();
  channel_.begin_batch();
}

void NcclCommunicator::group_end() {
  channel_.end_batch();
  host_->group_end();
}

std::unique_ptr<comm::Communicator> NcclCommunicator::over(std::unique_ptr<comm::Communicator> host) const {
  return host ? std::make_unique<NcclCommunicator>(context_, std::move(host), channel_.name()) : nullptr;
}

std::unique_ptr<comm::Communicator> NcclCommunicator::split(std::optional<int> color, int key) {
  return over(host_->split(color, key));
}

std::unique_ptr<comm::Communicator> NcclCommunicator::duplicate() { return over(host_->duplicate()); }

std::unique_ptr<comm::Communicator> NcclCommunicator::split_by_node() { return over(host_->split_by_node()); }

void NcclCommunicator::progress() {
  channel_.advance();
  host_->progress();
  comm::progress_all();
}

void NcclCommunicator::abort(int exit_code) {
  run_within(std::chrono::seconds(1), [context = context_] { context->cancel("the job was aborted"); });
  host_->abort(exit_code);
  std::_Exit(exit_code);
}

}  // namespace tessera::backends::nccl
