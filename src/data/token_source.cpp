// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/token_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "data/failures.hpp"
#include "data/input_file.hpp"
#include "data/list_files.hpp"
#include "data/token_format.hpp"
#include "tessera/base/error.hpp"

namespace tessera::data {

namespace {

/// One file of a stream.
struct Piece {
  std::string path;
  std::int64_t first = 0;   // place in the stream of its first token
  std::int64_t tokens = 0;  // at least 1
  std::int64_t bytes = 0;
};

/// Keeps the files used last open, as many as leave room under the usual limit of 1,024 descriptors.
class OpenFiles {
 public:
  /// File `index` of `pieces`, from here or opened. Throws DataError when its size is no longer the same.
  InputFile const& get(std::vector<Piece> const& pieces, std::size_t index) {
    Slot& slot = slots_[index % slots_.size()];
    if (slot.index == index) return slot.file;
    Piece const& piece = pieces[index];
    InputFile file(piece.path);
    if (file.size() != piece.bytes) {
      throw DataError(
          fmt::format("{} has {} bytes now but had {} when the run began: data must not change while "
                      "a run uses it",
                      in_quotes(piece.path), file.size(), piece.bytes));
    }
    slot = {index, std::move(file)};
    return slot.file;
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  struct Slot {
    std::size_t index = none;
    InputFile file;
  };
  std::array<Slot, 128> slots_;
};

class FileTokens final : public TokenSource {
 public:
  FileTokens(std::string const& path, TokenFormat format) {
    bool const shards = format == TokenFormat::llmc || format == TokenFormat::u16;
    Seen seen;
    Failures failures;
    for (auto const& file : list_files(path, shards ? ".bin" : ""))
      failures.attempt([&] { add(file, format, seen); });
    failures.rethrow();
    if (pieces_.empty())
      throw DataError(fmt::format("data {} is empty: give text to train on", in_quotes(path)));
  }

  [[nodiscard]] std::int64_t size() const override { return size_; }
  [[nodiscard]] std::int64_t vocab_bound() const override { return std::int64_t{1} << (8 * layout_.width); }

  void read(std::int64_t first, std::span<std::int32_t> out) const override {
    auto const count = static_cast<std::int64_t>(out.size());
    require(first >= 0 && count <= size_ && first <= size_ - count, "tokens read lie inside the source");
    for (std::size_t index = piece_of(first); !out.empty(); ++index) {
      std::int64_t const skipped = first - pieces_[index].first;
      auto const part = std::min<std::int64_t>(pieces_[index].tokens - skipped, std::ssize(out));
      read_piece(index, skipped, out.first(static_cast<std::size_t>(part)));
      out = out.subspan(static_cast<std::size_t>(part));
      first += part;
    }
  }

  [[nodiscard]] std::string locate(std::int64_t position) const override {
    Piece const& piece = pieces_[piece_of(position)];
    return fmt::format("token {} of {}", position - piece.first, in_quotes(piece.path));
  }

  [[nodiscard]] std::vector<std::string> files() const override {
    std::vector<std::string> paths(pieces_.size());
    std::ranges::transform(pieces_, paths.begin(), &Piece::path);
    return paths;
  }

  [[nodiscard]] std::string description() const override {
    std::string const files =
        pieces_.size() == 1 ? in_quotes(pieces_.front().path) : fmt::format("{} files", pieces_.size());
    return fmt::format("{} of {}, {} tokens", files, layout_.name(), size_);
  }

 private:
  struct Seen {
    std::set<InputFile::Identity> files;
    bool unlike = false;
  };

  void add(std::string const& path, TokenFormat format, Seen& seen) {
    InputFile const file(path);
    if (!seen.files.insert(file.identity()).second) return;
    TokenLayout const layout = inspect_tokens(file, path, format);
    if (layout.tokens == 0) return;
    if (pieces_.empty()) layout_ = layout;
    if (layout.format != layout_.format || layout.width != layout_.width) {
      if (std::exchange(seen.unlike, true)) return;  // one pair is enough
      throw DataError(
          fmt::format("{} holds {} but {} holds {}: files read together must be alike; name the format "
                      "(data.format) to take only the .bin files, or use a pattern",
                      in_quotes(pieces_.front().path), layout_.name(), in_quotes(path), layout.name()));
    }
    pieces_.push_back({path, size_, layout.tokens, file.size()});
    if (__builtin_add_overflow(size_, layout.tokens, &size_)) {
      throw DataError(fmt::format("more than 2^63 tokens up to {}", in_quotes(path)));
    }
  }

  [[nodiscard]] std::size_t piece_of(std::int64_t position) const {
    auto const after = std::ranges::upper_bound(pieces_, position, {}, &Piece::first);
    return static_cast<std::size_t>(after - pieces_.begin()) - 1;
  }

  /// Raw tokens are read into the end of `out` and widened in place, so no other memory is needed.
  void read_piece(std::size_t index, std::int64_t first, std::span<std::int32_t> out) const {
    auto const width = static_cast<std::size_t>(layout_.width);
    auto const raw = std::as_writable_bytes(out).last(out.size() * width);
    InputFile const& file = open_.get(pieces_, index);
    file.read_at(layout_.header_bytes + first * layout_.width, raw, pieces_[index].path);
    widen_tokens(raw, layout_.width, out);
  }

  std::vector<Piece> pieces_;
  TokenLayout layout_;  // of every file; its count of tokens is the first file's
  std::int64_t size_ = 0;
  mutable OpenFiles open_;
};

}  // namespace

std::unique_ptr<TokenSource> open_tokens(std::string const& path, std::string_view format) {
  return std::make_unique<FileTokens>(path, parse_token_format(format));
}

}  // namespace tessera::data
