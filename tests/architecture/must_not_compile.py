# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""must_not_compile.py COMPILE_COMMANDS SOURCE CASE...: compiles SOURCE as its target does, with -DCASE=0
(must succeed) and with each other case (must fail, saying what its section has after `// error: `). The headers that all
cases include are compiled once, beforehand."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile


def command_of(source, database):
    """The compiler's arguments for this source, without the output file."""
    entry = next(entry for entry in json.loads(database.read_text()) if entry["file"] == str(source))
    arguments = shlex.split(entry["command"])
    if "ccache" in arguments[0]:
        arguments = arguments[1:]
    output = arguments.index("-o")
    return arguments[:output] + arguments[output + 2:], entry["directory"]


def expected_error(text, case):
    """What follows `// error: ` between `CASE == case` and the next section."""
    section = re.search(rf"CASE == {case}\b(.*?)(?:^#\s*(?:el|endif)|\Z)", text, re.DOTALL | re.MULTILINE)
    error = section and re.search(r"// error: (.+)", section.group(1))
    if not error:
        sys.exit(f"case {case} has no section, or none that says its `// error: `")
    return error.group(1).strip()


class Compiler:
    def __init__(self, command, directory, folder, source):
        self.command, self.directory = command, directory
        self.headers = folder / "headers.hpp"
        self.headers.write_text("".join(re.findall(r"^#include .*\n", source.read_text(), re.MULTILINE)))
        others = [argument for argument in command if argument not in ("-c", "-DCASE=0", str(source))]
        self._run([*others, "-x", "c++-header", self.headers, "-o", f"{self.headers}.gch"], check=True)

    def compile(self, case):
        arguments = [f"-DCASE={case}" if argument == "-DCASE=0" else argument for argument in self.command]
        # Without the source line: it holds the expected text as a comment, and any error there would seem to be the one.
        return self._run([*arguments, "-include", self.headers, "-fsyntax-only", "-fno-diagnostics-color",
                          "-fno-diagnostics-show-caret"])

    def _run(self, arguments, check=False):
        return subprocess.run(arguments, cwd=self.directory, env=os.environ | {"LC_ALL": "C"}, capture_output=True,
                              text=True, check=check)


def check(compiler, source, cases):
    correct = compiler.compile(0)
    if correct.returncode != 0:
        sys.exit(f"case 0, the correct use, does not compile:\n{correct.stderr}")
    failures = 0
    for case in cases:
        expected = expected_error(source.read_text(), case)
        result = compiler.compile(case)
        if result.returncode == 0:
            print(f"case {case} compiles, and must not")
            failures += 1
        elif expected not in result.stderr:
            print(f"case {case} fails without saying '{expected}':\n{result.stderr}")
            failures += 1
    sys.exit(failures > 0)


def main(database, source, cases):
    with tempfile.TemporaryDirectory() as folder:
        check(Compiler(*command_of(source, database), pathlib.Path(folder), source), source, cases)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), [int(case) for case in sys.argv[3:]])
