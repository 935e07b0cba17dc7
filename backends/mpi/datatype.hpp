// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include "tessera/base/dtype.hpp"
#include "tessera/base/unique_handle.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::backends::mpi {

/// bf16 and f16 only travel: sums of them are not asked of a backend (comm/collectives.hpp).
inline MPI_Datatype to_mpi(DType type) {
  switch (type) {
    case DType::u8: return MPI_UINT8_T;
    case DType::i32: return MPI_INT32_T;
    case DType::i64: return MPI_INT64_T;
    case DType::u64: return MPI_UINT64_T;
    case DType::f32: return MPI_FLOAT;
    case DType::f64: return MPI_DOUBLE;
    case DType::bf16:
    case DType::f16: return MPI_UINT16_T;
  }
  return MPI_DATATYPE_NULL;
}

inline MPI_Op to_mpi(comm::Op op) {
  switch (op) {
    case comm::Op::sum: return MPI_SUM;
    case comm::Op::max: return MPI_MAX;
    case comm::Op::min: return MPI_MIN;
  }
  return MPI_OP_NULL;
}

struct DatatypeTraits {
  using Handle = MPI_Datatype;
  static Handle null() noexcept { return MPI_DATATYPE_NULL; }
  static void free(Handle type) noexcept { MPI_Type_free(&type); }
};
using UniqueDatatype = UniqueHandle<DatatypeTraits>;

/// `count` elements that stand once in every `stride` elements: with it a part of each rank's block is
/// gathered or scattered in place. The whole block (count == stride) is no piece and makes no new type.
class StridedPiece {
 public:
  StridedPiece(int count, std::size_t stride, DType type) : type_(to_mpi(type)), count_(count) {
    if (static_cast<std::size_t>(count) == stride) return;
    UniqueDatatype contiguous;
    MPI_Type_contiguous(count, to_mpi(type), contiguous.address());
    MPI_Type_create_resized(contiguous.get(), 0, static_cast<MPI_Aint>(stride * size_bytes(type)),
                            made_.address());
    MPI_Type_commit(made_.address());
    type_ = made_.get();
    count_ = 1;
  }
  /// Type and count of the piece in an MPI call.
  [[nodiscard]] MPI_Datatype type() const noexcept { return type_; }
  [[nodiscard]] int count() const noexcept { return count_; }

 private:
  UniqueDatatype made_;  // freeing it leaves operations under way alone
  MPI_Datatype type_;
  int count_;
};

}  // namespace tessera::backends::mpi
