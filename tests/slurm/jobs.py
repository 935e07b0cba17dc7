# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Submits the scripts of slurm/, as they are, to a Slurm on four hosts of this machine: what its tests share. Each is
called with the build tree, and arguments of unittest after it.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support" / "cluster"))
import cluster  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
GPT_TRAIN = BUILD / "apps/gpt_train/gpt_train"
MODEL = ["--layers", "4", "--hidden-size", "32", "--seq-length", "16", "--global-batch-size", "16",
         "--eval-interval", "0", "--sample-length", "0", "--lr-warmup-iters", "2", "--lr-decay-iters", "100",
         "--log-interval", "50", "--tiles", "8", "--peak-tflops", "1"]
FOR_EVER = ["--steps", "1000000"]
GONE = ("COMPLETED", "FAILED", "NODE_FAIL", "CANCELLED", "TIMEOUT")


def numbers(text, pattern):
    return [int(number) for number in re.findall(pattern, text, re.MULTILINE)]


class Jobs(unittest.TestCase):
    slurm = None  # while the tests of a process run

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-jobs-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.run_folder = self.work / "run"
        os.environ["TESSERA_RUN_DIR"] = str(self.run_folder)

    def submit(self, *words, options=()):
        """A job of a script of slurm/, submitted from the root of the tree."""
        job = self.slurm.client("sbatch", "--parsable", f"--output={self.work}/log", *options, *words, cwd=ROOT)
        self.addCleanup(self.end, job)
        return job

    def end(self, job):
        def gone():
            # Again where it crossed with the script's own asking for another start: Slurm then does as it was told last.
            self.slurm.client("scancel", job, code=None)
            return self.slurm.fields(job)["JobState"] in GONE
        cluster.wait_until(f"job {job} has gone", gone, told=lambda: self.log() + str(self.slurm.fields(job)))

    def log(self):
        path = self.work / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, job, *states):
        def reached():
            fields = self.slurm.fields(job)
            return fields if fields["JobState"] in states else None
        return cluster.wait_until(f"job {job} is {states}", reached, told=self.log)

    def wait_for_log(self, pattern, times=1):
        cluster.wait_until(f"the log has {times} times {pattern!r}",
                           lambda: len(re.findall(pattern, self.log(), re.MULTILINE)) >= times, told=self.log)

    def expect_end(self, job, code):
        fields = self.wait_for(job, "COMPLETED", "FAILED")
        self.assertEqual(fields["ExitCode"], f"{code}:0", self.log())
        return self.log()

    def stand_in(self, script):
        """A build tree whose gpt_train is a shell script; asked for its configuration, it is the real one."""
        folder = self.work / "build/apps/gpt_train"
        folder.mkdir(parents=True)
        program = folder / "gpt_train"
        program.write_text(f'#!/bin/sh\ncase "$*" in *--dump-config*) exec "{GPT_TRAIN}" "$@";; esac\n{script}\n')
        program.chmod(0o755)
        return self.work / "build"


class Training(Jobs):
    def train(self, *words, options=(), steps=FOR_EVER):
        return self.submit("slurm/gpt_train.sbatch", *MODEL, *steps, *words, options=options)

    def wait_for_steps(self, count):
        """Until so many steps are in the metrics beyond those that are there."""
        seen = len(self.steps())
        cluster.wait_until(f"{count} more steps", lambda: len(self.steps()) >= seen + count,
                           told=lambda: self.log() + self.slurm.client("scontrol", "show", "jobs"))

    def steps(self):
        path = self.run_folder / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return numbers("\n".join(lines), r'^\{"step":(\d+),.*\}$')

    def saved(self):
        return int((self.run_folder / "checkpoints/latest").read_text().strip().removeprefix("step_"))

    def wait_until_requeued(self, job, times):
        def requeued():
            fields = self.slurm.fields(job)
            return fields["JobState"] == "PENDING" and fields["Restarts"] == str(times)
        cluster.wait_until(f"job {job} is requeued, {times} times in all", requeued, told=self.log)

    def expect_whole(self, log):
        """The metrics have every step once, and the weights are those of one rank that was never cut."""
        steps = self.steps()
        self.assertEqual(steps, list(range(1, len(steps) + 1)))
        uncut = subprocess.run([GPT_TRAIN, *MODEL, "--steps", str(len(steps))], capture_output=True, text=True,
                               check=True, timeout=cluster.PATIENCE_S).stdout
        weights = re.findall(r"^Weights: ([0-9a-f]{16})$", log, re.MULTILINE)
        self.assertEqual(weights[-1], re.search(r"^Weights: (\w+)$", uncut, re.MULTILINE).group(1))
        starts = numbers(log, r"^job: gpt_train \d+, start (\d+), ")
        self.assertEqual(starts, list(range(1, len(starts) + 1)))
        return log


def main(missed_s=60):
    """Starts a Slurm, runs the tests of the calling program as a user of Debian's Slurm, and stops it."""
    Jobs.slurm = cluster.Slurm(4, 4, missed_s)
    os.environ.update(TESSERA_SITE="debian", TESSERA_BUILD=str(BUILD), TESSERA_ANSWER_S="5")
    try:
        unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
    finally:
        Jobs.slurm.down()
