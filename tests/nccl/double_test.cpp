// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The double does what its header says, where the tests of the backend lean on it.
#include <nccl.h>

#include "nccl/ranks.hpp"

namespace tessera::support {
namespace {

class Double : public OnNccl {};

struct Gate {
  std::atomic<bool> open{false};
  static void wait(void* gate) { static_cast<Gate*>(gate)->open.wait(false); }
  void release() {
    open = true;
    open.notify_all();
  }
};

TEST_F(Double, StreamsAreQueuesAndEventsPointsInThem) {
  cudaStream_t first = nullptr;
  cudaStream_t second = nullptr;
  cudaEvent_t event = nullptr;
  cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  Gate gate;
  DeviceArray<int> const one(1, 1);
  DeviceArray<int> const middle(1, 0);
  DeviceArray<int> const last(1, 0);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess) << "never recorded";
  cudaLaunchHostFunc(first, &Gate::wait, &gate);
  cudaMemcpyAsync(middle.data(), one.data(), sizeof(int), cudaMemcpyDeviceToDevice, first);
  cudaEventRecord(event, first);
  cudaStreamWaitEvent(second, event, 0);
  cudaMemcpyAsync(last.data(), middle.data(), sizeof(int), cudaMemcpyDeviceToDevice, second);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  EXPECT_EQ(*last.data(), 0);
  gate.release();
  cudaStreamSynchronize(second);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  EXPECT_EQ(*last.data(), 1);
  cudaEventDestroy(event);
  cudaStreamDestroy(first);
  cudaStreamDestroy(second);
}

TEST_F(Double, ANonBlockingCommunicatorRefusesCallsWhileItWorks) {
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&comm, 2, id, 0, &config), ncclInProgress);
  ncclResult_t state = ncclSuccess;
  ncclCommGetAsyncError(comm, &state);
  EXPECT_EQ(state, ncclInProgress) << "the other rank has not come";
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  DeviceArray<float> const values(1, 1.0f);
  EXPECT_EQ(ncclAllReduce(values.data(), values.data(), 1, ncclFloat32, ncclSum, comm, stream),
            ncclInvalidUsage);
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  cudaStreamDestroy(stream);
}

TEST_F(Double, PlannedFailuresComeOnceAndToOneThread) {
  cuda::reset_calls();
  cuda::fail_call("cudaSetDevice", 2);
  std::thread([] { EXPECT_EQ(cudaSetDevice(0), cudaSuccess); }).join();
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_NE(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cuda::calls().at("cudaSetDevice"), 3);
}

TEST_F(Double, AResetForgetsSettingsAndPlansOfItsThreadAndKeepsWhatIsThere) {
  DeviceArray<int> const there(1, 1);
  int const alive = cuda::objects_alive();
  cuda::set_device_count(1);
  cuda::set_one_address(true);
  cuda::set_all_memory_on_device(true);
  cuda::set_node(3);
  cuda::fail_call("cudaGetDeviceCount", 1);
  cuda::reset();
  EXPECT_TRUE(cuda::calls().empty());
  EXPECT_EQ(cuda::objects_alive(), alive);
  int devices = 0;
  EXPECT_EQ(cudaGetDeviceCount(&devices), cudaSuccess) << "a plan is left";
  EXPECT_EQ(devices, 8);
  cudaPointerAttributes attributes{};
  EXPECT_EQ(cudaSetDevice(5), cudaSuccess);
  cuda::reset();
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, &devices), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  EXPECT_EQ(attributes.device, 0);
}

}  // namespace
}  // namespace tessera::support
