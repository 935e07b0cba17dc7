// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "tessera/train/validation.hpp"

namespace gpt_train {

namespace {

/// What is wrong with the text that a sample begins with, whose bytes are tokens.
std::optional<std::string> prompt_problem(RunConfig const& config) {
  auto const& sample = config.sample;
  if (sample.length <= 0 || config.model.vocab_size <= 0) return std::nullopt;
  if (sample.prompt.empty()) {
    return "sample.prompt is empty: give the sample a beginning, or sample.length = 0";
  }
  for (unsigned char const byte : sample.prompt) {
    if (byte < config.model.vocab_size) continue;
    return fmt::format(
        "sample.prompt has byte {}, which is no token of model.vocab_size = {}: give another prompt, or "
        "sample.length = 0",
        int{byte}, config.model.vocab_size);
  }
  return std::nullopt;
}

/// True when `text` names the option as a whole word.
bool names(std::string const& text, std::string const& option) {
  auto const in_word = [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = text.find(option); at != std::string::npos; at = text.find(option, at + 1)) {
    std::size_t const end = at + option.size();
    if (end == text.size() || !in_word(text[end])) return true;
  }
  return false;
}

/// Fit for a comment of one line.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

}  // namespace

Settings::Settings() : states_(options().size()) {}

Settings::State& Settings::state(Option const& option) {
  return states_[static_cast<std::size_t>(&option - options().data())];
}

Settings::State const& Settings::state(Option const& option) const {
  return states_[static_cast<std::size_t>(&option - options().data())];
}

std::string const& Settings::origin(Option const& option) const { return state(option).origin; }

void Settings::set(Option const& option, Value const& value, std::string const& origin,
                   tessera::ExitCode code) {
  auto const wrong = assign(config_, option, value);
  if (wrong) {
    report(fmt::format("{}: {}", origin, *wrong), code);
  } else {
    state(option).origin = origin;
  }
  state(option).doubtful = wrong.has_value();
}

void Settings::derive(std::string_view section, std::string_view key, Value const& value,
                      std::string_view how) {
  set(*find_option(section, key), value, fmt::format("derived: {}", how), tessera::ExitCode::internal);
}

void Settings::report(std::string problem, tessera::ExitCode code) {
  problems_.push_back(std::move(problem));
  if (code_ == tessera::ExitCode::ok || code == tessera::ExitCode::usage) code_ = code;
}

void Settings::attempt(std::function<void()> const& action) {
  try {
    action();
  } catch (tessera::ConfigError const& error) {
    for (std::string const& problem : error.problems()) report(located(problem), error.code());
  } catch (tessera::Error const& error) {
    report(located(error.what()), error.code());
  }
}

void Settings::doubt(Option const& option) { state(option).doubtful = true; }

void Settings::doubt_all() {
  for (Option const& option : options()) doubt(option);
}

bool Settings::doubtful(std::string_view section, std::string_view key) const {
  return state(*find_option(section, key)).doubtful;
}

std::string Settings::located(std::string const& problem) const {
  std::vector<std::string> origins;
  for (Option const& option : options()) {
    std::string const& from = origin(option);
    if (from == "default" || !names(problem, option.name())) continue;
    if (std::ranges::find(origins, from) == origins.end()) origins.push_back(from);
  }
  std::string where;
  for (std::string const& from : origins) where += (where.empty() ? "" : ", ") + from;
  return where.empty() ? problem : where + ": " + problem;
}

bool Settings::about_doubtful(std::string const& problem) const {
  return std::ranges::any_of(options(), [&](Option const& option) {
    return state(option).doubtful && names(problem, option.name());
  });
}

void Settings::check(int ranks) {
  auto problems = tessera::train::problems(config_, ranks);
  if (auto problem = prompt_problem(config_)) problems.push_back(std::move(*problem));
  for (std::string const& problem : problems) {
    if (!about_doubtful(problem)) report(located(problem), tessera::ExitCode::config);
  }
}

void Settings::throw_problems() const {
  if (!problems_.empty()) throw tessera::ConfigError(problems_, code_);
}

std::string Settings::dump() const {
  std::string text;
  std::string_view section;
  for (Option const& option : options()) {
    if (option.section != section) {
      section = option.section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    std::string const line = fmt::format("{} = {}", option.key, to_toml(config_, option));
    text += fmt::format("{:<40}  # {}\n", line, one_line(origin(option)));
  }
  return text;
}

}  // namespace gpt_train
