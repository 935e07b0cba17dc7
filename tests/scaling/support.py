# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What the tests of bench/scaling share: the tools, and stand-ins for gpt_train and mpirun that take no time."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "bench" / "scaling"
sys.path.insert(0, str(TOOLS))

# Behaves as --seed says: 1 trains, 2 fails, 3 hangs, 4 leaves early, 5 writes no step, 6 trains once USR1 has come.
TRAIN = f"""#!{sys.executable}
import json, signal, sys, time
words = sys.argv[1:]
if words == ["--version"]:
    print("gpt_train of Tessera 9.9.9"); sys.exit(0)
value = lambda name, default: words[words.index(name) + 1] if name in words else default
seed = int(value("--seed", "1"))
if seed == 2:
    print("gpt_train: error: the seed is bad", file=sys.stderr); sys.exit(78)
if seed == 3:
    print("begun", flush=True)
    time.sleep(60)
if seed == 6:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    print("begun", flush=True)
    signal.sigwait([signal.SIGUSR1])
if seed == 4:
    sys.exit(75)
tp = int(value("--tp", "1"))
with open(value("--metrics", ""), "w") as file:
    say = lambda **entry: print(json.dumps(entry), file=file)
    say(event="begin", tp=tp, pp=1, dp=1, ranks=tp, nodes=1, parameters=1000, flops_per_token=6000.0, steps=6,
        microbatches_per_replica=4, stored_parameters_per_rank=dict(mean=9.0, largest=10.0))
    for step in range(1, 7 if seed != 5 else 1):
        say(step=step, step_s=(9.0 if step < 3 else 0.8 / tp), tokens=100, mfu=0.5, exposed_comm_s=0.08 / tp,
            bubble_s=0.04 / tp, comm_compute_ratio=0.25, comm_bytes=dict(tp=1), loss=2.0)
print("Weights: 0123456789abcdef")
print("Figure of Merit (FOM): 125.000 tokens/s")
"""

PLAN = """
name = "trial"
kind = "strong"
repetitions = 2
timeout_s = 2

[options]
global-batch-size = 4

[[points]]
ranks = 1
baseline = true

[[points]]
ranks = 2
options = { tp = 2 }
"""


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-scaling-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text, runnable=False):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if runnable:
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def tool(self, name, *words, environment=None):
        """Runs a tool as a user does: exit code, output, errors."""
        done = subprocess.run([sys.executable, str(TOOLS / name), *map(str, words)], capture_output=True, text=True,
                              cwd=self.folder, env={**os.environ, **(environment or {})}, timeout=120)
        return done.returncode, done.stdout, done.stderr


class Stage(Folder):
    """A folder with stand-ins for the program and its launcher."""

    def setUp(self):
        super().setUp()
        self.write("programs/gpt_train", TRAIN, runnable=True)
        # -n N, then the command.
        self.mpirun = self.write("mpirun", "#!/bin/sh\nshift 2\nexec \"$@\"\n", runnable=True)

    def run_plan(self, text, *words):
        plan = self.write("plan.toml", text)
        return self.tool("run.py", plan, "--programs", "programs", "--out", "out", *words,
                         environment={"MPIEXEC": str(self.mpirun)})

    def records(self):
        files = sorted((self.folder / "out" / "trial").glob("point-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]
