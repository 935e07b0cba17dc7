// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/node_memory.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string_view>

#include "tessera/comm/collectives.hpp"

namespace tessera::train {

namespace {

namespace fs = std::filesystem;

// Version 1 writes "no limit" as the largest number of whole pages.
constexpr std::size_t no_limit = std::size_t{1} << 62;
constexpr std::uint64_t machine_id = 1;

/// The number after the first `field` at the beginning of a line.
std::optional<std::size_t> field_of(fs::path const& path, std::string_view field) {
  std::ifstream file(path);
  std::string name;
  std::size_t value = 0;
  while (file >> name) {
    if (name == field && file >> value) return value;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<std::size_t> number_in(fs::path const& path) {
  std::ifstream file(path);
  std::size_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

std::size_t left(std::size_t limit, std::size_t used) { return limit > used ? limit - used : 0; }

/// What tells the two versions of control groups apart.
struct Version {
  std::string_view folder, limit, usage;
  std::array<std::string_view, 2> inactive;  // fields of memory.stat, of the group and all below it first
};
constexpr Version version_1{"sys/fs/cgroup/memory",
                            "memory.limit_in_bytes",
                            "memory.usage_in_bytes",
                            {"total_inactive_file", "inactive_file"}};
constexpr Version version_2{
    "sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "inactive_file"}};

std::uint64_t identity_of(fs::path const& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return 0;
  return std::hash<std::string>{}(fmt::format("{} {}", status.st_dev, status.st_ino)) | 2;
}

std::optional<MemoryLimit> limit_of_group(fs::path const& folder, Version const& version) {
  auto const limit = number_in(folder / version.limit);
  auto const usage = number_in(folder / version.usage);
  if (!limit || !usage || *limit >= no_limit) return std::nullopt;
  std::size_t inactive = 0;
  for (auto const field : version.inactive) {
    auto const found = field_of(folder / "memory.stat", field);
    if (!found) continue;
    inactive = *found;
    break;
  }
  return MemoryLimit{"control group " + folder.string(), identity_of(folder),
                     left(*limit, left(*usage, inactive))};
}

/// The group `path` below the folder of `version`, and all groups that hold it. What cannot be seen from here
/// (a container sees its own group as the root) is passed over.
void add_groups(std::vector<MemoryLimit>& limits, fs::path const& root, Version const& version,
                fs::path const& path) {
  fs::path folder = root / version.folder;
  auto const add = [&] {
    if (auto const limit = limit_of_group(folder, version)) limits.push_back(*limit);
  };
  add();
  for (auto const& part : path.relative_path()) {
    if (part == "..") return;
    folder /= part;
    add();
  }
}

void add_control_groups(std::vector<MemoryLimit>& limits, fs::path const& root) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // hierarchy:controllers:path
    auto const first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    auto const controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (line.starts_with("0::")) {
      add_groups(limits, root, version_2, line.substr(second + 1));
    } else if (controllers.find(",memory,") != std::string::npos) {
      add_groups(limits, root, version_1, line.substr(second + 1));
    }
  }
}

void add_address_space(std::vector<MemoryLimit>& limits, fs::path const& root) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  std::size_t const used = field_of(root / "proc/self/status", "VmSize:").value_or(0) * 1024;
  limits.push_back({"ulimit -v", 0, left(limit.rlim_cur, used)});
}

/// What a rank tells the others of its node. Deeper limits than there is room for count for it alone.
struct Claim {
  static constexpr std::size_t most_limits = 15;
  std::array<std::uint64_t, 1 + most_limits> words{};  // needs, then ids

  [[nodiscard]] std::size_t needs() const { return words.front(); }
  [[nodiscard]] bool is_under(std::uint64_t id) const {
    return std::find(words.begin() + 1, words.end(), id) != words.end();
  }
};

std::vector<Claim> claims_of(comm::Communicator& node, std::size_t needs,
                             std::vector<MemoryLimit> const& limits) {
  Claim own;
  own.words.front() = needs;
  for (std::size_t i = 0; i < std::min(limits.size(), Claim::most_limits); ++i)
    own.words[i + 1] = limits[i].id;
  std::vector<Claim> all(static_cast<std::size_t>(node.size()));
  node.all_gather(own.words.data(), all.data(), own.words.size(), DType::u64, {}).wait_host();
  return all;
}

}  // namespace

std::vector<MemoryLimit> memory_limits(fs::path const& root) {
  std::vector<MemoryLimit> limits;
  if (auto const available = field_of(root / "proc/meminfo", "MemAvailable:"))
    limits.push_back({"the machine", machine_id, *available * 1024});
  add_control_groups(limits, root);
  add_address_space(limits, root);
  return limits;
}

std::optional<NodeMemory> fit_in_node(comm::Communicator& node, std::size_t needs_bytes,
                                      std::vector<MemoryLimit> const& limits) {
  auto const claims = claims_of(node, needs_bytes, limits);
  std::optional<NodeMemory> tightest;
  double least = 0;
  for (auto const& limit : limits) {
    NodeMemory memory{limit.name, 1, needs_bytes, limit.bytes};
    for (std::size_t i = 0; i < claims.size(); ++i) {
      if (std::cmp_equal(i, node.rank()) || limit.id == 0 || !claims[i].is_under(limit.id)) continue;
      ++memory.ranks;
      memory.needs_bytes += claims[i].needs();
    }
    double const room = static_cast<double>(memory.has_bytes) / static_cast<double>(memory.needs_bytes);
    if (tightest && room >= least) continue;
    tightest = memory;
    least = room;
  }
  return tightest;
}

std::size_t peak_resident_bytes() { return field_of("/proc/self/status", "VmHWM:").value_or(0) * 1024; }

}  // namespace tessera::train
