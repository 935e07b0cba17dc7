# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Exit codes of the tools in this folder: those of gpt_train, and one of their own."""

OK = 0
POINT_FAILED = 1     # the others were measured
USAGE = 64
DATA = 65
NO_INPUT = 66
CANNOT_CREATE = 73
REQUEUE = 75         # a run had to leave early: start the same command again
CONFIG = 78
