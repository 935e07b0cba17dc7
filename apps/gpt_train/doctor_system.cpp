// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "doctor_system.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "gather_texts.hpp"
#include "tessera/base/version.hpp"
#include "tessera/checkpoint/hdf5_version.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/device_session.hpp"
#include "text.hpp"

namespace gpt_train {

namespace comm = tessera::comm;

namespace {

/// What carries tensors between devices, often nothing.
std::string device_library() {
  auto const table = comm::device_communicator_backends();
  if (table.empty()) return "NCCL: not built in";
  auto const& backend = table.front();
  return backend.version != nullptr ? backend.version() : std::string(backend.name);
}

/// Cores that this process may run on.
std::vector<int> allowed_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

std::string numbers_text(std::vector<int> const& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
    if (last > i) text += fmt::format("-{}", numbers[last]);
    i = last + 1;
  }
  return text.empty() ? "unknown" : text;
}

/// Processor packages of these cores.
std::vector<int> sockets_of(std::vector<int> const& cores) {
  std::set<int> sockets;
  for (int const core : cores) {
    std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/physical_package_id", core));
    if (int socket = 0; file >> socket) sockets.insert(socket);
  }
  return {sockets.begin(), sockets.end()};
}

std::string variable(char const* name) {
  char const* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string own_host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

/// host | cores | sockets | GPUs, as a rank tells it to rank 0.
std::string own_place() {
  auto const cores = allowed_cores();
  auto gpus = variable("CUDA_VISIBLE_DEVICES");
  if (gpus.empty()) gpus = variable("ROCR_VISIBLE_DEVICES");
  return fmt::format("{}|{}|{}|{}", own_host_name(), numbers_text(cores), numbers_text(sockets_of(cores)),
                     gpus.empty() ? "none" : gpus);
}

struct HostUse {
  int ranks = 0;
  std::set<std::string> cores;
};

std::size_t count_of(std::string const& numbers) {
  std::size_t count = 0;
  std::istringstream parts(numbers);
  for (std::string part; std::getline(parts, part, ',');) {
    int first = 0, last = 0;
    char dash = 0;
    std::istringstream range(part);
    range >> first;
    count += range >> dash >> last ? static_cast<std::size_t>(last - first + 1) : 1;
  }
  return count;
}

std::string limit_text(rlim_t limit, bool bytes) {
  if (limit == RLIM_INFINITY) return "unlimited";
  return bytes ? bytes_text(static_cast<double>(limit)) : fmt::format("{}", limit);
}

std::size_t cores_of(HostUse const& use) {
  std::size_t cores = 0;
  for (auto const& set : use.cores) cores += count_of(set);
  return cores;
}

bool is_crowded(HostUse const& use) { return static_cast<std::size_t>(use.ranks) > cores_of(use); }

Finding check_oversubscription(std::string const& host, HostUse const& use) {
  auto const cores = cores_of(use);
  auto const text =
      fmt::format("host {}: {} rank{} on {} cores", host, use.ranks, use.ranks == 1 ? "" : "s", cores);
  if (!is_crowded(use)) return {Verdict::ok, text};
  bool const yields = waiting_yields();
  return {Verdict::warn, text + (yields ? ", which is too many; waiting ranks yield" : ", which is too many"),
          yields ? "results are right, times mean little"
                 : "start one rank a core; if there must be more, let waiting ranks yield (Open MPI: "
                   "OMPI_MCA_mpi_yield_when_idle=1)"};
}

}  // namespace

Findings find_libraries(comm::Session const& session, int world_size) {
  Findings findings{{Verdict::ok, fmt::format("Tessera {}", tessera::version())}};
  std::istringstream built{std::string(tessera::build_options())};
  for (std::string line; std::getline(built, line);) findings.push_back({Verdict::ok, line});
  auto const library = session.library_name();
  findings.push_back(
      {Verdict::ok,
       "communication: " + (library.empty() ? "none in use (started without a launcher)" : library)});
  findings.push_back({Verdict::ok, "HDF5: " + tessera::checkpoint::hdf5_version()});
  findings.push_back({Verdict::ok, device_library()});
  if (auto const mismatch = comm::launcher_mismatch(world_size)) {
    findings.push_back({Verdict::fail, "every process sees itself alone",
                        *mismatch + " With Slurm: srun --mpi=pmix for Open MPI, --mpi=pmi2 for MPICH"});
  } else {
    findings.push_back({Verdict::ok, fmt::format("launcher and library agree: {} rank{}", world_size,
                                                 world_size == 1 ? "" : "s")});
  }
  return findings;
}

bool waiting_yields() {
  return variable("OMPI_MCA_mpi_yield_when_idle") == "1" ||
         variable("OMPI_MCA_rmaps_base_oversubscribe") == "1";
}

Places find_places(comm::Communicator& world) {
  auto const places = gather_texts(world, own_place(), 0);
  Findings findings;
  std::map<std::string, HostUse> hosts;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    std::array<std::string, 4> parts;
    std::istringstream text(places[rank]);
    for (auto& part : parts) std::getline(text, part, '|');
    findings.push_back({Verdict::ok, fmt::format("rank {}: host {}, socket {}, core {}, GPU {}", rank,
                                                 parts[0], parts[2], parts[1], parts[3])});
    ++hosts[parts[0]].ranks;
    hosts[parts[0]].cores.insert(parts[1]);
  }
  for (auto const& [host, use] : hosts) findings.push_back(check_oversubscription(host, use));
  auto const threads = variable("OMP_NUM_THREADS");
  if (world.size() > 1 && threads != "1") {
    findings.push_back(
        {Verdict::warn, "OMP_NUM_THREADS is " + (threads.empty() ? std::string("not set") : threads),
         "set it to 1: ranks use one thread each, and libraries may start one for every core"});
  }
  bool const crowded = std::ranges::any_of(hosts, [](auto const& host) { return is_crowded(host.second); });
  return {findings, comm::broadcast_value(world, std::int32_t{crowded}, 0) != 0};
}

Findings find_limits() {
  Findings findings;
  struct statvfs shared {};
  if (statvfs("/dev/shm", &shared) == 0) {
    auto const free = static_cast<double>(shared.f_bavail) * static_cast<double>(shared.f_frsize);
    bool const enough = free >= 64.0 * (1 << 20);
    findings.push_back({enough ? Verdict::ok : Verdict::warn,
                        fmt::format("/dev/shm: {} free", bytes_text(free)),
                        enough ? "" : "MPI keeps its queues there: a container wants --shm-size=1g"});
  } else {
    findings.push_back({Verdict::warn, "/dev/shm: there is none",
                        "MPI keeps its queues there: without it ranks of a node are slow to reach"});
  }
  rlimit limit{};
  struct Row {
    decltype(RLIMIT_NOFILE) which;
    char const* name;
    bool bytes;
    rlim_t least;
    char const* advice;
  };
  for (auto const& row : {
           Row{RLIMIT_MEMLOCK, "locked memory (ulimit -l)", true, rlim_t{64} << 10,
               "InfiniBand needs it unlimited: ask the site, or set it in limits.conf and in slurmd's unit"},
           Row{RLIMIT_NOFILE, "open files (ulimit -n)", false, 256, "ulimit -n 1024"},
           Row{RLIMIT_STACK, "stack (ulimit -s)", true, rlim_t{4} << 20, "ulimit -s 8192"},
           Row{RLIMIT_FSIZE, "size of a file (ulimit -f)", true, RLIM_INFINITY,
               "a checkpoint's files may be larger: ulimit -f unlimited"},
       }) {
    if (getrlimit(row.which, &limit) != 0) continue;
    bool const enough = limit.rlim_cur >= row.least;
    findings.push_back({enough ? Verdict::ok : Verdict::warn,
                        fmt::format("{}: {}", row.name, limit_text(limit.rlim_cur, row.bytes)),
                        enough ? "" : row.advice});
  }
  return findings;
}

}  // namespace gpt_train
