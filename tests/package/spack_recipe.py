#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Holds Spack's recipe and environments against the tree: what CMake looks for is what the recipe depends on. The
recipe is run with the few names that it takes from Spack replaced by recorders, so no Spack is needed.

    spack_recipe.py VERSION_OF_PROJECT [unittest arguments]
"""
import contextlib
import pathlib
import re
import runpy
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = sys.argv.pop(1)
REPOSITORY = ROOT / "scripts/spack/spack_repo/tessera"
RECIPE = REPOSITORY / "packages/tessera/package.py"
ENVIRONMENTS = sorted((ROOT / "scripts/spack/environments").glob("*/spack.yaml"))

# What CMake's find_package, find_path and find_library are called with -> the package that Spack has it from; None is
# part of the system.
PACKAGES = {
    "Kokkos": "kokkos", "TESSERA_KOKKOS_INCLUDE_DIR": "kokkos", "MPI": "mpi", "fmt": "fmt", "Threads": None,
    "TESSERA_HDF5_INCLUDE_DIR": "hdf5", "TESSERA_HDF5_LIBRARY": "hdf5", "nlohmann_json": "nlohmann-json",
    "TESSERA_XXHASH_INCLUDE_DIR": "xxhash", "TESSERA_DNNL_INCLUDE_DIR": "onednn", "TESSERA_DNNL_LIBRARY": "onednn",
    "BLAS": "openblas", "TESSERA_CBLAS_INCLUDE_DIR": "openblas", "spdlog": "spdlog", "tomlplusplus": "tomlplusplus",
    "TESSERA_CLI11_INCLUDE_DIR": "cli11", "CUDAToolkit": "cuda", "TESSERA_NCCL_INCLUDE_DIR": "nccl",
    "TESSERA_NCCL_LIBRARY": "nccl", "GTest": "googletest", "Python3": "python",
    "hip": None, "rccl": None,  # the recipe offers no AMD GPUs: nothing was built for them
}
# Looked for by single tests, which are left out without it.
OF_SINGLE_TESTS = {"TESSERA_FIU_LIBRARY"}
# Included without being looked for, as compilers find it by themselves.
INCLUDED = {"random123": ("tests/kernels/dropout_test.cpp", "<Random123/")}
FOR_BUILDING = {"c", "cxx", "cmake"}
BROUGHT_BY_BASE_CLASS = {"cuda"}


def cmake_files():
    folders = ("cmake", "src", "backends", "apps", "tests")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")
             if path.name == "CMakeLists.txt" or path.suffix == ".cmake"]
    return [ROOT / "CMakeLists.txt", *(path for path in found if "consumer" not in path.parts)]


class Recipe:
    """The class of the recipe, and what it declared: calls by the name of the directive."""

    def __init__(self):
        self.calls = {}
        stubs = {"spack": {}, "spack_repo": {}, "spack_repo.builtin": {}, "spack_repo.builtin.build_systems": {},
                 "spack_repo.builtin.build_systems.cmake": {"CMakePackage": Base,
                                                            "generator": self.recorder("generator")},
                 "spack_repo.builtin.build_systems.cuda": {"CudaPackage": Cuda},
                 "spack.package": {name: self.recorder(name) for name in (
                     "version", "variant", "depends_on", "conflicts", "license", "maintainers")}
                 | {"when": lambda condition: contextlib.nullcontext()}}
        for name, members in stubs.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(members)
        self.of_class = runpy.run_path(str(RECIPE))["Tessera"]

    def recorder(self, name):
        return lambda *arguments, **keywords: self.calls.setdefault(name, []).append(arguments)

    def first_arguments(self, directive):
        return [arguments[0] for arguments in self.calls[directive]]

    def arguments_for_cmake(self, *variants):
        recipe = self.of_class()
        recipe.spec = Spec(variants)
        return dict(re.match(r"-D(\w+)=(.*)", argument).groups() for argument in recipe.cmake_args())


class Base:
    run_tests = False

    @staticmethod
    def define(name, value):
        return f"-D{name}={value}"

    def __getitem__(self, name):
        return types.SimpleNamespace(kokkos_cxx="/kokkos/nvcc_wrapper")


class Cuda:
    cuda_arch_values = ("90",)


class Spec:
    def __init__(self, variants):
        self.variants = variants

    def satisfies(self, variant):
        return variant in self.variants

    def __getitem__(self, name):
        return types.SimpleNamespace(prefix=f"/{name}")


class SpackRecipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.recipe = Recipe()
        cls.dependencies = {re.match(r"[\w-]+", spec).group(0) for spec in cls.recipe.first_arguments("depends_on")}
        cls.dependencies |= BROUGHT_BY_BASE_CLASS
        cls.cmake = "\n".join(re.sub(r"#.*", "", path.read_text()) for path in cmake_files())
        cls.looked_for = set(re.findall(r"find_(?:package|path|library)\(\s*(\w+)", cls.cmake))

    def test_the_version_is_the_projects(self):
        self.assertEqual(self.recipe.first_arguments("version"), [VERSION])

    def test_all_that_cmake_looks_for_is_depended_on(self):
        for name in sorted(self.looked_for - OF_SINGLE_TESTS):
            with self.subTest(looked_for=name):
                self.assertIn(name, PACKAGES, "say in this test which package of Spack it is, and depend on that")
                self.assertIn(PACKAGES[name], self.dependencies | {None})

    def test_all_that_is_depended_on_is_looked_for(self):
        looked_for = {PACKAGES.get(name) for name in self.looked_for}
        looked_for |= {name for name, (path, text) in INCLUDED.items() if text in (ROOT / path).read_text()}
        if "CUDAToolkit" not in self.looked_for:
            looked_for |= {"cuda", "nccl"}
        self.assertEqual(self.dependencies - FOR_BUILDING - looked_for, set())

    def test_cmake_knows_every_option_it_is_given(self):
        everything = self.recipe.arguments_for_cmake("~onednn", "~cblas", "+cuda", "~nccl")
        for name in everything:
            known = name.startswith("CMAKE_") or re.search(rf"\b{name}\b", self.cmake) or (
                name.endswith("_ROOT") and PACKAGES.get(name.removesuffix("_ROOT")) is not None) or "NCCL" in name
            self.assertTrue(known, name)
        self.assertIn("CMAKE_CXX_COMPILER", everything)
        self.assertNotIn("CMAKE_CXX_COMPILER", self.recipe.arguments_for_cmake("+onednn", "+cblas"))

    def test_what_is_left_out_is_not_looked_for_in_the_system(self):
        self.assertEqual(self.recipe.arguments_for_cmake("~onednn")["TESSERA_DNNL_LIBRARY"], "False")
        self.assertNotIn("TESSERA_DNNL_LIBRARY", self.recipe.arguments_for_cmake("+onednn"))

    def test_the_repository_is_where_spack_wants_it(self):
        text = (REPOSITORY / "repo.yaml").read_text()
        self.assertIn("namespace: tessera", text)
        self.assertIn("api: v2.0", text)
        self.assertEqual(REPOSITORY.parts[-2:], ("spack_repo", "tessera"))

    def test_the_environments_lead_to_repository_and_sources(self):
        self.assertEqual([path.parent.name for path in ENVIRONMENTS], ["cpu", "cuda"])
        for path in ENVIRONMENTS:
            text = path.read_text()
            repository = re.search(r"^  repos:\n    tessera: (\S+)$", text, re.MULTILINE).group(1)
            sources = re.search(r"^      path: (\S+)$", text, re.MULTILINE).group(1)
            self.assertEqual((path.parent / repository).resolve(), REPOSITORY)
            self.assertEqual((path.parent / sources).resolve(), ROOT)
            self.assertIn(f"tessera@={VERSION}", text)


unittest.main()
