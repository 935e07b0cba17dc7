# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""must_not_compile.py COMPILE_COMMANDS SOURCE CASE...: compiles SOURCE as its target does, with -DCASE=0
(must succeed) and with each other case (must fail, saying what its section has after `// error: `)."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys


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


def compile_case(command, directory, case):
    arguments = [f"-DCASE={case}" if argument == "-DCASE=0" else argument for argument in command]
    # Without the source line: it holds the expected text as a comment, and any error there would seem to be the one.
    arguments += ["-fsyntax-only", "-fno-diagnostics-color", "-fno-diagnostics-show-caret"]
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(arguments, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def main(database, source, cases):
    command, directory = command_of(source, database)
    correct = compile_case(command, directory, 0)
    if correct.returncode != 0:
        sys.exit(f"case 0, the correct use, does not compile:\n{correct.stderr}")
    failures = 0
    for case in cases:
        expected = expected_error(source.read_text(), case)
        result = compile_case(command, directory, case)
        if result.returncode == 0:
            print(f"case {case} compiles, and must not")
            failures += 1
        elif expected not in result.stderr:
            print(f"case {case} fails without saying '{expected}':\n{result.stderr}")
            failures += 1
    sys.exit(failures > 0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), [int(case) for case in sys.argv[3:]])
