# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Every source starts with the two SPDX lines, and files stay of the size that can be read at a sitting."""

import statistics

import tree

SPDX = ("SPDX-FileCopyrightText: The Tessera developers", "SPDX-License-Identifier: Apache-2.0")
FOLDERS = ("include", "src", "backends", "apps", "tests", "bench", "cmake", "scripts", "slurm", "inputs",
           ".ci")
SUFFIXES = (".hpp", ".cpp", ".cmake", "CMakeLists.txt", ".sh", ".sbatch", ".py", ".toml", "run")
LONGEST = {"tests": 400}
LONGEST_ELSEWHERE = 300


def main():
    sources = [*tree.files(*FOLDERS, suffixes=SUFFIXES), tree.ROOT / "CMakeLists.txt"]
    problems, lengths = [], []
    for path in sources:
        lines = path.read_text().splitlines()
        head = [line for line in lines[:4] if "SPDX-" in line]
        if [line.split(" ", 1)[-1] for line in head] != list(SPDX):
            problems.append(f"{tree.place(path)}: does not start with the two SPDX lines")
        longest = LONGEST.get(tree.place(path).split("/")[0], LONGEST_ELSEWHERE)
        if len(lines) > longest:
            problems.append(f"{tree.place(path)}: {len(lines)} lines, more than {longest}")
        if path.suffix in tree.CODE:
            lengths.append(len(lines))
    lengths.sort()
    if lengths:
        print(f"C++ files: {len(lengths)}, median {statistics.median(lengths):.0f} lines, "
              f"90th percentile {lengths[len(lengths) * 9 // 10]}, longest {lengths[-1]}")
    tree.report("File heads", problems, len(sources))


main()
