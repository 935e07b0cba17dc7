// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/stream_copy.hpp"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tessera::checkpoint {

#if defined(__SSE2__)

void stream_copy(std::byte* to, std::byte const* from, std::size_t bytes) noexcept {
  constexpr std::size_t line = 64;
  std::size_t const head = (line - reinterpret_cast<std::uintptr_t>(to) % line) % line;
  if (bytes < head + line) {
    std::memcpy(to, from, bytes);
    return;
  }
  std::memcpy(to, from, head);
  std::size_t at = head;
  for (; at + line <= bytes; at += line) {
    for (std::size_t k = 0; k < line; k += sizeof(__m128i)) {
      auto const part = _mm_loadu_si128(reinterpret_cast<__m128i const*>(from + at + k));
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + at + k), part);
    }
  }
  std::memcpy(to + at, from + at, bytes - at);
}

void end_of_streaming() noexcept { _mm_sfence(); }

#else

void stream_copy(std::byte* to, std::byte const* from, std::size_t bytes) noexcept {
  std::memcpy(to, from, bytes);
}

void end_of_streaming() noexcept {}

#endif

}  // namespace tessera::checkpoint
