// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/node_memory.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "data/data_files.hpp"

namespace tessera::train {
namespace {

/// A folder with the files that a system would show of itself.
class System {
 public:
  void file(std::string const& name, std::string const& content) { folder_.write(name, content); }

  void group_2(std::string const& path, std::string const& limit, std::size_t used, std::size_t inactive) {
    std::string const folder = "sys/fs/cgroup" + path + "/";
    file(folder + "memory.max", limit + "\n");
    file(folder + "memory.current", std::to_string(used) + "\n");
    file(folder + "memory.stat", "anon 77\ninactive_file " + std::to_string(inactive) + "\nunevictable 0\n");
  }
  void group_1(std::string const& path, std::size_t limit, std::size_t used, std::size_t inactive) {
    std::string const folder = "sys/fs/cgroup/memory" + path + "/";
    file(folder + "memory.limit_in_bytes", std::to_string(limit) + "\n");
    file(folder + "memory.usage_in_bytes", std::to_string(used) + "\n");
    file(folder + "memory.stat", "cache 9\ninactive_file 1\ntotal_inactive_file " + std::to_string(inactive));
  }

  [[nodiscard]] std::vector<MemoryLimit> limits() const { return memory_limits(folder_.path()); }
  /// The bytes under the limit whose name ends in `end`; -1 if there is none.
  [[nodiscard]] std::int64_t bytes(std::string const& end) const {
    for (auto const& limit : limits()) {
      if (limit.name.ends_with(end)) return static_cast<std::int64_t>(limit.bytes);
    }
    return -1;
  }

 private:
  data::test::TemporaryFolder folder_;
};

TEST(NodeMemory, OfThisMachineIsKnown) {
  auto const limits = memory_limits();
  ASSERT_FALSE(limits.empty());
  EXPECT_EQ(limits.front().name, "the machine");
  EXPECT_GT(limits.front().bytes, std::size_t{1} << 20);
  EXPECT_GT(peak_resident_bytes(), std::size_t{1} << 20);
}

TEST(NodeMemory, ASystemThatSaysNothingBoundsNothing) {
  System system;
  EXPECT_TRUE(system.limits().empty());
  system.file("proc/meminfo", "MemTotal: many\nMemAvailable: some kB\n");
  system.file("proc/self/cgroup", "no colons\n0::/gone\n::\n7:memory:/gone\n");
  EXPECT_TRUE(system.limits().empty());
}

TEST(NodeMemory, TheMachineTellsWhatIsAvailable) {
  System system;
  system.file("proc/meminfo", "MemTotal:       100 kB\nMemFree:  1 kB\nMemAvailable:    40 kB\n");
  EXPECT_EQ(system.bytes("the machine"), 40 * 1024);
}

TEST(NodeMemory, EveryGroupOfVersion2UpToTheRootCounts) {
  System system;
  system.file("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  system.group_2("", "5000", 100, 0);
  system.group_2("/slurm", "max", 900, 0);
  system.group_2("/slurm/job_7", "2000", 1500, 1200);
  system.group_2("/slurm/job_7/step_0", "400", 700, 100);
  EXPECT_EQ(system.limits().size(), 3u);
  EXPECT_EQ(system.bytes("sys/fs/cgroup"), 4900);
  EXPECT_EQ(system.bytes("job_7"), 2000 - (1500 - 1200)) << "file pages that give way are not used";
  EXPECT_EQ(system.bytes("step_0"), 0) << "used beyond the limit";
  EXPECT_EQ(system.bytes("slurm"), -1) << "max";
}

TEST(NodeMemory, GroupsOfVersion1AreThoseOfTheMemoryController) {
  System system;
  system.file("proc/self/cgroup", "9:cpu,cpuacct:/a\n4:hugetlb,memory:/a/b\n3:memoryless:/c\n0::/x\n");
  system.group_1("", std::size_t{0x7ffffffffffff000}, 100, 0);
  system.group_1("/a", 3000, 1000, 250);
  system.group_1("/a/b", 8000, 1000, 0);
  system.group_1("/c", 1, 0, 0);
  EXPECT_EQ(system.limits().size(), 2u);
  EXPECT_EQ(system.bytes("memory/a"), 2250);
  EXPECT_EQ(system.bytes("memory/a/b"), 7000);
}

TEST(NodeMemory, InAContainerTheRootIsItsOwnGroup) {
  System system;
  system.file("proc/self/cgroup", "5:memory:/docker/0123\n0::/../../outside\n");
  system.group_1("", 3000, 1000, 0);
  system.group_2("", "700", 100, 0);
  EXPECT_EQ(system.bytes("cgroup/memory"), 2000);
  EXPECT_EQ(system.bytes("sys/fs/cgroup"), 600);
  EXPECT_EQ(system.limits().size(), 2u);
}

TEST(NodeMemory, GroupsAreToldApartByTheirFolders) {
  System system;
  system.file("proc/self/cgroup", "0::/a\n");
  system.group_2("", "700", 100, 0);
  system.group_2("/a", "600", 100, 0);
  auto const limits = system.limits();
  ASSERT_EQ(limits.size(), 2u);
  EXPECT_NE(limits[0].id, limits[1].id);
  EXPECT_EQ(limits[0].id, system.limits()[0].id);
}

TEST(NodeMemory, TheLimitOfTheShellIsOfOneProcess) {
  System system;
  system.file("proc/self/status", "Name:\tx\nVmSize:\t  1024 kB\n");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  rlim_t const bytes = std::min<rlim_t>(before.rlim_max, rlim_t{1} << 46);
  rlimit const limited{bytes, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limited), 0);
  auto const limits = system.limits();
  EXPECT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_EQ(limits.size(), 1u);
  EXPECT_EQ(limits.front().bytes, bytes - (1 << 20));
  EXPECT_EQ(limits.front().id, 0u);
}

}  // namespace
}  // namespace tessera::train
