#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Reads `ctest --show-only=json-v1` and prints, a line each, the tests that mpirun would start with so many ranks:
name, minutes that it may take, program.

    ctest ... | parallel_tests.py RANKS
"""
import json
import math
import sys


def properties(test):
    return {entry["name"]: entry["value"] for entry in test.get("properties", [])}


def main(ranks):
    for test in json.load(sys.stdin)["tests"]:
        # mpiexec -n RANKS PROGRAM; anything longer, or with an outcome of its own, is no plain test of ours.
        command, known = test.get("command", []), properties(test)
        if len(command) != 4 or command[1:3] != ["-n", ranks]:
            continue
        if "WILL_FAIL" in known or "PASS_REGULAR_EXPRESSION" in known:
            continue
        print(test["name"], math.ceil(known.get("TIMEOUT", 600) / 60), command[3])


main(sys.argv[1])
