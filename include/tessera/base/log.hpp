// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The library prints nothing by itself: what it has to say goes to a sink that the application sets.
#pragma once

#include <functional>
#include <string_view>

namespace tessera {

enum class LogLevel { debug, info, warning, error };

using LogSink = std::function<void(LogLevel, std::string_view message)>;

/// Replaces the process-wide sink (at start: drop everything); an empty sink drops everything again. Not
/// thread-safe against `log`: set it before anything else runs.
void set_log_sink(LogSink sink);

/// Hands one message, without newline, to the sink.
void log(LogLevel level, std::string_view message);

}  // namespace tessera
