// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Any text as a manifest, its seal made good, so that the parser is reached: it is refused with DataError, or
// read and then written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/manifest.hpp"

// The name that libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  using namespace tessera::checkpoint;
  std::string text(reinterpret_cast<char const*>(data), size);
  text = seal(text.substr(0, text.rfind(" \"xxh3_128\": ")));
  try {
    Manifest const manifest = parse_manifest(text, "input");
    if (parse_manifest(to_text(manifest), "again") != manifest) std::abort();
  } catch (tessera::DataError const&) {
  }
  return 0;
}
