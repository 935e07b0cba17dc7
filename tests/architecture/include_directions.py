# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Includes follow the arrows between rooms, outside headers stay in the rooms that own them, nothing includes
a backend."""

import pathlib
import re

import tree

# Header pattern -> folders whose files may include it.
OWNERS = {
    r"mpi\.h|mpi-ext\.h": ["backends/mpi", "tests/support"],
    r"nccl\.h|rccl.*\.h": ["backends/nccl"],
    r"cuda.*|cublas.*|nv.*\.h|hip/.*": ["backends/nccl", "backends/cublas"],
    r"(oneapi/dnnl/)?dnnl.*": ["backends/onednn"],
    r"(openblas/)?cblas.*|mkl.*": ["backends/cblas"],
    r"hdf5.*|H5.*\.h": ["src/checkpoint"],
    r"hwloc.*": ["src/mesh"],
    r"xxhash\.h": ["src/params", "src/checkpoint"],
    r"CLI/.*": ["apps", "bench"],
    r"spdlog/.*|toml\+\+/.*": ["apps"],
    r"Kokkos_.*": ["include/tessera/base"],
    r"(gtest|gmock|benchmark)/.*": ["tests", "bench"],
}


def target_room(name, path):
    """The room a project header belongs to, None for an outside header."""
    if name.startswith("tessera/backends/"):
        owner = next((tree.ROOT / "backends").glob(f"*/include/{name}"), None)
        return tree.room_of(owner) if owner else f"backends/{pathlib.PurePath(name).stem}"
    if match := re.match(r"tessera/(\w+)/", name):
        return match.group(1)
    first = name.split("/")[0]
    if "/" in name and first in tree.ARROWS and (tree.ROOT / "src" / name).exists():
        return first
    if (path.parent / name).exists():
        return tree.room_of(path)
    return None


def owners_of(name):
    """The folders that may include an outside header; empty where all may."""
    return next((owners for pattern, owners in OWNERS.items() if re.fullmatch(pattern, name)), [])


def problems_of(path):
    room, place = tree.room_of(path), tree.place(path)
    if room is not None and room not in tree.ARROWS:
        yield f"{place}: room '{room}' has no arrows; add it to tests/architecture/tree.py"
        return
    for number, name in tree.includes(path):
        where = f"{place}:{number}: "
        target = target_room(name, path)
        if ".." in name.split("/"):
            yield f"{where}'{name}' climbs out of its folder; name it from its room"
        elif target is not None:
            if room is not None and target not in tree.allowed(room):
                yield f"{where}{room} may not include {target} ('{name}')"
        else:
            owners = owners_of(name)
            if owners and not place.startswith(tuple(f"{owner}/" for owner in owners)):
                yield f"{where}'{name}' belongs in {' or '.join(owners)}"


def main():
    sources = tree.files("include", "src", "backends", "apps")
    problems = [problem for path in sources for problem in problems_of(path)]
    tree.report("Include directions", problems, len(sources))


main()
