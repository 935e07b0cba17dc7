#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Trains with the gpt_train that was built and looks at what a good run leaves behind.

    good_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import json
import math
import os
import re
import shutil
import subprocess
import sys
import unittest

from gpt_train_runs import GPT_TRAIN, SMALL, Folder, steps_in


class Runs(Folder):
    def weights_and_losses(self, ranks, arguments):
        metrics = self.work / "m.jsonl"
        status, output, errors = self.run_train(ranks, [*SMALL, "--metrics", str(metrics), *arguments])
        self.assertEqual(status, 0, errors)
        self.assertEqual(errors, "")
        lines = output.strip().splitlines()
        memory = re.match(r"^peak memory per rank: .* predicted \(([0-9.]+)%\)", lines[-3])
        self.assertTrue(90 < float(memory.group(1)) < 110, lines[-3])
        self.assertRegex(lines[-2], r"^Weights: [0-9a-f]{16}$")
        self.assertRegex(lines[-1], r"^Figure of Merit \(FOM\): [0-9.]+ tokens/s$")
        steps = steps_in(metrics)
        losses = [(step["loss"], step["grad_norm"], step.get("validation_loss")) for step in steps]
        return lines[-2], losses, steps

    def test_layouts_agree_to_the_last_digit(self):
        tiles = ["--tiles", "8"]
        weights, losses, _ = self.weights_and_losses(1, tiles)
        self.assertEqual(len(losses), 4)
        for ranks, layout in ((2, ["--tp", "2", "--sequence-parallel"]), (4, ["--pp", "2", "--dp", "2"]),
                              (4, ["--tp", "2", "--dp", "2", "--ranks-per-node", "2"])):
            with self.subTest(layout=layout):
                others, their_losses, _ = self.weights_and_losses(ranks, [*tiles, *layout])
                self.assertEqual(others, weights)
                self.assertEqual(their_losses, losses)

    def test_metrics_have_all_that_is_promised(self):
        self.weights_and_losses(2, ["--tp", "2", "--precision", "bf16"])  # whose products need memory of their own
        _, _, steps = self.weights_and_losses(4, ["--tp", "2", "--pp", "2"])
        for number, step in enumerate(steps, 1):
            self.assertEqual(step["step"], number)
            self.assertEqual(step["tokens"], 16 * 16)
            self.assertFalse(step["skipped"])
            for key in ("loss", "grad_norm", "lr", "tokens_per_s", "step_s", "mfu", "exposed_comm_s",
                        "comm_compute_ratio", "bubble_s"):
                self.assertTrue(math.isfinite(step[key]) and step[key] >= 0, key)
            for key in ("comm_bytes", "comm_calls"):
                self.assertEqual(list(step[key]), ["tp", "pp", "dp", "tied", "world"])
            self.assertGreater(step["comm_bytes"]["tp"], 0)
            self.assertGreater(step["comm_bytes"]["pp"], 0)
            self.assertEqual(step["comm_bytes"]["dp"], 0)
            self.assertEqual("validation_loss" in step, number % 2 == 0)

    def test_trace_is_a_timeline_of_all_ranks(self):
        status, _, errors = self.run_train(2, [*SMALL, "--pp", "2", "--trace", "t.json"])
        self.assertEqual(status, 0, errors)
        events = json.loads((self.work / "t.json").read_text())["traceEvents"]
        spans = [event for event in events if event["ph"] == "X"]
        self.assertEqual({span["pid"] for span in spans}, {0, 1})
        self.assertLessEqual({"step", "forward", "backward", "update"}, {span["name"] for span in spans})

    def test_a_trace_that_overflows_says_so(self):
        status, output, errors = self.run_train(2, [*SMALL, "--tp", "2", "--trace", "t.json",
                                                    "--trace-spans", "50"])
        self.assertEqual(status, 0, errors)
        events = json.loads((self.work / "t.json").read_text())["traceEvents"]
        self.assertEqual(sum(event["ph"] == "X" for event in events), 100)
        dropped = [event["args"]["count"] for event in events if event["name"] == "dropped_spans"]
        self.assertEqual(len(dropped), 2)
        warnings = [line for line in output.splitlines() if line.startswith("warning:")]
        self.assertEqual(len(warnings), 1, output)
        self.assertIn(str(max(dropped)), warnings[0])

    def test_each_new_epoch_is_told_once_also_by_a_run_that_goes_on(self):
        data = self.file("text.txt", b"The quick brown fox. " * 28)  # 33 samples to train on, 16 a step
        run = [*SMALL, "--data", data, "--metrics", "m.jsonl", "--save", "ck", "--save-interval", "2", "--resume"]
        for steps in ("3", "4"):
            status, output, errors = self.run_train(1, [*run, "--steps", steps])
            self.assertEqual(status, 0, errors)
            self.assertEqual(output.count("epoch 2 begins in step 3\n"), 1, output)
            shutil.rmtree(self.work / "ck/step_00000003", ignore_errors=True)
        lines = [json.loads(line) for line in (self.work / "m.jsonl").read_text().splitlines()]
        self.assertEqual([line for line in lines if line.get("event") == "epoch"],
                         [{"event": "epoch", "begins_in_step": 3, "epoch": 2}])

    def test_without_standard_streams_and_a_known_environment_a_run_is_the_same(self):
        """What is printed must not end up in the first file that is opened."""
        reference = self.weights_and_losses(1, [])[1]
        environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "TZ", "LC_ALL")}
        environment |= {"LANG": "tr_TR.UTF-8", "TZ": "No/Where"}
        for streams in ("<&- >&- 2>&-", ">&-"):
            command = ["bash", "-c", f'"$@" {streams}', "bash", GPT_TRAIN, *SMALL, "--metrics", "m.jsonl",
                       "--save", "ck", "--save-interval", "2"]
            done = subprocess.run(command, cwd=self.work, env=environment, timeout=60)
            self.assertEqual(done.returncode, 0)
            steps = steps_in(self.work / "m.jsonl")
            self.assertEqual([(step["loss"], step["grad_norm"], step.get("validation_loss")) for step in steps],
                             reference)
            shutil.rmtree(self.work / "ck")

    def test_an_earlier_metrics_file_is_kept_and_a_link_to_it_stays_one(self):
        (self.work / "m.jsonl").symlink_to("real")
        for _ in range(2):
            self.weights_and_losses(1, [])
        self.assertEqual(sorted(path.name for path in self.work.iterdir()), ["m.jsonl", "real", "real.previous"])
        self.assertTrue((self.work / "m.jsonl").is_symlink())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
