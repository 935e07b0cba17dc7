# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Every launch has a label that starts with `tessera::`, no sum is left to an order that a library chooses, and no
kernel captures a view."""

import re

import tree

# What stands before a label: Kokkos' own calls, and the launch helpers of kernels/launch.hpp.
LAUNCH = re.compile(
    r"Kokkos::(?:parallel_(?:for|reduce|scan)|Profiling::(?:pushRegion|ScopedRegion\s+\w+)|fence)\s*\(\s*"
    r"|\b(?:rows|elements|map_elements)\s*\(\s*[\w.]*exec\w*\s*,\s*")
VIEW = re.compile(r'Kokkos::view_alloc\s*\(\s*"([^"]*)"|Kokkos::View<[^;"]*[({]\s*"([^"]*)"')
FREE_ORDER = re.compile(
    r"\b(?:Kokkos::parallel_reduce|parallel_reduce|team_reduce|Kokkos::atomic_\w+"
    r"|std::(?:transform_)?reduce\b|std::atomic<(?:float|double)>|atomicAdd)")


def first_argument(text, start):
    match = re.compile(r'"([^"]*)"|([A-Za-z_][\w:]*)\s*[,)]').match(text, start)
    if not match:
        return "other", ""
    return ("literal", match.group(1)) if match.group(1) is not None else ("name", match.group(2))


def label_of(name, text):
    """The literal that a name of this file was defined with; None for a parameter."""
    match = re.search(rf'std::string(?:_view)?\s+(?:const\s+)?{re.escape(name)}\s*[={{(]+\s*"([^"]*)"', text)
    return match.group(1) if match else None


def label_problems(text):
    for match in LAUNCH.finditer(text):
        kind, value = first_argument(text, match.end())
        if kind == "literal" and not value.startswith("tessera::"):
            yield match.start(), f"label '{value}' does not start with tessera::"
        elif kind == "other" and "fence" not in match.group(0):
            yield match.start(), "launch without a label"
        elif kind == "name" and (label := label_of(value, text)) and not label.startswith("tessera::"):
            yield match.start(), f"label '{label}' does not start with tessera::"
    for match in VIEW.finditer(text):
        label = match.group(1) or match.group(2) or ""
        if not label.startswith("tessera::"):
            yield match.start(), f"view label '{label}' does not start with tessera::"


def sums_integers(lines, number):
    """Integers have one sum in any order: a comment, or the types of the sum, say that they are what is summed."""
    before, call = lines[max(0, number - 2)], " ".join(lines[number - 1:number + 3])
    return re.search(r"//.*integer", before + call) or re.search(
        r"std::u?int\d+_t\s*&|std::u?int\d+_t\s*\{0\}|^\s*std::u?int\d+_t .*std::reduce", call)


def order_problems(text, commented):
    lines = commented.splitlines()
    for match in FREE_ORDER.finditer(text):
        if not sums_integers(lines, tree.line_of(text, match.start())):
            yield match.start(), f"'{match.group(0)}' leaves the order of a sum open; use kernels/sum.hpp"


def body_of(text, start):
    """The text between the first brace after `start` and the one that closes it."""
    first = text.find("{", start)
    depth = 0
    for at in range(first, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[first:at]
    return text[first:]


def capture_problems(text):
    """Compilers of host and device may lay out a view among the captures of a lambda differently (docs/gpu.md)."""
    for match in re.finditer(r"\bKOKKOS_LAMBDA\b", text):
        function = text[text.rfind("\n}\n", 0, match.start()) + 1:match.start()]
        body = body_of(text, match.start())
        for name in sorted(set(re.findall(r"\b(?:Const)?(?:Vector|Matrix|Cube)<[^;(){}]*>\s+(\w+)", function))):
            if re.search(rf"(?<![\w.>]){name}\s*[(\[.]", body):
                yield match.start(), f"a kernel captures the view '{name}'; capture its data()"


def main():
    sources = tree.files("include", "src", "backends", "apps")
    problems = []
    for path in sources:
        commented = path.read_text()
        text = tree.without_comments(commented)
        found = [*label_problems(text), *order_problems(text, commented), *capture_problems(text)]
        problems += [f"{tree.place(path)}:{tree.line_of(text, at)}: {what}" for at, what in sorted(found)]
    tree.report("Kernel launches", problems, len(sources))


main()
