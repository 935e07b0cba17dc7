# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What the architecture tests share: the arrows between rooms, the files of the tree, how to report."""

import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Room -> the rooms it may include directly; what these may include, it may too. docs/architecture.md draws
# it.
ARROWS = {
    "base": [],
    "comm": ["base"],
    "mesh": ["comm"],
    "params": ["mesh"],
    "kernels": ["base"],
    "layers": ["params", "kernels"],
    "model": ["layers"],
    "pipeline": ["model"],
    "optim": ["kernels", "params"],
    "data_parallel": ["pipeline", "optim"],
    "checkpoint": ["comm"],
    "data": ["base"],
    "train": ["data_parallel", "checkpoint", "data"],
    "apps": ["train"],
    "backends/mpi": ["comm"],
    "backends/nccl": ["comm"],
    "backends/loopback": ["comm"],
    "backends/onednn": ["kernels"],
    "backends/cblas": ["kernels"],
    "backends/cublas": ["kernels"],
}

CODE = (".hpp", ".cpp")


@functools.lru_cache(None)
def allowed(room):
    """The room itself and every room that an arrow leads from to it."""
    return {room}.union(*(allowed(source) for source in ARROWS[room]))


def files(*folders, suffixes=CODE):
    """All files with one of these endings under these folders of the tree, in a fixed order."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(path for path in found if path.name.endswith(suffixes))


def place(path):
    return str(path.relative_to(ROOT))


def room_of(path):
    """The room a file belongs to; None for files that stand above the rooms."""
    parts = path.relative_to(ROOT).parts
    if parts[:2] == ("include", "tessera"):
        return parts[2] if len(parts) > 3 else None
    if parts[0] == "src":
        return parts[1]
    if parts[0] == "backends":
        return "/".join(parts[:2]) if len(parts) > 2 else None
    return parts[0]


def without_comments(text):
    """The text with comments blanked out, line numbers kept. String literals stay."""
    pattern = r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/'

    def blank(match):
        token = match.group(0)
        return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)

    return re.sub(pattern, blank, text, flags=re.DOTALL)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def includes(path):
    """(line number, name) of each #include of a file."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(2)


def report(title, problems, checked):
    """Ends the test: prints every problem; fails if there is one, or if nothing was looked at."""
    for problem in problems:
        print(problem)
    print(f"{title}: {checked} looked at, {len(problems)} problems")
    sys.exit(1 if problems or checked == 0 else 0)
