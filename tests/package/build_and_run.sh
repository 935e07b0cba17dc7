#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# build_and_run.sh WAY: builds the consumer by find_package, pkg_config or add_subdirectory, and runs it on 1, 2
# and 4 ranks, which have to print the same bits.
# What it needs to know comes in the environment, from tests/package/CMakeLists.txt.
set -euo pipefail

way=$1
consumer=${TESSERA_SOURCE}/tests/package/consumer
rm -rf "${WORK}"
mkdir --parents "${WORK}"

configure() {
  "${CMAKE}" -S "${consumer}" -B "${WORK}" -G "${GENERATOR}" \
    -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_COMPILER="${CXX}" -DCMAKE_CXX_COMPILER_LAUNCHER="${LAUNCHER}" \
    -DMPI_CXX_COMPILER="${MPI_CXX_COMPILER}" "$@"
}

build() {
  "${CMAKE}" --build "${WORK}" --target consumer --parallel 2
}

case ${way} in
  find_package)
    configure -DCMAKE_PREFIX_PATH="${TESSERA_PREFIX}"
    build
    ;;
  add_subdirectory)  # configures the whole library, compiles the smaller one that is enough, without optimisation
    configure -DTESSERA_SOURCE="${TESSERA_SOURCE}"
    configure -DTESSERA_ROOMS="base;comm;mesh;params;kernels;layers" -DCMAKE_UNITY_BUILD=ON \
      -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0
    build
    ;;
  pkg_config)
    export PKG_CONFIG_PATH=${TESSERA_PREFIX}/${TESSERA_LIBDIR}/pkgconfig
    read -ra flags < <(pkg-config --cflags tessera)
    read -ra libraries < <(pkg-config --static --libs tessera)
    "${CXX}" -O2 "${flags[@]}" "${consumer}/main.cpp" "${libraries[@]}" -o "${WORK}/consumer"
    ;;
  *)
    echo "build_and_run.sh: unknown way '${way}'" >&2
    exit 64
    ;;
esac

for ranks in 1 2 4; do
  "${MPIEXEC}" -n "${ranks}" "${WORK}/consumer" | tee "${WORK}/${ranks}.txt"
done
grep --quiet 'y = -\?0x1\.' "${WORK}/1.txt"
cmp "${WORK}/1.txt" "${WORK}/2.txt"
cmp "${WORK}/1.txt" "${WORK}/4.txt"

# More ranks than tiles are told, once, and nobody hangs.
status=0
timeout 60 "${MPIEXEC}" -n 8 "${WORK}/consumer" 2> "${WORK}/8.txt" || status=$?
((status == 78))
(($(grep --count 'consumer: 4 tiles cannot be dealt out evenly to 8 ranks' "${WORK}/8.txt") == 1))
