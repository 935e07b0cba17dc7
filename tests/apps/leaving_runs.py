#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Lets the gpt_train that was built leave early, by signals and clocks, and saves by the clock.

    leaving_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

from checkpoint_runs import REQUEUE, RUN, STEPS, Checkpoints, fault
from gpt_train_runs import GPT_TRAIN


class Leaving(Checkpoints):
    def signalled(self, signals, *arguments, ranks=2, pause_s=0):
        process = self.start_training(ranks, ["--tp", "2", "--save", "ck", *arguments])
        for one in signals:
            process.send_signal(one)
            time.sleep(pause_s)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def test_sigusr1_saves_once_and_asks_to_be_requeued(self):
        status, output, errors = self.signalled([signal.SIGUSR1])
        self.assertIn(status, REQUEUE, errors)
        saved = re.findall(r"^saved ck/step_0*(\d+) ", output, re.MULTILINE)
        self.assertEqual(len(saved), 1, output)
        self.assertIn(f"leaves after step {saved[0]}, which is saved, because SIGUSR1 came: please requeue", output)
        again = self.train(2, "--tp", "2", "--save", "ck", "--resume", "--lr-decay-iters", "1000000",
                           "--lr-warmup-iters", "20", "--eval-interval", "0", "--steps", str(int(saved[0]) + 1))
        self.assertIn(f"begins from ck/step_{int(saved[0]):08}", again)
        self.assertNotIn("notice", again)

    def start_alone(self, *arguments):
        process = subprocess.Popen([GPT_TRAIN, *RUN, "--steps", "1000000", "--lr-decay-iters", "0", "--save", "ck",
                                    "--eval-interval", "0", *arguments],
                                   cwd=self.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def test_sigterm_while_starting_saves_after_the_step_under_way(self):
        """What fails when the checkpoint is saved takes nothing from it, nor from the code."""
        with fault("ckpt.before_latest:io_error=5"):
            process = self.start_alone("--trace", "/dev/full")
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, errors)
        self.assertRegex(output, r"leaves after step [1-9]\d*, which is saved, because SIGTERM came")
        self.assertRegex(output, r"warning: checkpoint 'ck/step_\d+' is saved and whole, but .*Input/output error")
        self.assertRegex(output, r"warning: output.trace = \"/dev/full\": writing failed: .*: the run has no timeline")

    def test_a_second_signal_ends_the_run_at_once(self):
        with fault("ckpt.write_data#1:sleep=30000"):
            process = self.start_alone("--save-interval", "1", "--save-sync")
        while not list(self.work.glob("ck/*.tmp-*")):
            time.sleep(0.1)
        process.send_signal(signal.SIGUSR1)
        time.sleep(1.5)
        began = time.monotonic()
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, -signal.SIGUSR1)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_signal_in_a_save_saves_once_more_and_leaves(self):
        for how, saved in (("--save-sync", ([1, 2],)), ("--save-every-minutes=0", ([1, 2], [1, 2, 3]))):
            with self.subTest(how=how):
                with fault("ckpt.write_data#1:sleep=1500"):
                    process = self.start_alone("--save-interval", "1", how)
                while not list(self.work.glob("ck/*.tmp-*")):
                    self.assertIsNone(process.poll())
                    time.sleep(0.05)
                process.send_signal(signal.SIGUSR1)
                output, errors = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 75, errors)
                steps = [int(step) for step in re.findall(r"^saved ck/step_0*(\d+)", output, re.MULTILINE)]
                self.assertIn(steps, saved, output)
                self.assertIn(f"leaves after step {steps[-1]}, which is saved, because SIGUSR1 came", output)
                shutil.rmtree(self.work / "ck")

    def test_sigterm_to_the_launcher_loses_nothing_that_was_saved(self):
        process = self.start(2, [*self.going_on, "--steps", "1000000", "--log-interval", "1000000"])
        self.addCleanup(process.kill)
        while not (self.work / "ck/latest").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.terminate()  # Open MPI's kills the ranks two seconds later
        output, _ = process.communicate(timeout=60)
        self.expect_nothing_lost("the first run", output)
        self.expect_the_course_of_an_uncut_run(self.saved + 2)

    def test_without_a_directory_to_save_into_a_signal_just_ends_the_run(self):
        process = subprocess.Popen([GPT_TRAIN, *RUN, "--steps", "1000000", "--lr-decay-iters", "0"], cwd=self.work,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.2)
        process.terminate()
        self.assertEqual(process.wait(timeout=20), -signal.SIGTERM)

    def test_it_leaves_before_its_time_is_over(self):
        began = time.monotonic()
        output = self.train(2, "--tp", "2", "--save", "ck", "--steps", "1000000", "--lr-decay-iters", "0",
                            "--log-interval", "100000", "--time-limit-minutes", "0.1", code=75)
        self.assertIn("because the time is nearly over: please requeue", output)
        self.assertLess(time.monotonic() - began, 30)
        with mock.patch.dict(os.environ, SLURM_JOB_END_TIME=str(int(time.time()) + 6)):
            output = self.resume("--steps", "1000000", "--lr-decay-iters", "0", "--log-interval", "100000", code=75)
        self.assertIn("because the time is nearly over", output)

    @unittest.skipUnless("TESSERA_JUMPING_CLOCK" in os.environ, "nothing was built that makes the clock jump")
    def test_a_clock_that_is_set_meanwhile_changes_nothing(self):
        jumping = ["env", f"LD_PRELOAD={os.environ['TESSERA_JUMPING_CLOCK']}"]
        date = subprocess.run([*jumping, "date", "+%s"], check=True, capture_output=True, text=True).stdout
        self.assertGreater(abs(int(date) - time.time()), 80000, "the clock does not jump")
        arguments = ["--tp", "2", "--save", "ck", "--save-interval", "2", "--metrics", "m.jsonl", "--trace", "t.json",
                     "--timeout", "30", "--time-limit-minutes", "10"]
        status, output, errors = self.run_train(2, [*RUN, *arguments], before=jumping)
        self.assertEqual(status, 0, errors)
        self.assertNotIn("gpt_train:", errors)  # drivers of networks may have their own to say
        self.expect_same_end(output)
        self.assertEqual(self.steps(), ["step_00000004", "step_00000006"])
        steps = [line for line in self.metrics() if "step" in line]
        self.assertEqual([line["step"] for line in steps], list(range(1, STEPS + 1)))
        for line in steps:
            for key in ("step_s", "exposed_comm_s", "bubble_s", "tokens_per_s"):
                self.assertGreaterEqual(line[key], 0)
            self.assertLess(line["step_s"], 60)

    def test_saves_by_the_clock(self):
        output = self.train(2, "--tp", "2", "--save", "ck", "--save-every-minutes", "0.00001")
        self.assertGreaterEqual(len(re.findall(r"^saved ", output, re.MULTILINE)), 3)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
