# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""No pragma, attribute or processor mode in a source undoes what the compiler flags promise
(docs/numerics.md, rule 4)."""

import re

import tree

IN_SOURCE = re.compile(r"#\s*pragma\s+(GCC\s+(optimize|target)|STDC\s+FP_CONTRACT|omp|clang\s+fp)"
                       r"|__attribute__\s*\(\(\s*optimize|_MM_SET_(FLUSH|DENORMALS)_ZERO_MODE")


def problems_of(path):
    text = tree.without_comments(path.read_text())
    for match in IN_SOURCE.finditer(text):
        yield f"{tree.place(path)}:{tree.line_of(text, match.start())}: '{match.group(0)}' changes arithmetic"


def main():
    sources = tree.files("include", "src", "backends", "apps")
    tree.report("Arithmetic", [problem for path in sources for problem in problems_of(path)], len(sources))


main()
