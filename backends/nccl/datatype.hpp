// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/base/dtype.hpp"
#include "tessera/comm/communicator.hpp"
#include "vendor.hpp"

namespace tessera::backends::nccl {

inline ncclDataType_t to_nccl(DType type) {
  switch (type) {
    case DType::u8: return ncclUint8;
    case DType::i32: return ncclInt32;
    case DType::i64: return ncclInt64;
    case DType::u64: return ncclUint64;
    case DType::f32: return ncclFloat32;
    case DType::f64: return ncclFloat64;
    case DType::bf16: return ncclBfloat16;
    case DType::f16: return ncclFloat16;
  }
  return ncclNumTypes;
}

inline ncclRedOp_t to_nccl(comm::Op op) {
  switch (op) {
    case comm::Op::sum: return ncclSum;
    case comm::Op::max: return ncclMax;
    case comm::Op::min: return ncclMin;
  }
  return ncclNumOps;
}

}  // namespace tessera::backends::nccl
