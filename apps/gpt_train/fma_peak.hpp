// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace gpt_train {

/// float32 FLOP/s of one thread that does nothing but fused multiply-adds on registers: twelve independent
/// chains, enough to fill two units of latency four to six. The best of a few runs, some 20 ms in all.
[[nodiscard]] double measure_fma_flops();

/// The instructions that it uses: "AVX-512", "AVX2", or "scalar" where this binary knows no wider ones.
[[nodiscard]] std::string_view fma_instructions() noexcept;

}  // namespace gpt_train
