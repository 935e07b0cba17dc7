#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Ranks that stop, leave early, or call something else than the others: who is named, when, and what is left.

    watchdog_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

GPT_TRAIN, MPIEXEC = sys.argv[1:3]
SMALL = ["--layers", "2", "--hidden-size", "32", "--seq-length", "16", "--global-batch-size", "8", "--eval-interval",
         "0", "--sample-length", "0", "--peak-tflops", "1"]
TIMEOUT_S = 3
HYDRA = "HYDRA" in subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True, check=True).stdout  # MPICH's
AT = r", at (src|include|apps)/\S+:\d+"


def processes_with(mark):
    """Processes, zombies not counted, that have `mark` in their environment."""
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                found.append((int(place.name), (place / "comm").read_text().strip()))
        except OSError:
            pass  # gone meanwhile, or another user's
    return found


class Job(unittest.TestCase):
    def setUp(self):
        self.mark = f"TESSERA_TEST_MARK={uuid.uuid4()}"
        folder = tempfile.TemporaryDirectory(prefix="tessera-watchdog-")
        self.addCleanup(folder.cleanup)
        self.addCleanup(self.end_all)
        self.work = folder.name
        self.boards_before = self.boards()  # of a process that was killed as it began

    def end_all(self):
        for process, _ in processes_with(self.mark):
            os.kill(process, signal.SIGKILL)

    def start(self, ranks, *words, fault=""):
        environment = dict(os.environ, TESSERA_FAULT=fault)
        environment.update([self.mark.split("=")])
        return subprocess.Popen([MPIEXEC, "-n", str(ranks), GPT_TRAIN, *SMALL, "--steps", "1000000", *words],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.work,
                                env=environment)

    def end_of(self, process, limit_s=90):
        output, errors = process.communicate(timeout=limit_s)
        return process.returncode, output, errors

    def expect_nothing_left(self):
        deadline = time.monotonic() + 5
        while (left := processes_with(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(left, [])
        self.assertEqual(self.boards() - self.boards_before, set())

    @staticmethod
    def boards():
        return set(pathlib.Path("/dev/shm").glob("tessera-watch-*"))

    def expect_named(self, errors, *patterns):
        self.assertEqual(errors.count("gpt_train: error: watchdog:"), 1, errors)
        for pattern in patterns:
            self.assertRegex(errors, pattern)


class Watchdog(Job):
    def test_a_stopped_rank_is_named_and_goes_too(self):
        process = self.start(4, "--tp", "2", "--timeout", str(TIMEOUT_S))
        # The fault is ours, from outside: whichever call it is in.
        for line in process.stdout:
            if line.startswith("step"):
                break
        ranks = [pid for pid, name in processes_with(self.mark) if name == "gpt_train"]
        self.assertEqual(len(ranks), 4)
        victim = next(pid for pid in ranks if self.rank_of(pid) == 2)
        os.kill(victim, signal.SIGSTOP)
        stopped = time.monotonic()
        code, _, errors = self.end_of(process)
        self.assertEqual(code, 76, errors)
        self.assertLess(time.monotonic() - stopped, TIMEOUT_S + 5 + 3)  # 3: the launcher's own end
        self.expect_named(errors, rf"rank 2 \(host \S+, process {victim}\) is stopped \(SIGSTOP",
                          rf"has not entered \w+ .*\d+ on \w+.*: \d+ x f\d\d, \d+ bytes{AT}", r"ranks? [\d, -]+ waits? in")
        self.expect_nothing_left()

    def test_a_rank_that_is_stopped_in_a_save_is_named_after_one_time_out(self):
        process = self.start(4, "--dp", "4", "--save", "c", "--save-interval", "1", "--timeout", str(TIMEOUT_S),
                             fault="ckpt.written#1:sleep=1000000@1")
        for line in process.stdout:
            if line.startswith("step"):
                break
        time.sleep(TIMEOUT_S + 2)  # a rank that writes, however long, is no rank that hangs: ten time-outs are allowed
        self.assertIsNone(process.poll())
        victim = next(pid for pid, name in processes_with(self.mark) if name == "gpt_train" and self.rank_of(pid) == 1)
        os.kill(victim, signal.SIGSTOP)
        stopped = time.monotonic()
        code, _, errors = self.end_of(process)
        self.assertEqual(code, 76, errors)
        self.assertLess(time.monotonic() - stopped, TIMEOUT_S + 5 + 3)
        self.expect_named(errors, r"not moved for \d+ s",
                          rf"rank 1 \(host \S+, process {victim}\) is stopped \(SIGSTOP.* on checkpoint: .*, in which ranks 0, 2, 3 wait")
        self.expect_nothing_left()

    @staticmethod
    def rank_of(pid):
        text = pathlib.Path("/proc", str(pid), "environ").read_text()
        return int(re.search(r"(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)", text).group(1))

    def test_a_rank_in_another_call_is_named(self):
        code, _, errors = self.end_of(self.start(4, "--timeout", "2", fault="train.call#3:err@1"))
        self.assertEqual(code, 76, errors)
        self.expect_named(errors, rf"watchdog: [^\n]*\n  rank 1 \(host \S+, process \d+\) made another call than the others: "
                                  rf"it waits in barrier \d+ on world{AT}, which ranks 0, 2, 3 have not entered; it has not "
                                  rf"entered all_reduce \(sum\) \d+ on dp: \d+ x f32, \d+ bytes{AT}, in which ranks 0, 2, 3 wait\n")
        self.expect_nothing_left()

    def test_other_calls_of_one_group_are_set_side_by_side(self):
        code, _, errors = self.end_of(self.start(4, "--timeout", "2", fault="train.order#3:err@1"))
        # The MPI may see first that a message is longer than what it is to go into.
        if "MPI_ERR_TRUNCATE" not in errors and "truncated" not in errors:
            self.assertEqual(code, 76, errors)
            self.expect_named(errors, "the ranks of a dp group do not make the same call:",
                              rf"  rank 1 \(host \S+, process \d+\): barrier \d+ on dp{AT}",
                              rf"  ranks 0, 2, 3: all_reduce \(sum\) \d+ on dp: .*{AT}")
        self.expect_nothing_left()

    def test_a_rank_that_computes_for_ever_is_named(self):
        code, _, errors = self.end_of(self.start(3, "--dp", "3", "--global-batch-size", "6", "--timeout", "2",
                                                 fault="train.step#3:sleep=1000000@0"))
        self.assertEqual(code, 76, errors)
        self.expect_named(errors, r"rank 0 \(.*\) computes, or hangs outside of communication.*has not entered all_reduce")
        self.expect_nothing_left()

    def test_a_rank_that_ends_early_is_named_at_once(self):
        for fault in ("exit=0", "kill"):
            with self.subTest(fault=fault):
                begin = time.monotonic()
                # Runs that save outlive the launcher's SIGTERM long enough to speak.
                code, output, errors = self.end_of(self.start(4, "--pp", "2", "--save", fault,
                                                         fault=f"train.step#3:{fault}@3"))
                self.assertLess(time.monotonic() - begin, 60)  # by far not the usual time-out of 600 s
                self.assertNotEqual(code, 0, errors)
                if HYDRA:  # kills the others before they can speak, and names the process itself
                    self.assertIn("BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", output)
                    self.expect_nothing_left()
                    continue
                self.expect_named(errors, r"rank 3 \(host \S+, process \d+\) has ended early.*its last call: \w+")
                self.expect_nothing_left()


class CheckedCollectives(Job):
    def test_both_call_sites_are_named_before_anything_hangs(self):
        began = time.monotonic()
        code, _, errors = self.end_of(self.start(4, "--check-collectives", fault="train.order#3:err@1"))
        self.assertEqual(code, 70, errors)
        self.assertLess(time.monotonic() - began, 60)  # by far not the time-out of 600 s
        self.assertRegex(errors, "the ranks of a group do not make the same call: "
                                 rf"ranks 0, 2, 3: all_reduce \(sum\) (\d+) on dp: \d+ x f32, \d+ bytes{AT}; "
                                 rf"rank 1: barrier \d+ on dp{AT}")
        self.expect_nothing_left()

    def test_they_change_no_result(self):
        weights = set()
        for words in ([], ["--check-collectives"]):
            done = subprocess.run([MPIEXEC, "-n", "4", GPT_TRAIN, *SMALL, "--steps", "3", "--tp", "2", "--pp", "2", *words],
                                  capture_output=True, text=True, cwd=self.work, timeout=100)
            self.assertEqual(done.returncode, 0, done.stderr)
            weights.add(re.search(r"^Weights: (\S+)$", done.stdout, re.MULTILINE).group(1))
        self.assertEqual(len(weights), 1)


class NoFalseAlarm(Job):
    def test_many_short_steps_of_more_ranks_than_cores(self):
        steps = os.environ.get("TESSERA_SOAK_STEPS", "100")
        done = subprocess.run([MPIEXEC, "-n", "8", GPT_TRAIN, *SMALL, "--steps", steps, "--tp", "2", "--pp", "2",
                               "--log-interval", "1000", "--timeout", "5", "--save", "c", "--save-interval", "50"],
                              capture_output=True, text=True, cwd=self.work, timeout=7200)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
