// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "config_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

namespace gpt_train {

namespace {

using tessera::ExitCode;

constexpr std::size_t largest_file_bytes = 1 << 20;

ExitCode code_of(int error) {
  if (error == ENOENT || error == ENOTDIR) return ExitCode::no_input;
  return error == EACCES || error == EPERM ? ExitCode::permission : ExitCode::io;
}

std::optional<std::string> read_text(std::string const& path, Settings& settings) {
  auto const fail = [&](int error) {
    settings.report(
        fmt::format("{}: cannot read the configuration: {}", path, std::generic_category().message(error)),
        code_of(error));
    return std::nullopt;
  };
  int const descriptor = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // never waits for a pipe
  if (descriptor < 0) return fail(errno);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file(fdopen(descriptor, "rb"), &std::fclose);
  if (!file) return fail(errno);
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return fail(errno);
  if (!S_ISREG(status.st_mode)) {
    settings.report(
        fmt::format("{}: a configuration is a regular file; this is a directory, a pipe or a device", path),
        ExitCode::data);
    return std::nullopt;
  }
  std::string text(largest_file_bytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return fail(errno);
  if (text.size() <= largest_file_bytes) return text;
  settings.report(fmt::format("{}: larger than 1 MiB, which no configuration is: is it another file?", path),
                  ExitCode::config);
  return std::nullopt;
}

std::optional<toml::table> parse_text(std::string const& text, std::string const& path, Settings& settings) {
  try {
    return toml::parse(text, path);
  } catch (toml::parse_error const& error) {
    settings.report(
        fmt::format("{}:{}: not valid TOML: {}", path, error.source().begin.line, error.description()),
        ExitCode::config);
    return std::nullopt;
  }
}

std::optional<Value> value_of(toml::node const& node) {
  if (auto const* boolean = node.as_boolean()) return boolean->get();
  if (auto const* integer = node.as_integer()) return integer->get();
  if (auto const* real = node.as_floating_point()) return real->get();
  if (auto const* text = node.as_string()) return text->get();
  auto const* const array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::int64_t> list;
  for (toml::node const& element : *array) {
    if (!element.is_integer()) return std::nullopt;
    list.push_back(element.as_integer()->get());
  }
  return list;
}

/// The option an unknown key was probably meant for: what another program calls so, else one of its section
/// by key or flag, else one of another section.
Option const* meant(std::string_view section, std::string_view key) {
  std::string flag_like = "--" + std::string(key);
  std::ranges::replace(flag_like, '_', '-');
  if (std::ranges::count(other_names(), flag_like) > 0) return option_called(flag_like);
  for (bool const same_section : {true, false}) {
    std::vector<std::string> names;
    std::vector<Option const*> owners;
    for (Option const& option : options()) {
      if ((option.section == section) != same_section) continue;
      names.push_back("--" + std::string(option.key));
      std::ranges::replace(names.back(), '_', '-');
      for (std::string const& flag : option.flag_names()) names.push_back(flag);
      owners.resize(names.size(), &option);
    }
    std::string const best = nearest_name(flag_like, names);
    if (!best.empty())
      return owners[static_cast<std::size_t>(std::ranges::find(names, best) - names.begin())];
  }
  return nullptr;
}

struct Entry {
  toml::source_index line;
  std::string section, key;
  toml::node const* value;
};

bool is_section(std::string_view name) {
  return std::ranges::any_of(options(), [&](Option const& option) { return option.section == name; });
}

void unknown_key(std::string const& where, Entry const& entry, Settings& settings) {
  std::string const name = entry.section.empty() ? entry.key : entry.section + "." + entry.key;
  if (entry.section.empty() && is_section(name)) {
    settings.report(
        fmt::format("{}: {} is a table, not a value: write [{}], and its keys below", where, name, name),
        ExitCode::config);
    return;
  }
  Option const* const option = meant(entry.section, entry.key);
  if (option != nullptr) settings.doubt(*option);
  settings.report(fmt::format("{}: unknown key {}{}", where, name,
                              option != nullptr ? fmt::format(": did you mean {}?", option->name()) : ""),
                  ExitCode::config);
}

void read_entry(std::string const& path, Entry const& entry, Settings& settings) {
  std::string const where = fmt::format("{}:{}", path, entry.line);
  Option const* const option = find_option(entry.section, entry.key);
  if (option == nullptr) return unknown_key(where, entry, settings);
  if (auto const value = value_of(*entry.value))
    return settings.set(*option, *value, where, ExitCode::config);
  std::ostringstream type;
  type << entry.value->type();
  settings.report(
      fmt::format("{}: {} must be {}, not of type {}", where, option->name(), type_name(*option), type.str()),
      ExitCode::config);
  settings.doubt(*option);
}

void unknown_section(std::string const& path, toml::key const& section, Settings& settings) {
  std::vector<std::string> sections;
  for (Option const& option : options()) sections.emplace_back(option.section);
  auto const begins_so = [&](std::string const& name) { return name.starts_with(section.str()); };
  auto const longer = std::ranges::find_if(sections, begins_so);
  std::string const nearest = longer != sections.end() ? *longer : nearest_name(section.str(), sections);
  for (Option const& option : options()) {
    if (option.section == nearest) settings.doubt(option);
  }
  settings.report(fmt::format("{}:{}: unknown table [{}]{}", path, section.source().begin.line, section.str(),
                              nearest.empty() ? "" : fmt::format(": did you mean [{}]?", nearest)),
                  ExitCode::config);
}

}  // namespace

bool read_config_file(std::string const& path, Settings& settings) {
  auto const text = read_text(path, settings);
  if (!text) return false;
  auto const root = parse_text(*text, path, settings);
  if (!root) return false;
  std::vector<Entry> entries;
  for (auto const& [name, node] : *root) {
    toml::table const* const section = node.as_table();
    if (section == nullptr) {
      entries.push_back({name.source().begin.line, "", std::string(name.str()), &node});
    } else if (!is_section(name.str())) {
      unknown_section(path, name, settings);
    } else {
      for (auto const& [key, value] : *section) {
        entries.push_back({key.source().begin.line, std::string(name.str()), std::string(key.str()), &value});
      }
    }
  }
  std::ranges::stable_sort(entries, {}, &Entry::line);
  for (Entry const& entry : entries) read_entry(path, entry, settings);
  return true;
}

}  // namespace gpt_train
