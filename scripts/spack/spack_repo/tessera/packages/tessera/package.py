# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Spack's recipe of Tessera (docs/packages.md). tests/package/spack_recipe.py holds it against what CMake looks for."""

from spack_repo.builtin.build_systems.cmake import CMakePackage, generator
from spack_repo.builtin.build_systems.cuda import CudaPackage

from spack.package import *


class Tessera(CMakePackage, CudaPackage):
    """Trains transformer models whose layers are split over many ranks by tensor, pipeline and data parallelism, with
    the same bits on every layout."""

    homepage = "https://tessera.example"

    maintainers("tessera-developers")
    license("Apache-2.0")

    # There is no release to fetch yet: the environments beside this repository build the checkout that they are in.
    version("0.1.0")

    variant("onednn", default=True, description="Matrix products of float32 by oneDNN")
    variant("cblas", default=True, description="Matrix products by OpenBLAS")
    variant("nccl", default=True, when="+cuda", description="Collectives between GPUs by NCCL")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.24:", type="build")
    generator("ninja")
    conflicts("%gcc@:11", msg="C++20 as of GCC 12 is needed")

    depends_on("mpi@3:")
    depends_on("kokkos@3.4: +serial +pic cxxstd=20")
    depends_on("hdf5@1.10: ~mpi")
    depends_on("fmt@9:")
    depends_on("nlohmann-json@3.11:")
    depends_on("xxhash@0.8:")
    depends_on("cli11@2:")
    depends_on("tomlplusplus@3.3:")
    depends_on("spdlog@1.10:")
    depends_on("onednn@2.6:", when="+onednn")
    depends_on("openblas", when="+cblas")

    # Tests, with `spack install --test=root`.
    depends_on("googletest@1.12: +gmock", type="test")
    depends_on("random123", type="test")
    depends_on("python@3.11:", type="test")

    with when("+cuda"):
        conflicts("cuda_arch=none", msg="say for which GPUs: cuda_arch=90")
        depends_on("kokkos@4: +wrapper")
        depends_on("nccl", when="+nccl")
        for arch in CudaPackage.cuda_arch_values:
            depends_on(f"kokkos +cuda cuda_arch={arch}", when=f"cuda_arch={arch}")

    def cmake_args(self):
        # Spack's compiler wrapper says for which processor to compile, by the target of the spec.
        args = [
            self.define("TESSERA_NATIVE", False),
            self.define("TESSERA_BUILD_TESTS", self.run_tests),
            self.define("Kokkos_ROOT", self.spec["kokkos"].prefix),
            self.define("HDF5_ROOT", self.spec["hdf5"].prefix),
        ]
        # What is left out must not come from the system.
        if self.spec.satisfies("~onednn"):
            args += [self.define("TESSERA_DNNL_LIBRARY", False), self.define("TESSERA_DNNL_INCLUDE_DIR", False)]
        if self.spec.satisfies("~cblas"):
            args.append(self.define("CMAKE_DISABLE_FIND_PACKAGE_BLAS", True))
        if self.spec.satisfies("+cuda"):
            args.append(self.define("CMAKE_CXX_COMPILER", self["kokkos"].kokkos_cxx))
            if self.spec.satisfies("~nccl"):
                args.append(self.define("TESSERA_NCCL_LIBRARY", False))
        return args

    def check(self):
        with working_dir(self.build_directory):
            ctest("--label-regex", "^quick$", "--output-on-failure")

    def test_version(self):
        """The installed program starts and says what it is made of."""
        gpt_train = which(self.prefix.bin.gpt_train)
        assert f"Tessera {self.spec.version}" in gpt_train("--version", output=str)
