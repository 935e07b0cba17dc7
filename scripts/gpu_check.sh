#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Checks and measures a build on an NVIDIA GPU in at most 8 minutes: kernels against plain serial loops, recorded
# losses, short runs, then benchmarks and, where PyTorch is installed, the same models in it. The tests run as one rank.
#
#   scripts/gpu_check.sh [--build-dir DIR] [--output DIR] [--quick] [--only SECTION,...] [CMAKE OPTION...]
#   scripts/gpu_check.sh --compile-only [CMAKE OPTION...]
#
#   --compile-only   on any machine with nvcc and a Kokkos that was built with CUDA: builds the whole preset `cuda` (library,
#                    programs, tests, benchmarks) and says what has device code; runs nothing
#   --build-dir DIR  what is built there is used (build/cuda unless said); what is not there is configured with
#                    `cmake --preset cuda` and the options given, and built
#   --output DIR     gets results.json, table.txt and the output of every part (gpu-results unless said)
#   --quick          the small model alone
#   --only           device, tests, runs, kernels, models, torch
set -euo pipefail

compile_only=false
build_dir=build/cuda
output=gpu-results
check=()
configure=()
while (($# > 0)); do
  case $1 in
    -h | --help) sed --quiet '5,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --build-dir) build_dir=$2; shift ;;
    --output) output=$2; shift ;;
    --only) check+=(--only "$2"); shift ;;
    --compile-only) compile_only=true ;;
    --quick) check+=(--quick) ;;
    -D*) configure+=("$1") ;;
    *) echo "gpu_check.sh: \"$1\" is no option; see --help" >&2; exit 64 ;;
  esac
  shift
done
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
configure_cuda() {
  stage "Configure (build/cuda)" cmake --preset cuda -DTESSERA_BUILD_BENCHMARKS=ON --log-level=NOTICE "${configure[@]}"
  grep --quiet '^TESSERA_CUDA:INTERNAL=TRUE' build/cuda/CMakeCache.txt && return
  echo "gpu_check.sh: the Kokkos that was found has no CUDA: -DKokkos_ROOT=DIR -DCMAKE_CXX_COMPILER=DIR/bin/nvcc_wrapper (docs/gpu.md)" >&2
  exit 78
}

if ${compile_only}; then
  command -v nvcc > /dev/null || { echo "gpu_check.sh: there is no nvcc on the path" >&2; exit 66; }
  configure_cuda
  stage "Build the preset cuda" cmake --build --preset cuda --parallel "${jobs}"
  objects=$(find build/cuda/src -name 'lib*.a' -exec readelf --sections --wide {} + | grep --count '[.]nv_fatbin ') || true
  ((objects > 0)) || { echo "gpu_check.sh: the library has no device code" >&2; exit 70; }
  kokkos=$(sed --quiet 's/^Kokkos_DIR:[A-Z]*=//p' build/cuda/CMakeCache.txt)
  gpus=$(sed --quiet 's/^set(Kokkos_ARCH \(.*\))/\1/p' "${kokkos}"/*.cmake)
  echo "Compiled, not run: ${objects} objects of the library have device code, for ${gpus:-the architectures of this Kokkos}."
  exit
fi
command -v nvidia-smi > /dev/null || { echo "gpu_check.sh: there is no nvidia-smi, so no NVIDIA GPU here" >&2; exit 66; }

programs=(gpt_train test_kernels test_matmul test_attention_flash test_layers_gradients test_gpt2_truth test_contract_collectives test_comm_thread test_nccl_one_rank bench_device)
missing=()
for program in "${programs[@]}"; do
  [[ -n $(find "${build_dir}" -name "${program}" -type f -executable 2> /dev/null) ]] || missing+=("${program}")
done
if ((${#missing[@]} > 0)); then
  configure_cuda
  stage "Build ${missing[*]}" cmake --build --preset cuda --parallel "${jobs}" --target "${missing[@]}"
fi

python3 bench/gpu/check.py --build-dir "${build_dir}" --output "${output}" "${check[@]}"
