// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The one table of options. It makes the flags and their help, the keys of the TOML file, the dumped
// configuration and the names in messages, so a new option is one row of options.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tessera/train/run_config.hpp"

namespace gpt_train {

using tessera::train::RunConfig;

/// Where an option lives in the configuration. The alternatives are the types an option can have.
template <class T>
using Accessor = T& (*)(RunConfig&);
using Field = std::variant<Accessor<bool>, Accessor<int>, Accessor<std::int64_t>, Accessor<double>,
                           Accessor<std::string>, Accessor<std::vector<std::int64_t>>>;

struct Option {
  std::string_view section;  ///< group of RunConfig and table of the file
  std::string_view key;      ///< member of the group and key of the table
  std::string_view flags;    ///< comma-separated; the long name, Megatron-LM's where it has one, comes first
  Field field;
  std::string_view help;
  std::string_view words = {};  ///< what 0, -1, ... may be written, and are dumped, as; comma-separated

  [[nodiscard]] std::string name() const;                     ///< "parallel.tp"
  [[nodiscard]] std::vector<std::string> flag_names() const;  ///< with dashes
  [[nodiscard]] bool is_switch() const { return std::holds_alternative<Accessor<bool>>(field); }
};

/// All options, those of a section together.
[[nodiscard]] std::span<Option const> options();
/// The option `section`.`key`, or null.
[[nodiscard]] Option const* find_option(std::string_view section, std::string_view key);

/// A value as a file or a flag gives it, before it is known to fit an option.
using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>>;

/// What an option takes, in words: "an integer".
[[nodiscard]] std::string type_name(Option const& option);
/// The text of a flag read as the type of `option`; nullopt when it is not one.
[[nodiscard]] std::optional<Value> parse(Option const& option, std::string const& text);
/// Stores `value`. Gives what is wrong when it does not fit: another type, not finite, beyond the type's
/// range.
[[nodiscard]] std::optional<std::string> assign(RunConfig& config, Option const& option, Value const& value);
/// The value of `option` as TOML, which read back gives the same value to the last bit.
[[nodiscard]] std::string to_toml(RunConfig const& config, Option const& option);

/// What other training programs call options, as flags: "--learning-rate". Hints for who tries them here.
[[nodiscard]] std::vector<std::string> other_names();
/// An argument that says an option and its value in one, --bf16 or --fp16, as --option=value; others as they
/// are.
[[nodiscard]] std::string spelled_out(std::string const& argument);
/// The option behind one of other_names(); null where there is none, nor one that does nearly the same.
[[nodiscard]] Option const* option_called(std::string_view flag);

/// The name most like `wrong` by edit distance, or empty when none is near enough to be meant.
[[nodiscard]] std::string nearest_name(std::string_view wrong, std::span<std::string const> names);

}  // namespace gpt_train
