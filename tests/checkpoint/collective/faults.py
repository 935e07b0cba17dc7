#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Kills a program that saves checkpoints, or makes its system calls fail, at every named point and at random times.

    faults.py PROGRAM MPIEXEC quick|full|soak [unittest arguments]

After every fault the newest step that was reported as saved, or a newer one, loads with every element right.
quick: every point on one rank, some on several. full: every point on several ranks, and 10 random times, of all ranks
and of one. soak: 200.
"""
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM, MPIEXEC, TIER = sys.argv[1:4]
WRITING = ["ckpt.begin", "ckpt.create_directory", "ckpt.create_file", "ckpt.write_data", "ckpt.write_metadata",
           "ckpt.sync_file", "ckpt.written"]
COMMITTING = ["ckpt.before_whole", "ckpt.before_manifest", "files.write", "files.sync", "files.rename",
              "files.sync_directory", "ckpt.after_manifest", "ckpt.before_move_aside", "ckpt.before_rename",
              "ckpt.after_rename", "ckpt.before_latest", "ckpt.before_prune", "ckpt.during_prune"]
AFTERWARDS = COMMITTING[-4:]  # when the step has its name
# What a launcher returns for a killed rank is its own: 128 + 9 of Open MPI, 9 of MPICH.
KILLED = {False: (-signal.SIGKILL,), True: (128 + signal.SIGKILL, signal.SIGKILL)}
DIRTY = re.compile(r"\.tmp")


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-faults-")
        self.addCleanup(folder.cleanup)
        self.parent = pathlib.Path(folder.name)

    def start(self, directory, ranks=1, steps=2, fault="", mode="async"):
        command = [PROGRAM, "loopback" if ranks == 1 else "mpi", str(directory), str(steps), mode]
        if ranks > 1:
            command = [MPIEXEC, "-n", str(ranks)] + command
        # What Open MPI leaves behind when it is killed goes with this test's folder.
        environment = dict(os.environ, TESSERA_FAULT=fault, TMPDIR=str(self.parent),
                           OMPI_MCA_btl_vader_backing_directory=str(self.parent), OMPI_ALLOW_RUN_AS_ROOT="1",
                           OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                           OMPI_MCA_mpi_yield_when_idle="1")
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True)

    def run_to_end(self, directory, **how):
        process = self.start(directory, **how)
        out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def run_well(self, directory, **how):
        code, out, error = self.run_to_end(directory, **how)
        self.assertEqual(code, 0, out + error)
        return out

    def prepared(self, name, ranks=1):
        """Steps 1 and 2, and a step 3 that is not whole."""
        directory = self.parent / name
        self.assertEqual(self.run_well(directory, ranks=ranks), "saved 1\nsaved 2\n")
        self.newest = 2
        (directory / "step_00000003").mkdir()
        return directory

    def expect_recovery(self, directory, output, ranks=1):
        """The next run loads what `output` says was there or saved, or newer, goes on, and leaves nothing half done."""
        saved = max([2] + [int(number) for number in re.findall(r"^(?:loaded|saved) (\d+)", output, re.MULTILINE)])
        out = self.run_well(directory, ranks=ranks)
        loaded = int(re.match(r"loaded (\d+)\n", out).group(1))
        self.assertGreaterEqual(loaded, saved, out)
        self.assertEqual(out, f"loaded {loaded}\nsaved {loaded + 1}\nsaved {loaded + 2}\n")
        self.newest = loaded + 2
        names = sorted(os.listdir(directory))
        self.assertEqual([name for name in names if DIRTY.search(name)], [])
        newest = max(name for name in names if re.fullmatch(r"step_\d+", name))
        self.assertEqual((directory / "latest").read_text(), newest + "\n")

    def expect_nothing_older(self, process):
        """A run has loaded the newest step that the one before it saved; its line that says so."""
        line = process.stdout.readline()
        self.assertEqual(line, f"loaded {self.newest}\n")
        return line

    def kill_at(self, point, ranks=1, rank=0):
        directory = self.prepared(f"{point}-{rank}-of-{ranks}", ranks)
        code, out, _ = self.run_to_end(directory, ranks=ranks, fault=f"{point}:kill@{rank}")
        self.assertIn(code, KILLED[ranks > 1], f"{point} was not passed, or the job did not end of it")
        self.expect_recovery(directory, out, ranks)

    def test_one_rank_is_killed_at_every_point(self):
        for point in WRITING + COMMITTING:
            with self.subTest(point=point):
                self.kill_at(point)

    def test_of_several_ranks_one_is_killed(self):
        places = [("ckpt.write_data", 1), ("ckpt.before_rename", 0)]
        if TIER != "quick":
            places = [(point, rank) for point in WRITING for rank in (0, 2)] + [(point, 0) for point in COMMITTING]
        for point, rank in places:
            with self.subTest(point=point, rank=rank):
                self.kill_at(point, ranks=3, rank=rank)

    def test_an_error_at_every_point_is_told_and_the_next_save_works(self):
        for mode in ("async", "sync"):
            # A synchronous save of one rank has no copy to begin.
            for point in WRITING[0 if mode == "async" else 1:] + COMMITTING:
                with self.subTest(point=point, mode=mode):
                    self.fail_at(point, mode)

    def fail_at(self, point, mode):
        """A save that fails before the step has its name; afterwards there is only something to warn of."""
        directory = self.prepared(f"{point}-{mode}")
        code, out, error = self.run_to_end(directory, fault=f"{point}#1:io_error", mode=mode)
        self.assertEqual(code, 0, out + error)
        lines = out.splitlines()
        self.assertEqual([lines[0], lines[2]], ["loaded 2", "saved 4"], out)
        whole = point in AFTERWARDS
        told, where = ("checkpoint '.*step_00000003' is saved and whole, but", error) if whole else (
            "^failed 3: saving step 3 failed:", lines[1])
        self.assertRegex(where, f"{told} .*No space left on device")
        self.assertEqual(lines[1] == "saved 3", whole)
        self.assertEqual((directory / "step_00000003" / "manifest.json").exists(), whole)
        self.expect_recovery(directory, out)

    def test_what_cannot_be_removed_is_only_warned_of(self):
        directory = self.prepared("held")
        held = directory / "step_00000009.tmp-held"
        held.mkdir()
        code, out, error = self.run_to_end(directory, fault="ckpt.remove_leftover:io_error=16")
        self.assertEqual((code, out), (0, "loaded 2\nsaved 3\nsaved 4\n"), error)
        self.assertIn("warning: what an earlier job left stays: fault point", error)
        self.assertIn("step_00000004' is saved and whole, but fault point ckpt.remove_leftover: Device or", error)
        self.assertTrue(held.exists())
        self.assertFalse((directory / "step_00000002").exists())  # older steps are removed all the same
        self.expect_recovery(directory, out)

    def test_two_jobs_do_not_write_one_directory(self):
        directory = self.prepared("shared")
        first = self.start(directory, steps=1, fault="ckpt.before_rename:sleep=4000")
        self.addCleanup(first.communicate)
        while first.stdout.readline() != "loaded 2\n":
            self.assertIsNone(first.poll())
        code, _, error = self.run_to_end(directory)
        self.assertEqual(code, 73, error)
        self.assertRegex(error, rf"cannot save into '{directory}': 'process {first.pid} on .*, since .*' saves there")
        self.assertEqual(first.wait(), 0)
        self.expect_recovery(directory, "saved 3")

    def test_it_is_killed_at_random_times(self):
        times = {"quick": 3, "full": 10, "soak": 200}[TIER]
        directory = self.prepared("random", ranks=2)
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        for number in range(times):
            with self.subTest(seed=seed, number=number):
                process = self.start(directory, ranks=2, steps=100000)
                loaded = self.expect_nothing_older(process)
                time.sleep(chance.uniform(0, 0.5))
                os.killpg(process.pid, signal.SIGKILL)
                self.expect_recovery(directory, loaded + process.communicate()[0], ranks=2)

    def test_one_rank_is_killed_at_random_times(self):
        """The launcher ends the job, with no rank left, and the next run recovers."""
        times = {"quick": 2, "full": 10, "soak": 200}[TIER]
        directory = self.prepared("random-rank", ranks=3)
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        for number in range(times):
            with self.subTest(seed=seed, number=number):
                process = self.start(directory, ranks=3, steps=100000)
                loaded = self.expect_nothing_older(process)
                ranks = ranks_below(process.pid)
                self.assertEqual(len(ranks), 3)
                time.sleep(chance.uniform(0, 0.5))
                os.kill(chance.choice(ranks), signal.SIGKILL)
                out, error = process.communicate(timeout=60)
                self.assertIn(process.returncode, KILLED[True], error)
                deadline = time.monotonic() + 10  # the launcher's kill may still be on its way when it has ended
                while any(map(is_running, ranks)) and time.monotonic() < deadline:
                    time.sleep(0.05)
                self.assertEqual([rank for rank in ranks if is_running(rank)], [])
                self.expect_recovery(directory, loaded + out, ranks=3)


def is_running(process):
    """Whether it is there and not merely waited for."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ranks_below(process):
    """The processes below one that run PROGRAM, whatever the launcher puts between."""
    children = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout.split()
    found = []
    for child in map(int, children):
        try:
            own = os.path.samefile(f"/proc/{child}/exe", PROGRAM)
        except FileNotFoundError:
            own = False
        found += [child] if own else ranks_below(child)
    return found


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[4:])
