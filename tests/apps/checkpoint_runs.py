#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Saves and resumes with the gpt_train that was built, and does to it what happens to jobs.

    checkpoint_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

from gpt_train_runs import GPT_TRAIN, MPIEXEC, SMALL, Folder, children_of

STEPS = 6
RUN = [*SMALL, "--lr-warmup-iters", "2", "--lr-decay-iters", str(STEPS), "--steps", str(STEPS)]
# MPICH's mpiexec loses the codes of ranks after it has handed a signal on.
REQUEUE = {75, 0} if "HYDRA" in subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout else {75}
SOAK = os.environ.get("TESSERA_SOAK") == "1"
FULL = SOAK or os.environ.get("TESSERA_FULL") == "1"


def fault(text):
    """TESSERA_FAULT for the processes started inside."""
    return mock.patch.dict(os.environ, TESSERA_FAULT=text)


def weights(output):
    return re.search(r"^Weights: ([0-9a-f]{16})$", output, re.MULTILINE).group(1)


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Checkpoints(Folder):
    uncut = {}  # weights of runs that were never cut, by what fixes their bits

    def train(self, ranks, *arguments, code=0, limit_s=100):
        status, output, errors = self.run_train(ranks, [*RUN, *arguments], limit_s)
        self.assertEqual(status, code, output + errors)
        return output + errors

    def uncut_weights(self, ranks, *arguments):
        key = (ranks, *arguments)
        if key not in self.uncut:
            self.uncut[key] = weights(self.train(ranks, *arguments))
        return self.uncut[key]

    def save_two(self, *arguments):
        """Steps 2 and 4, on 2 ranks, in the directory ck."""
        return self.train(2, "--tp", "2", "--save", "ck", "--save-interval", "2", "--steps", "4", *arguments)

    def resume(self, *arguments, code=0):
        return self.train(2, "--tp", "2", "--save", "ck", "--save-interval", "2", "--resume", *arguments, code=code)

    going_on = [*RUN, "--tp", "2", "--save", "ck", "--save-interval", "1", "--resume", "--metrics", "m.jsonl"]
    saved = 0  # the newest step that a run has said to be saved

    def expect_nothing_lost(self, what, output):
        """A run has gone on from what the one before it had saved."""
        begun = re.search(r"^begins from ck/step_0*(\d+):", output, re.MULTILINE)
        if begun or "\nstep " in output:  # else it was killed before
            self.assertGreaterEqual(int(begun.group(1)) if begun else 0, self.saved, f"{what}: {output}")
        self.saved = max([self.saved, *map(int, re.findall(r"^saved ck/step_0*(\d+)", output, re.MULTILINE))])

    def expect_the_course_of_an_uncut_run(self, steps):
        """When the run has gone on to its end: every step once, every loss and the weights to the last bit."""
        limit_s = 100 + steps  # hundreds of steps after many kills
        output = self.train(2, *self.going_on[len(RUN):], "--steps", str(steps), limit_s=limit_s)
        self.expect_nothing_lost("the last run", output)
        uncut = self.train(2, "--tp", "2", "--metrics", "uncut.jsonl", "--steps", str(steps), limit_s=limit_s)
        courses = [[(line["step"], line["loss"], line["grad_norm"]) for line in self.metrics(name) if "step" in line]
                   for name in ("m.jsonl", "uncut.jsonl")]
        self.assertEqual(*courses)
        self.assertEqual(weights(output), weights(uncut))

    def go_on_through(self, faults):
        """One run, which is killed by each of the faults and goes on to the next."""
        steps = str(3 * len(faults) + 6)
        for point in faults:
            with self.subTest(point=point):
                with fault(point):
                    status, output, errors = self.run_train(2, [*self.going_on, "--steps", steps])
                self.assertNotEqual(status, 0, "it was not killed: " + errors)
                self.expect_nothing_lost(point, output)
        self.expect_the_course_of_an_uncut_run(int(steps))

    def steps(self):
        return sorted(path.name for path in (self.work / "ck").iterdir() if path.is_dir())

    def expect_same_end(self, output):
        self.assertEqual(weights(output), self.uncut_weights(2, "--tp", "2"))

    def metrics(self, name="m.jsonl"):
        return [json.loads(line) for line in (self.work / name).read_text().splitlines()]


class Resuming(Checkpoints):
    def test_a_resumed_run_ends_like_the_uncut_one_and_goes_on_with_its_metrics(self):
        begun = self.resume("--metrics", "m.jsonl", "--steps", "4", "--log", "l.txt")
        self.assertIn("saved ck/step_00000004", begun)
        self.assertNotIn("begins from", begun)
        with (self.work / "m.jsonl").open("a") as file:
            file.write('{"step":5,"loss":1}\n{"step":6,"lo')
        shutil.rmtree(self.work / "ck/step_00000004")
        output = self.resume("--metrics", "m.jsonl", "--log", "l.txt")
        self.assertIn("begins from ck/step_00000002: step 2, saved on 2 ranks: tp 2 x pp 1 x dp 1", output)
        self.expect_same_end(output)
        self.assertEqual([line["step"] for line in self.metrics() if "step" in line], list(range(1, STEPS + 1)))
        saves = [line for line in self.metrics() if line.get("event") == "save"]
        self.assertEqual([line["saved_step"] for line in saves], [2, 4, 6])
        for line in saves:
            self.assertGreater(line["save_bytes"], 3 * 4 * 67264)
            self.assertGreaterEqual(line["save_s"], line["save_blocked_s"])
        for line in self.metrics():
            if "step" in line:
                self.assertGreaterEqual(line["save_blocked_s"], 0)
        self.assertEqual((self.work / "l.txt").read_text().count("Weights:"), 2)
        self.assertEqual(self.steps(), ["step_00000004", "step_00000006"])
        self.assertEqual((self.work / "ck/latest").read_text().strip(), "step_00000006")

    def test_with_tiles_any_layout_goes_on_with_any_other(self):
        tiles = ["--tiles", "8", "--save", "ck", "--resume"]
        self.train(4, *tiles, "--tp", "2", "--pp", "2", "--sequence-parallel", "--steps", "2", "--save-sync")
        self.train(1, *tiles, "--steps", "3")
        output = self.train(4, *tiles, "--dp", "2", "--tp", "2", "--ranks-per-node", "2", "--ranks-per-file", "3")
        self.assertIn("saved on 1 rank: tp 1 x pp 1 x dp 1, tiles 8", output)
        self.assertEqual(weights(output), self.uncut_weights(1, "--tiles", "8"))
        files = sorted(path.name for path in (self.work / "ck/step_00000006").glob("rank_*.h5"))
        self.assertEqual(files, ["rank_00000.h5", "rank_00002.h5"])  # a file does not hold ranks of two nodes

    def test_a_loaded_checkpoint_begins_a_run_of_its_own(self):
        self.save_two()
        output = self.train(2, "--tp", "2", "--load", "ck/step_00000002/", "--save", "other", "--seed", "1",
                            "--lr", "1e-3")
        self.assertIn("step 2, saved on 2 ranks", output)
        self.assertIn("notice: optimizer.lr: 0.002 when saved, now 0.001", output)
        self.assertNotIn("seed", output)
        output = self.train(2, "--tp", "2", "--load", "ck/step_00000002", "--save", "other", "--resume")
        self.assertIn("begins from other/step_00000006", output)
        self.expect_same_end(self.train(2, "--tp", "2", "--load", "ck/step_00000002"))

    def test_a_run_without_a_decay_of_its_own_says_that_its_schedule_changes(self):
        decay = ["--lr-decay-iters", "0"]
        self.save_two(*decay)
        self.assertIn("notice: optimizer.decay_steps: 4 when saved, now 6", self.resume(*decay))

    def test_a_damaged_checkpoint_is_skipped_and_said_to_be(self):
        self.save_two()
        flip_bit(self.work / "ck/step_00000004/rank_00001.h5")
        output = self.resume()
        self.assertIn("warning: skipped ck/step_00000004: ", output)
        self.assertIn("rank_00001.h5", output)
        self.assertIn("begins from ck/step_00000002", output)
        self.expect_same_end(output)
        self.assertEqual(len(list((self.work / "ck").glob("step_00000004.damaged-*"))), 1)


class Failing(Checkpoints):
    def test_a_file_size_limit_is_an_error_of_writing(self):
        limits = "ulimit -f 100; exec \"$@\""
        run = ["bash", "-c", limits, "bash", GPT_TRAIN, *RUN, "--save", "ck", "--save-interval", "2"]
        for policy, saves in (("continue", 3), ("stop", 1)):
            done = subprocess.run([*run, "--save-on-failure", policy], cwd=self.work, capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertEqual((done.stdout + done.stderr).count("File too large"), saves, done.stdout + done.stderr)
            self.assertEqual([path.name for path in (self.work / "ck").iterdir()], ["lock"])

    def test_nothing_left_to_train_is_said(self):
        self.save_two()
        output = self.resume("--steps", "3")
        self.assertIn("nothing to train: the checkpoint is at step 4, training.steps = 3", output)
        output = self.train(1, "--load", "ck", "--steps", "4", "--save", "other")
        self.assertIn("saved other/step_00000004", output)
        output = self.train(1, "--load", "ck", "--steps", "4", "--save", "ck")  # where it comes from, it may go on
        self.assertIn("kept ck/step_00000004", output)

    def test_a_full_disk_or_memory_stops_the_run_or_not(self):
        late = "ckpt.create_file#1:sleep=1500@1,"  # the second time after the last step
        for before, what, told in (("", "io_error=28", "No space left on device"),
                                   (late, "no_memory", "rank 1: not enough memory")):
            shutil.rmtree(self.work / "ck", ignore_errors=True)
            with fault(f"{before}ckpt.write_data#1:{what}@1"):
                output = self.save_two("--save-on-failure", "continue")
            self.assertRegex(output, f"warning: a save failed, training goes on: .*{told}")
            self.assertEqual(self.steps(), ["step_00000004"])
        with fault("ckpt.write_data#1:io_error=28@1"):
            output = self.resume("--save-interval", "1", code=74)
        self.assertEqual(output.count("gpt_train: error:"), 1)
        self.assertEqual(self.steps(), ["step_00000004"])
        with fault("ckpt.sync_file:io_error=5"):
            self.resume("--save-on-failure", "continue", code=74)  # the last one is what the run was for
        self.expect_same_end(self.resume())

    def test_a_save_under_way_is_finished_when_a_step_is_not_finite(self):
        with fault("ckpt.written#1:sleep=1500@1"):
            output = self.train(2, "--tp", "2", "--lr", "1e30", "--lr-warmup-iters", "1", "--save", "ck",
                                "--save-interval", "1", code=70)
        self.assertEqual(output.count("saved ck/"), len(self.steps()), output)
        self.assertIn("step_00000001", self.steps())

    def test_a_rank_killed_in_a_save_loses_nothing_but_the_save(self):
        self.go_on_through(["ckpt.write_data#8:kill@1", "ckpt.before_rename#3:kill@0"])


@unittest.skipUnless(FULL, "in the full tests")
class Killing(Checkpoints):
    def test_a_rank_killed_at_any_point_of_a_save_loses_nothing_but_the_save(self):
        of_a_rank = ("begin", "create_directory", "create_file", "write_data", "write_metadata", "sync_file", "written")
        of_the_first = ("before_whole", "before_manifest", "after_manifest", "before_rename", "after_rename",
                        "before_latest", "before_prune", "during_prune")
        self.go_on_through([f"ckpt.{point}#3:kill@{rank}" for point in of_a_rank for rank in (0, 1)] +
                           [f"ckpt.{point}#2:kill@0" for point in of_the_first] +
                           [f"files.{point}#3:kill@0" for point in ("write", "sync", "rename", "sync_directory")])

    def test_runs_killed_at_random_times_end_like_the_uncut_one(self):
        numbers = random.Random(1)
        for number in range(200 if SOAK else 20):
            process = self.start(2, [*self.going_on, "--steps", "1000000", "--log-interval", "1000000"])
            time.sleep(numbers.uniform(0.3, 2.5))
            while not (ranks := [pid for pid in children_of(process.pid)
                                 if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(GPT_TRAIN)]):
                time.sleep(0.05)  # a busy machine has not started them yet
            for pid in ranks:
                os.kill(pid, signal.SIGKILL)
            output, errors = process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0, errors)
            self.expect_nothing_lost(number, output)
        self.expect_the_course_of_an_uncut_run(self.saved + 2)


class Refusing(Checkpoints):
    def refuse(self, arguments, code, *words, ranks=2):
        with self.subTest(arguments=arguments):
            output = self.train(ranks, *arguments, code=code)
            self.assertEqual(output.count("gpt_train: error:"), 1, output)
            for word in words:
                self.assertIn(word, output)
            self.assertNotIn("step      ", output)

    def test_options_that_make_no_sense(self):
        self.refuse(["--resume", "--save-interval", "5", "--keep", "-1", "--save-on-failure", "ignore"], 78,
                    "checkpoint.resume needs", "checkpoint.interval needs", "checkpoint.keep = -1", "stop, continue")
        self.refuse(["--keep", "3", "--save-sync", "--ranks-per-file", "2"], 78, "checkpoint.keep needs",
                    "checkpoint.synchronous needs", "checkpoint.ranks_per_file needs")

    def test_paths_that_are_not_there_or_not_ours(self):
        file = self.file("file", b"content")
        self.refuse(["--load", "absent"], 66, "absent")
        self.refuse(["--load", str(self.work)], 66, str(self.work))
        self.refuse(["--load", file], 66, file)
        self.refuse(["--save", file], 73, file, "is a file")
        self.refuse(["--save", "absent/ck", "--lr", "-1", "--load", "nothing"], 78, "optimizer.lr", "nothing",
                    "absent")
        self.assertEqual(list(self.work.iterdir()), [])

    def test_directories_without_permission(self):
        for folder in ("load", "save"):
            path = self.inputs / folder
            path.mkdir()
            path.chmod(0)
            self.addCleanup(path.chmod, 0o700)
            done = self.run_without_rights([GPT_TRAIN, *RUN, f"--{folder}", str(path)])
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertIn(str(path), done.stderr)

    def test_metrics_that_cannot_be_read_are_not_replaced(self):
        run = [GPT_TRAIN, *RUN, "--save", "ck", "--resume", "--metrics", "m.jsonl", "--steps"]
        self.assertEqual(self.run_without_rights([*run, "1"]).returncode, 0)
        before = (self.work / "m.jsonl").read_text()
        (self.work / "m.jsonl").chmod(0o200)
        done = self.run_without_rights([*run, "2"])
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertRegex(done.stderr, 'output.metrics = ".*m.jsonl" cannot be read: Permission denied')
        (self.work / "m.jsonl").chmod(0o600)
        self.assertEqual((self.work / "m.jsonl").read_text(), before)

    def test_another_model_and_damaged_checkpoints(self):
        self.save_two()
        both = ["--tp", "2", "--save", "ck", "--resume"]
        self.refuse([*both, "--layers", "2", "--hidden-dropout", "0.1", "--precision", "float64"], 78,
                    "model.layers: 4 when saved, now 2", "model.hidden_dropout: 0 when saved, now 0.1",
                    "training.precision")
        output = self.train(2, *both, "--steps", "5", "--hidden-dropout", "0.1", "--allow-model-changes", "--keep", "0")
        self.assertIn("notice: model.hidden_dropout: 0 when saved, now 0.1\n", output)
        shutil.rmtree(self.work / "ck/step_00000005")
        self.refuse(["--tp", "2", "--save", "ck"], 73, "has checkpoints already, up to step 4", "--resume")
        self.refuse(["--tp", "2", "--load", "ck/step_00000002", "--save", "ck"], 73, "up to step 4")
        (self.work / "other").mkdir()
        (self.work / "other/step_00000003").mkdir()  # an earlier step is another run's all the same
        self.refuse(["--tp", "2", "--load", "ck/step_00000004", "--save", "other"], 73, "up to step 3")
        for step in self.steps():
            flip_bit(self.work / "ck" / step / "manifest.json")
        self.refuse(both, 65, "step_00000002", "step_00000004")

    def test_ranks_that_were_told_different_things(self):
        command = [MPIEXEC, "-n", "1", GPT_TRAIN, *RUN, "--seed", "1", ":", "-n", "3", GPT_TRAIN, *RUN, "--seed", "2"]
        done = subprocess.run(command, cwd=self.work, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertEqual(done.stderr.count("gpt_train: error:"), 1)
        self.assertIn("rank 0: differs from the rest of the job: training.seed = 1, but rank 1 has training.seed = 2",
                      done.stderr)

    def test_a_directory_that_another_job_writes(self):
        first = self.start_training(2, ["--tp", "2", "--save", "ck"])
        self.refuse(["--tp", "2", "--save", "ck", "--resume"], 73, "ck", "saves there")
        first.send_signal(signal.SIGUSR1)
        first.communicate(timeout=60)
        self.assertIn(first.returncode, REQUEUE)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
