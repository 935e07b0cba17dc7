# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""self_test.py FOLDER: the architecture tests find what they are for. Each case is a small tree with one
file, laid out under FOLDER, whose mistake the test must name."""

import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEAD = "// SPDX-FileCopyrightText: The Tessera developers\n// SPDX-License-Identifier: Apache-2.0\n"
FLAGS = "g++ -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math {} -o a.o -c a.cpp"

# Test -> [(file, text, what the test must say; None: it must pass)].
CASES = {
    "include_directions": [
        ("src/mesh/a.cpp", '#include "tessera/comm/a.hpp"\n', None),
        ("src/comm/a.cpp", '#include "tessera/mesh/a.hpp"\n', "comm may not include mesh"),
        ("src/kernels/a.cpp", '#include "tessera/comm/a.hpp"\n', "kernels may not include comm"),
        ("backends/mpi/a.cpp", '#include "tessera/kernels/a.hpp"\n', "may not include kernels"),
        ("apps/x/a.cpp", '#include "tessera/backends/mpi.hpp"\n', "may not include backends/mpi"),
        ("src/comm/a.cpp", "#include <mpi.h>\n", "'mpi.h' belongs in"),
        ("src/kernels/a.cpp", "#include <cblas.h>\n", "'cblas.h' belongs in"),
        ("src/comm/a.cpp", '#include "../mesh/a.hpp"\n', "climbs out"),
        ("src/extra/a.cpp", "", "has no arrows"),
    ],
    "link_directions": [
        ("src/mesh/CMakeLists.txt", "tessera_room(mesh SOURCES a.cpp LINKS tessera::comm)\n", None),
        ("src/comm/CMakeLists.txt", "tessera_room(comm LINKS tessera::mesh)\n", "may not link to mesh"),
    ],
    "compiler_flags": [
        ("db", "", None),
        ("db", "-ffast-math", "with -ffast-math"),
        ("db", "-ffp-contract=fast", "without -ffp-contract=off"),
        ("db", "-O2", "without -O3"),
    ],
    "kernel_launches": [
        ("src/a.cpp", 'Kokkos::parallel_for("tessera::kernels::a", p, f);\n', None),
        ("src/a.cpp", 'Kokkos::parallel_for("a", p, f);\n', "label 'a'"),
        ("src/a.cpp", 'rows(exec, "a", n, f);\n', "label 'a'"),
        ("src/a.cpp", "\nint64 = std::reduce(a, b);\n", "order of a sum"),
        ("src/a.cpp", "\nstd::int64_t sum = std::reduce(a, b);\n", None),
        ("src/a.cpp", "Kokkos::parallel_for(Policy(exec, 0, n), f);\n", "without a label"),
        ("src/a.cpp", 'std::string const s = "b";\nKokkos::parallel_for(s, p, f);\n', "label 'b'"),
        ("src/a.cpp", 'Kokkos::View<float*> v("v", 3);\n', "view label 'v'"),
        ("src/a.cpp", 'Kokkos::parallel_reduce("tessera::a", p, f, sum);\n', "order of a sum"),
        ("src/a.cpp", "void f(Vector<T> v) {\n  rows(exec, label, n, KOKKOS_LAMBDA(long i) { v(i) = 0; });\n}\n",
         "captures the view 'v'"),
        ("src/a.cpp", "void f(Vector<T> v) {\n  T* p = v.data();\n"
         "  rows(exec, label, n, KOKKOS_LAMBDA(long i) { p[i] = 0; });\n}\n", None),
        ("src/a.cpp", "Kokkos::atomic_add(&x, 1.0f);\n", "order of a sum"),
    ],
    "arithmetic_in_source": [
        ("src/a.cpp", "// #pragma GCC optimize\n", None),
        ("src/a.cpp", '#pragma GCC optimize("Ofast")\n', "changes arithmetic"),
    ],
    "file_heads": [
        ("src/a.cpp", HEAD, None),
        ("src/a.cpp", "int a;\n", "SPDX"),
        ("src/a.cpp", HEAD + "\n" * 300, "302 lines"),
    ],
}


def lay_out(folder, name, text):
    """A tree with one file beside the tests; returns the arguments that the test of this file takes."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE, folder / "tests/architecture", ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("src", "backends"):
        (folder / part).mkdir()
    (folder / "CMakeLists.txt").write_text(HEAD.replace("//", "#"))
    if name == "db":
        database = folder / "compile_commands.json"
        database.write_text(json.dumps([{"file": "a.cpp", "command": FLAGS.format(text), "directory": "."}]))
        return [str(database), "Release"]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return []


def main(folder):
    failures = 0
    cases = [(test, *case) for test, cases in CASES.items() for case in cases]
    for test, name, text, expected in cases:
        arguments = lay_out(folder, name, text)
        command = [sys.executable, str(folder / f"tests/architecture/{test}.py"), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        status = 0 if expected is None else 1
        if result.returncode != status or (expected or "") not in result.stdout:
            print(f"{test} on {name} '{text}': expected {expected!r}, got {result.returncode}")
            print(result.stdout, result.stderr[-1000:])
            failures += 1
    print(f"Self test: {len(cases)} cases, {failures} failures")
    sys.exit(failures > 0)


main(pathlib.Path(sys.argv[1]))
