# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""compiler_flags.py COMPILE_COMMANDS BUILD_TYPE: every source is compiled with the flags that make the bits
of an element independent of vectorisation (docs/numerics.md, rule 4), and with none that undo them."""

import json
import pathlib
import re
import shlex
import sys

import tree

REQUIRED = {"-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"}
FORBIDDEN = {
    "-Ofast", "-ffast-math", "-funsafe-math-optimizations", "-fassociative-math", "-freciprocal-math",
    "-ffinite-math-only", "-fno-signed-zeros", "-fcx-limited-range", "-mdaz-ftz", "-fno-protect-parens",
}


def last_of(flags, pattern):
    """The flag of this pattern that counts."""
    return next((flag for flag in reversed(flags) if re.fullmatch(pattern, flag)), None)


def levels_of(path, folders):
    """The levels of optimisation that a source may have, by the folder of the tree, or of its build tree, it lies in."""
    path = pathlib.Path(path)
    inside = [path.relative_to(folder).parts[0] for folder in folders if path.is_relative_to(folder)]
    return {"apps": {"-O3", "-O1"}, "tests": {"-O0"}}.get(inside[0] if inside else None, {"-O3"})


def flag_problems(entry, build_type, folders):
    flags = shlex.split(entry["command"])
    missing = REQUIRED - set(flags)
    if last_of(flags, r"-ffp-contract=\w+") != "-ffp-contract=off":
        missing.add("-ffp-contract=off")
    levels = levels_of(entry["file"], folders)
    if build_type == "Release" and last_of(flags, r"-O\w*") not in levels:
        missing.add(" or ".join(sorted(levels)))
    for flag in sorted(missing):
        yield f"{entry['file']}: is compiled without {flag}"
    for flag in sorted(FORBIDDEN & set(flags)):
        yield f"{entry['file']}: is compiled with {flag}"


def main(database, build_type):
    entries = json.loads(database.read_text())
    folders = (database.resolve().parent, tree.ROOT)
    problems = [problem for entry in entries for problem in flag_problems(entry, build_type, folders)]
    tree.report("Compiler flags", problems, len(entries))


main(pathlib.Path(sys.argv[1]), sys.argv[2])
