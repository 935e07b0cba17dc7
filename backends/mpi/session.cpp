// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <mpi.h>

#include <array>
#include <string>

#include "error.hpp"
#include "tessera/backends/mpi.hpp"
#include "tessera/backends/mpi_device_memory.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/comm/staging.hpp"
#include "tessera/comm/threaded.hpp"

namespace tessera::backends::mpi {

/// The first words: MPICH describes itself on many lines, Open MPI says how it was configured after a comma.
std::string library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING + 1> text{};
  int length = 0;
  check(MPI_Get_library_version(text.data(), &length), CallInfo{"version"});
  std::string const whole(text.data());  // some count the end of the text as part of its length
  return whole.substr(0, whole.find_first_of("\n,"));
}

namespace {

/// Errors that an MPI finds when it no longer knows the communicator of a request go to the handlers of these
/// two.
void return_errors() {
  for (MPI_Comm const comm : {MPI_COMM_WORLD, MPI_COMM_SELF}) {
    check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), CallInfo{"initialise"});
  }
}

/// Initialises MPI unless the program has done so, and finalises it only in the former case.
class MpiSession final : public comm::Session {
 public:
  MpiSession(int& argc, char**& argv) : threaded_(calls_from_thread()) {
    int const needed = threaded_ ? MPI_THREAD_SERIALIZED : MPI_THREAD_FUNNELED;
    int initialized = 0;
    check(MPI_Initialized(&initialized), CallInfo{"initialise"});
    int level = MPI_THREAD_SINGLE;
    if (initialized) {
      check(MPI_Query_thread(&level), CallInfo{"initialise"});
    } else {
      check(MPI_Init_thread(&argc, &argv, needed, &level), CallInfo{"initialise"});
      owner_ = true;
      return_errors();
    }
    if (level >= needed) {
      way_ = choose_tensor_way();
      return;
    }
    if (owner_) MPI_Finalize();
    throw CommError(
        threaded_
            ? "MPI does not give MPI_THREAD_SERIALIZED, which a thread of its own for communication needs: "
              "set TESSERA_MPI_THREAD=off, and the main thread waits for the device instead."
            : "MPI was initialised without MPI_THREAD_FUNNELED, which this library needs: initialise it with "
              "MPI_Init_thread, or leave that to the library.");
  }
  ~MpiSession() override {
    if (owner_) MPI_Finalize();
  }

  [[nodiscard]] std::string library_name() const override { return library_version(); }
  [[nodiscard]] std::string tensor_way() const override { return describe(way_, threaded_); }
  [[nodiscard]] std::unique_ptr<comm::Communicator> world() override {
    if (!threaded_) return make_world();
    auto thread = thread_.lock();
    if (!thread) thread_ = thread = make_thread();
    std::unique_ptr<comm::Communicator> world;
    thread->run([&] { world = make_world(); });
    return comm::make_threaded(std::move(world), std::move(thread));
  }

 private:
  [[nodiscard]] std::unique_ptr<comm::Communicator> make_world() const {
    auto world = from_raw(MPI_COMM_WORLD);
    if (way_ == TensorWay::direct) return world;
    return comm::make_staging(std::move(world), {.sums_only = way_ == TensorWay::sums_staged});
  }
  [[nodiscard]] static std::shared_ptr<comm::CommunicationThread> make_thread() {
    auto queues = comm::make_device_queues();
    if (!tensors_on_host && !queues) {
      throw ConfigError(
          {"TESSERA_MPI_THREAD = \"on\" in the environment: Tessera does not know the queues of this device, "
           "so only the main thread can call MPI"});
    }
    return std::make_shared<comm::CommunicationThread>(std::move(queues));
  }

  bool threaded_;
  TensorWay way_ = TensorWay::direct;
  std::weak_ptr<comm::CommunicationThread> thread_;  // of the communicators that there are
  bool owner_ = false;
};

}  // namespace

std::unique_ptr<comm::Session> open(int& argc, char**& argv) {
  return std::make_unique<MpiSession>(argc, argv);
}

}  // namespace tessera::backends::mpi
