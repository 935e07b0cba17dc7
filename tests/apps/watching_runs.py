#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""How a run is watched: the bar on a terminal, gpt_train top, pipes, the timeline.

    watching_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

GPT_TRAIN, MPIEXEC = sys.argv[1:3]
SMALL = ["--layers", "2", "--hidden-size", "32", "--seq-length", "16", "--global-batch-size", "8", "--eval-interval",
         "0", "--sample-length", "0", "--peak-tflops", "1"]


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-watching-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.metrics = self.work / "m.jsonl"

    def run_alone(self, *words):
        done = subprocess.run([GPT_TRAIN, *words], capture_output=True, text=True, cwd=self.work, timeout=100)
        return done.returncode, done.stdout, done.stderr

    def start_on_terminal(self, command, columns):
        """The process, and the file from which its terminal is read."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(command, cwd=self.work, stdout=theirs, stderr=subprocess.PIPE, stdin=theirs)
        os.close(theirs)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        return process, ours

    def read_terminal(self, process, terminal, seconds=100):
        """What the process wrote to its terminal until it ended."""
        text, deadline = b"", time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    text += os.read(terminal, 65536)
                except OSError:  # nobody holds the other end
                    break
            elif process.poll() is not None:
                break
        os.close(terminal)
        self.assertEqual(process.wait(20), 0)
        return text.decode()


class Progress(Folder):
    def test_a_terminal_shows_a_bar_that_fits_and_a_log_does_not(self):
        for columns in (200, 50):
            process, terminal = self.start_on_terminal([GPT_TRAIN, *SMALL, "--steps", "30", "--log", "log"], columns)
            text = self.read_terminal(process, terminal)
            bars = re.findall(r"\r\x1b\[K(\[[^\r\n]*)", text)
            self.assertGreater(len(bars), 20)
            self.assertTrue(all(len(bar) < columns for bar in bars), max(bars, key=len))
            step = r" \| step \d+/30" if columns > 80 else ""
            self.assertTrue(all(re.match(r"\[=*>? *\] +\d+% ETA \d+:\d\d" + step, bar) for bar in bars), bars[0])
            self.assertIn("Figure of Merit", text)
            log = (self.work / "log").read_text()
            self.assertNotIn("\x1b", log)
            self.assertNotIn("ETA", log)

    def test_a_launcher_that_writes_to_a_file_gets_plain_lines(self):
        done = subprocess.run([MPIEXEC, "-n", "2", GPT_TRAIN, *SMALL, "--steps", "3"], capture_output=True, text=True,
                              cwd=self.work, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(len(re.findall(r"^step +\d+/3 \|", done.stdout, re.MULTILINE)), 3)


class Top(Folder):
    def test_a_run_that_ended_is_printed_once(self):
        status, output, errors = self.run_alone(*SMALL, "--steps", "4", "--metrics", str(self.metrics))
        self.assertEqual(status, 0, errors)
        weights = re.search(r"^Weights: (\S+)$", output, re.MULTILINE).group(1)
        status, output, errors = self.run_alone("top", str(self.metrics))
        self.assertEqual((status, errors), (0, ""))
        self.assertNotIn("\x1b", output)
        for words in ("tiny on 1 rank on 1 node: tp 1 x pp 1 x dp 1", "step 4/4  100.0%", "tokens/s", "exposed comm",
                      f"done, weights {weights}"):
            self.assertIn(words, output)

    def test_a_live_run_is_followed_until_it_ends(self):
        run = subprocess.Popen([GPT_TRAIN, *SMALL, "--steps", "400", "--metrics", str(self.metrics)], cwd=self.work,
                               stdout=subprocess.DEVNULL)
        self.addCleanup(run.kill)
        deadline = time.monotonic() + 60
        while not self.metrics.exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        process, terminal = self.start_on_terminal([GPT_TRAIN, "top", "--interval", "0.05", str(self.metrics)], 60)
        text = self.read_terminal(process, terminal)
        self.assertEqual(run.wait(60), 0)
        lines = [line for line in re.split(r"\r\x1b\[K|\r?\n", text) if line]
        self.assertTrue(all(len(line) < 60 for line in lines if not line.startswith("\x1b")), lines)
        steps = [int(step) for step in re.findall(r"step (\d+)/400", text)]
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(steps[-1], 400)
        self.assertIn("done, weights", text)

    def test_wrong_use_is_one_message(self):
        for words, code, told in (([], 64, "METRICS"), (["absent"], 66, "absent"), (["a", "b"], 64, ""),
                                  (["a", "--interval", "0"], 64, "--interval")):
            with self.subTest(words=words):
                status, _, errors = self.run_alone("top", *words)
                self.assertEqual(status, code, errors)
                self.assertEqual(errors.count("gpt_train: error: top:"), 1)
                self.assertIn(told, errors)
        status, output, _ = self.run_alone("top", "--help")
        self.assertEqual(status, 0)
        self.assertIn("METRICS", output)

    def test_what_is_no_metrics_file_is_told_and_not_a_run_without_steps(self):
        self.metrics.write_bytes(bytes(range(256)) * 20)
        (self.work / "long").write_bytes(b"x" * (2 << 20))
        for path, code, told in ((self.work, 66, "is a folder"), (self.metrics, 65, "is no metrics file"),
                                 (self.work / "long", 65, "is no metrics file")):
            with self.subTest(path=path):
                status, output, errors = self.run_alone("top", str(path))
                self.assertEqual((status, output), (code, ""), errors)
                self.assertEqual(errors.count("gpt_train: error: top:"), 1)
                self.assertIn(told, errors)
        self.metrics.write_text("")  # of a run that has not written yet
        self.assertEqual(self.run_alone("top", str(self.metrics)), (0, "no step yet\n", ""))


class Metrics(Folder):
    def events(self):
        return [json.loads(line) for line in self.metrics.read_text().splitlines()]

    def test_a_run_says_how_it_begins_and_ends(self):
        done = subprocess.run([MPIEXEC, "-n", "2", GPT_TRAIN, *SMALL, "--steps", "3", "--pp", "2", "--metrics",
                               str(self.metrics)], capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        begin, *steps, end = self.events()
        self.assertEqual([begin[key] for key in ("event", "begins_at", "steps", "ranks", "nodes", "tp", "pp", "dp",
                                                 "global_batch_size", "microbatches_per_replica", "schedule")],
                         ["begin", 0, 3, 2, 1, 1, 2, 1, 8, 4, "1f1b"])
        stored = begin["stored_parameters_per_rank"]
        # Each stage holds its half of the blocks and the tied table; the first the positions, the last a norm.
        self.assertEqual(2 * stored["mean"], begin["parameters"] + 256 * 32)
        self.assertTrue(stored["mean"] < stored["largest"] < begin["parameters"], stored)
        self.assertEqual([step["step"] for step in steps], [1, 2, 3])
        self.assertEqual((end["event"], end["code"]), ("end", 0))
        self.assertIn(f"Weights: {end['weights']}\n", done.stdout)

    def test_model_flops_are_a_share_of_what_was_given_or_measured(self):
        for words, origin in (([], "given"), (["--peak-tflops", "0"], "measured")):
            self.metrics.unlink(missing_ok=True)
            status, output, errors = self.run_alone(*SMALL, "--steps", "3", "--metrics", str(self.metrics), *words)
            self.assertEqual(status, 0, errors)
            gflops = re.search(rf"^matrix products: .*, ([0-9.]+) GFLOP/s {origin} on all ranks$", output, re.MULTILINE)
            self.assertIsNotNone(gflops, output)
            self.assertRegex(output, rf"model FLOP/s: [0-9.]+% of the {origin} peak")
            begin, *rest = self.events()
            self.assertAlmostEqual(begin["peak_flops"] * 1e-9, float(gflops[1]), delta=0.1)
            if origin == "given":
                self.assertEqual(begin["peak_flops"], 1e12)
            for step in (event for event in rest if "step" in event and "loss" in event):
                flops = begin["flops_per_token"] * step["tokens_per_s"]
                self.assertAlmostEqual(step["mfu"] * begin["peak_flops"] / flops, 1, 6)

    def test_a_run_that_breaks_off_says_so(self):
        status, _, _ = self.run_alone(*SMALL, "--steps", "3", "--lr", "1e30", "--lr-warmup-iters", "1", "--metrics",
                                      str(self.metrics))
        self.assertEqual(status, 70)
        self.assertEqual(self.events()[-1], {"event": "end", "code": 70})


class Pipes(Folder):
    """Outputs that another program reads."""

    def setUp(self):
        super().setUp()
        os.mkfifo(self.work / "pipe")

    def test_a_pipe_that_nobody_reads_is_refused(self):
        for output in ("metrics", "log", "mllog", "trace"):
            code, _, errors = self.run_alone(*SMALL, f"--{output}", "pipe")
            self.assertEqual(code, 73, errors)
            self.assertEqual(errors.count("gpt_train: error:"), 1, errors)
            self.assertIn(f'output.{output} = "pipe" is a pipe that nobody reads', errors)

    def test_one_whose_reader_goes_is_an_output_that_is_lost(self):
        with subprocess.Popen(["head", "-n", "2", self.work / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
            code, printed, errors = self.run_alone(*SMALL, "--metrics", "pipe", "--steps", "6")
            self.assertEqual(len(reader.communicate(timeout=60)[0].splitlines()), 2)
        self.assertEqual(code, 74, errors)
        self.assertEqual((printed + errors).count("Broken pipe"), 1, printed + errors)
        self.assertIn("Figure of Merit (FOM)", printed)


class Timeline(Folder):
    def test_ranks_are_named_ordered_and_on_one_clock(self):
        done = subprocess.run([MPIEXEC, "-n", "2", GPT_TRAIN, *SMALL, "--steps", "3", "--tp", "2", "--trace", "t.json"],
                              capture_output=True, text=True, cwd=self.work, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        trace = json.loads((self.work / "t.json").read_text())
        self.assertEqual(trace["otherData"], {"ranks": 2, "clocks_differ_by_us_at_most": 0})
        named = {event["tid"]: event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
        self.assertRegex(named[1], r"^rank 1 \(pp 0, dp 0, tp 1\) on \S+$")
        order = {event["tid"]: event["args"]["sort_index"] for event in trace["traceEvents"]
                 if event["name"] == "thread_sort_index"}
        self.assertEqual(order, {0: 0, 1: 1})
        steps = [[event for event in trace["traceEvents"] if event["name"] == "step" and event["tid"] == rank]
                 for rank in (0, 1)]
        for one, other in zip(*steps):
            # A step is one on both ranks: each began before the other ended.
            self.assertLess(one["ts"], other["ts"] + other["dur"])
            self.assertLess(other["ts"], one["ts"] + one["dur"])
        self.assertTrue(all(event["ts"] >= 0 for rank in steps for event in rank))

    def test_each_start_of_a_run_that_goes_on_leaves_its_own(self):
        for steps in ("2", "3", "7"):
            status, _, errors = self.run_alone(*SMALL, "--steps", steps, "--lr-decay-iters", "50", "--save", "checkpoints",
                                               "--resume", "--trace", "t.json")
            self.assertEqual(status, 0, errors)
        made = [sum(event["name"] == "step" for event in json.loads((self.work / name).read_text())["traceEvents"])
                for name in ("t.json.previous", "t.json.previous-2", "t.json")]
        self.assertEqual(made, [2, 1, 4])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
