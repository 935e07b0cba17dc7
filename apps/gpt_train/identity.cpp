// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "identity.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <sstream>

#include "tessera/base/version.hpp"
#include "tessera/checkpoint/hash.hpp"
#include "tessera/comm/collectives.hpp"

namespace gpt_train {

namespace {

/// The hash that the linker put into this program's notes, in hexadecimal digits; empty if it put none.
std::string build_id_in(std::span<unsigned char const> notes) {
  auto const padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    std::memcpy(&head, notes.data(), sizeof head);
    std::size_t const begin = sizeof head + padded(head.n_namesz), end = begin + padded(head.n_descsz);
    if (end > notes.size()) break;
    if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4) {
      std::string text;
      for (auto const byte : notes.subspan(begin, head.n_descsz)) text += fmt::format("{:02x}", byte);
      return text;
    }
    notes = notes.subspan(end);
  }
  return {};
}

/// For dl_iterate_phdr, which begins with the program itself.
int find_build_id(dl_phdr_info* info, std::size_t, void* result) {
  for (std::size_t i = 0; i < info->dlpi_phnum; ++i) {
    auto const& header = info->dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    auto const* const notes = reinterpret_cast<unsigned char const*>(info->dlpi_addr + header.p_vaddr);
    auto id = build_id_in({notes, header.p_memsz});
    if (!id.empty()) *static_cast<std::string*>(result) = std::move(id);
  }
  return 1;
}

/// What must be the same on all ranks, a line for each thing.
std::string identity(CommandLine const& command) {
  std::string build;
  dl_iterate_phdr(&find_build_id, &build);
  auto text = fmt::format("version: {}\n{}\nbuild of gpt_train: {}\naction: {}\n", tessera::version(),
                          tessera::build_options(), build, static_cast<int>(command.action));
  for (Option const& option : options())
    text += fmt::format("{} = {}\n", option.name(), to_toml(command.config, option));
  return text;
}

/// The text of rank `root`, whose length need not be known.
std::string shared_text(tessera::comm::Communicator& world, std::string text, int root) {
  text.resize(broadcast_value(world, static_cast<std::uint64_t>(text.size()), root));
  std::span const bytes(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  broadcast(world, bytes, root).wait_host();
  return text;
}

/// The lines of `own` that `common` has otherwise. `agree` names the ranks, except rank 0.
std::vector<std::string> differing_lines(std::string const& own, std::string const& common, int common_rank,
                                         int rank) {
  std::vector<std::string> problems;
  std::istringstream mine(own), theirs(common);
  for (std::string line, other; std::getline(mine, line) && std::getline(theirs, other);) {
    if (line == other) continue;
    problems.push_back(fmt::format("{}differs from the rest of the job: {}, but rank {} has {}",
                                   rank == 0 ? "rank 0: " : "", line, common_rank, other));
  }
  return problems;
}

}  // namespace

void expect_same_everywhere(tessera::comm::Communicator& world, CommandLine const& command) {
  auto const own = identity(command);
  auto const hashes = all_gather_values(world, tessera::checkpoint::hash_of(own).low);
  auto const times = [&](std::uint64_t hash) { return std::ranges::count(hashes, hash); };
  auto const most = std::ranges::max_element(hashes, {}, times);
  if (times(*most) == world.size()) return;
  int const root = static_cast<int>(most - hashes.begin());
  auto const common = shared_text(world, own, root);
  auto const problems = differing_lines(own, common, root, world.rank());
  if (!problems.empty()) throw tessera::ConfigError(problems);
}

}  // namespace gpt_train
