#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What the programs write for other people's tools, read back as those tools read it.

    outputs_runs.py GPT_TRAIN MPIEXEC BENCH_COMM BENCH_CHECKPOINT [unittest arguments]
"""

import csv
import importlib.util
import io
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import unittest

from ramble_double import Application
from support import ROOT, Folder

GPT_TRAIN, MPIEXEC, BENCH_COMM, BENCH_CHECKPOINT = sys.argv[1:5]
del sys.argv[1:5]
SMALL = ["--layers", "2", "--hidden-size", "32", "--seq-length", "16", "--steps", "4", "--global-batch-size", "8",
         "--eval-interval", "2", "--sample-length", "0"]


class Runs(Folder):
    def job(self, ranks, program, *words, code=0):
        done = subprocess.run([MPIEXEC, "-n", str(ranks), program, *words], capture_output=True, text=True,
                              cwd=self.folder, timeout=200)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def train(self, ranks, *words):
        return self.job(ranks, GPT_TRAIN, *SMALL, *words)


class Collectives(Runs):
    FACTORS = {"all_reduce": 1.0, "all_gather": 0.5, "reduce_scatter": 0.5, "broadcast": 1.0}  # of 2 ranks

    def bench(self, form, *words):
        return self.job(2, BENCH_COMM, "--format", form, "--kind", "mpi", "--min-bytes", "64", "--max-bytes", "4K",
                        "--factor", "8", "--iterations", "3", *words)

    def groups(self, output, heading):
        parts = re.split(heading, output, flags=re.MULTILINE)[1:]
        return list(zip(parts[0::2], parts[1::2]))

    def test_rows_are_those_of_nccl_tests(self):
        output = self.bench("nccl")
        rows = [(name, line.split()) for name, text in self.groups(output, r"^# (\w+) by mpi$")
                for line in text.splitlines() if line and not line.startswith("#")]
        self.assertEqual(len(rows), 12)
        buses = []
        for name, row in rows:
            self.assertEqual(len(row), 13, row)
            size, count, kind, redop, root = int(row[0]), int(row[1]), row[2], row[3], int(row[4])
            self.assertEqual(kind, "float")
            shared = name in ("all_gather", "reduce_scatter")  # nccl-tests counts the elements of one rank
            self.assertEqual(size, 4 * count * (2 if shared else 1))
            self.assertIn((redop, root), (("sum", -1), ("none", -1), ("none", 0)))
            for time, algorithm, bus, wrong in (row[5:9], row[9:13]):
                if time == "N/A":  # a broadcast out of place
                    self.assertEqual((root, wrong), (0, "N/A"))
                    continue
                self.assertAlmostEqual(float(algorithm), size / float(time) * 1e-3, delta=0.006 + 0.02 * float(algorithm))
                self.assertLessEqual(float(bus), float(algorithm) + 0.01)
                self.assertEqual(wrong, "0")
                buses.append(float(bus))
        self.assertIn("# Out of bounds values : 0 OK\n", output)
        mean = float(re.search(r"^# Avg bus bandwidth    : (\S+) $", output, re.MULTILINE).group(1))
        self.assertAlmostEqual(mean, statistics.mean(buses), delta=0.01)
        devices = re.findall(r"^#  Rank +(\d+) Group +0 Pid +\d+ on +\S+ device +0 \[0x00\]", output, re.MULTILINE)
        self.assertEqual(devices, ["0", "1"])

    def test_tables_are_those_of_the_osu_benchmarks(self):
        output = self.bench("osu")
        groups = self.groups(output, r"^# OSU MPI (\S+) Latency Test$")
        self.assertEqual([name for name, _ in groups], ["Allreduce", "Allgather", "Reduce_scatter", "Broadcast"])
        for _, text in groups:
            lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
            # The first column has 10 places, the others 20.
            self.assertIn("# Size         Avg Latency(us)     Min Latency(us)     Max Latency(us)          Iterations\n",
                          text)
            sizes = [int(line[0]) for line in lines]
            self.assertEqual(sizes, [64, 512, 4096])
            for _, mean, low, high, iterations in lines:
                self.assertLessEqual(float(low), float(mean) + 0.005)
                self.assertLessEqual(float(mean), float(high) + 0.005)
                self.assertEqual(iterations, "3")

    def test_sizes_on_three_ranks(self):
        words = ["--min-bytes", "8", "--max-bytes", "64", "--factor", "8", "--iterations", "2"]
        done = subprocess.run([MPIEXEC, "-n", "3", BENCH_COMM, "--format", "json", *words], capture_output=True,
                              text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("bench_comm: left out: 3 ranks have no communicator of kind tree, hierarchical", done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["left_out"], ["tree", "hierarchical"])
        sizes = {}
        for row in document["rows"]:
            sizes.setdefault(row["collective"], set()).add((row["asked_bytes"], row["bytes"], row["count"]))
        whole, parts = {(8, 8, 2), (64, 64, 16)}, {(8, 12, 1), (64, 60, 5)}
        self.assertEqual(sizes, {"all_reduce": whole, "broadcast": whole, "all_gather": parts, "reduce_scatter": parts})
        osu = self.job(3, BENCH_COMM, "--format", "osu", *words)
        self.assertEqual(re.findall(r"^(\d+) ", osu, re.MULTILINE), ["8", "64"] * 4)
        self.assertIn("--kind: 3 ranks", self.job(3, BENCH_COMM, "--format", "osu", "--kind", "tree", code=64))

    def test_json_and_csv_hold_the_same_columns(self):
        document = json.loads(self.bench("json"))
        rows = list(csv.DictReader(io.StringIO(self.bench("csv"))))
        self.assertEqual((document["ranks"], document["nodes"]), (2, 1))
        self.assertEqual(len(rows), len(document["rows"]))
        for one, other in zip(document["rows"], rows):
            self.assertEqual(list(one), list(other))
            self.assertEqual([one[key] for key in ("collective", "kind", "type")],
                             [other[key] for key in ("collective", "kind", "type")])
            self.assertEqual((one["bytes"], one["wrong"]), (int(other["bytes"]), 0))
            self.assertAlmostEqual(one["busbw_gbps"], self.FACTORS[one["collective"]] * one["algbw_gbps"], delta=1e-4)
            self.assertLessEqual(one["min_us"], one["time_us"])
            self.assertLessEqual(one["time_us"], one["max_us"])

    def test_the_table_is_google_benchmarks(self):
        output = self.bench("table", "--benchmark_filter=all_reduce/mpi/64/it", "--benchmark_format=csv")
        self.assertIn("all_reduce/mpi/64/iterations:1/manual_time", output)
        self.assertIn("busbw_GBps", output)
        self.assertNotIn("broadcast", output)

    def test_wrong_usage_and_places(self):
        for words, code, told in ((["--format", "xml"], 64, "xml"), (["--collective", "scatter"], 64, "scatter"),
                                  (["--max-bytes", "2"], 64, "--max-bytes"), (["--kind", "warp"], 64, "--kind"),
                                  (["--speed"], 64, "--speed"),
                                  (["--format", "osu", "--benchmark_filter=x"], 64, "--format table"),
                                  (["--format", "csv", "--output", "absent/x"], 73, "absent/x")):
            with self.subTest(words=words):
                errors = self.job(1, BENCH_COMM, *words, code=code)
                self.assertIn(told, errors)
                self.assertEqual(errors.count("bench_comm: error:"), 1)


class MlperfLog(Runs):
    def events(self, text):
        lines = [line for line in text.splitlines() if line.startswith(":::MLLOG ")]
        events = [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]
        for event in events:
            self.assertEqual(list(event), ["namespace", "time_ms", "event_type", "key", "value", "metadata"])
            self.assertIsInstance(event["time_ms"], int)
            self.assertIsInstance(event["metadata"]["lineno"], int)
        return events

    def test_a_run_is_told_in_the_order_that_the_rules_want(self):
        output = self.train(2, "--tp", "2", "--mllog", "-", "--seed", "5")
        events = self.events(output)
        keys = [event["key"] for event in events]
        course = [key for key in keys if key.endswith(("_start", "_stop", "_accuracy"))]
        evaluation = ["block_stop", "eval_start", "eval_accuracy", "eval_stop"]
        self.assertEqual(course, ["init_start", "init_stop", "run_start", "block_start", *evaluation, "block_start",
                                  *evaluation, "run_stop"])
        self.assertEqual([event["time_ms"] for event in events], sorted(event["time_ms"] for event in events))
        value = {event["key"]: event["value"] for event in events}
        self.assertEqual([value[key] for key in ("seed", "global_batch_size", "gradient_accumulation_steps", "opt_name",
                                                 "max_sequence_length", "max_steps", "trained_samples")],
                         [5, 8, 4, "adamw", 16, 4, 32])
        samples = [event["metadata"]["samples_count"] for event in events if event["key"] == "eval_accuracy"]
        self.assertEqual(samples, [16, 32])
        self.assertTrue(all(0 < event["value"] < 10 for event in events if event["key"] == "eval_accuracy"))
        self.assertEqual(events[-1]["metadata"]["status"], "success")
        kinds = {event["key"]: event["event_type"] for event in events}
        self.assertEqual((kinds["run_start"], kinds["run_stop"], kinds["seed"]),
                         ("INTERVAL_START", "INTERVAL_END", "POINT_IN_TIME"))

    def test_a_run_that_breaks_off_is_aborted(self):
        self.job(1, GPT_TRAIN, *SMALL, "--mllog", "log", "--lr", "1e30", "--lr-warmup-iters", "1", code=70)
        last = self.events((self.folder / "log").read_text())[-1]
        self.assertEqual((last["key"], last["metadata"]["status"]), ("run_stop", "aborted"))

    @unittest.skipUnless(importlib.util.find_spec("mlperf_logging"), "mlperf_logging is not installed")
    def test_mlperfs_own_parser_takes_every_line(self):
        from mlperf_logging.compliance_checker import mlp_parser
        self.train(1, "--mllog", "log")
        lines, errors = mlp_parser.parse_file(str(self.folder / "log"), ruleset="5.1.0")
        self.assertEqual(errors, [])
        self.assertGreater(len(lines), 25)


class Suites(Runs):
    """JUBE, ReFrame and Ramble (Benchpark) find their figures in what the programs print."""

    def environment(self):
        folder = self.folder / "programs"
        folder.mkdir()
        for program in (GPT_TRAIN, BENCH_COMM):
            (folder / pathlib.Path(program).name).symlink_to(program)
        (folder / "bin").symlink_to(folder)
        return {**os.environ, "TESSERA_PROGRAMS": str(folder), "TESSERA_LAUNCHER": f"{MPIEXEC} -n",
                "TESSERA_STEPS": "4"}

    def suite(self, words, environment):
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=self.folder, env=environment,
                              timeout=250)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def tool_path(self, name):
        places = [pathlib.Path(sys.executable).parent, *map(pathlib.Path, os.environ["PATH"].split(":"))]
        found = next((place / name for place in places if (place / name).exists()), None)
        if found is None:
            self.skipTest(f"{name} is not installed")
        return found

    def test_jube(self):
        jube, environment = self.tool_path("jube"), self.environment()
        # Without a tag it is training.
        for tag, columns, count in (("", ["ranks", "tp", "pp", "fom[tokens/s]", "of_peak[%]", "weights"], 3),
                                    ("collectives", ["operation", "ranks", "busbw[GB/s]", "wrong"], 3)):
            place, tags = self.folder / f"jube-{tag}", ["--tag", tag] if tag else []
            self.suite([jube, "run", ROOT / "bench/jube/tessera.yaml", "--outpath", place, *tags], environment)
            rows = list(csv.DictReader(io.StringIO(self.suite([jube, "result", place, "--id", "last"], environment))))
            self.assertEqual((list(rows[0]), len(rows)), (columns, count))
            self.assertTrue(all(float(row[columns[3] if tag == "train" else columns[2]]) > 0 for row in rows), rows)
            if not tag:
                self.assertEqual(len({row["weights"] for row in rows}), 1)

    def test_reframe(self):
        reframe, environment = self.tool_path("reframe"), self.environment()
        words = [reframe, "-c", ROOT / "bench/reframe/tessera_checks.py", "--prefix", self.folder / "stage", "-r"]
        output = self.suite([*words, "-S", "steps=4", "--performance-report"], environment)
        self.assertRegex(output, r"Ran 6/6 test case\(s\) from 6 check\(s\) \(0 failure\(s\)")
        alone = subprocess.run([*map(str, words), "-n", "all_reduce", "-S", "launcher=local"], capture_output=True,
                               text=True, cwd=self.folder, env=environment, timeout=100)
        self.assertEqual(alone.returncode, 1, alone.stdout + alone.stderr)
        self.assertIn("1 ranks ran in place of 2", alone.stdout)

    def test_benchpark(self):
        application = Application(ROOT / "bench/benchpark/application.py")
        training = application.command("training", options=" ".join(SMALL))
        collectives = application.command("collectives", max_bytes="4K")
        self.assertEqual((training[0], collectives[0]), ("gpt_train", "bench_comm"))
        output = {"training": self.job(1, GPT_TRAIN, *training[1:]),
                  "collectives": self.job(2, BENCH_COMM, *collectives[1:], "--iterations", "2")}
        wanted = {"training": {"Figure of Merit (FOM)", "Share of the peak"},
                  "collectives": {"Figure of Merit (FOM)", "Average bus bandwidth"}}
        for workload, other in (("training", "collectives"), ("collectives", "training")):
            well, figures = application.analysed(workload, output[workload])
            self.assertTrue(well, workload)
            self.assertEqual(set(figures), wanted[workload])
            self.assertTrue(all(float(value) > 0 for value in figures.values()), figures)
            # Not by what the other one prints, nor by a run that broke off before its end.
            self.assertFalse(application.analysed(workload, output[other])[0], workload)
            cut = re.sub(r"Weights: .*|values : 0 OK", "", output[workload])
            self.assertFalse(application.analysed(workload, cut)[0], workload)


class Driver(Runs):
    def test_a_plan_runs_and_its_report_has_every_column(self):
        programs = self.folder / "programs"
        programs.mkdir()
        (programs / "gpt_train").symlink_to(GPT_TRAIN)
        (programs / "bench_comm").symlink_to(BENCH_COMM)
        (programs / "bench_checkpoint").symlink_to(BENCH_CHECKPOINT)
        options = "".join(f"{name} = {value}\n" for name, value in (("num-layers", 2), ("hidden-size", 32),
                          ("seq-length", 16), ("global-batch-size", 8), ("train-iters", 5), ("sample-length", 0)))
        head = "repetitions = 1\n"
        train = self.write("t.toml", f"name = \"train\"\nkind = \"strong\"\n{head}[options]\n{options}[[points]]\nranks = 1\n"
                           "[[points]]\nranks = 2\noptions = { pp = 2 }\n")
        comm = self.write("c.toml", f"name = \"comm\"\nkind = \"collectives\"\n{head}[options]\nmax-bytes = \"64K\"\n"
                          "iterations = 3\n[[points]]\nranks = 2\n")
        save = self.write("s.toml", f"name = \"save\"\nkind = \"checkpoint\"\n{head}arguments = [\"{{scratch}}\", \"16\", "
                          "\"1\"]\n[[points]]\nranks = 2\n")
        for plan in (train, comm, save):
            status, output, errors = self.tool("run.py", plan, "--programs", programs, "--out", "out",
                                               environment={"MPIEXEC": MPIEXEC})
            self.assertEqual(status, 0, output + errors)
        status, output, errors = self.tool("report.py", "out", "--plots", "none")
        self.assertEqual((status, errors), (0, ""))
        row = next(line for line in output.splitlines() if line.startswith("pp 2"))
        # All columns have numbers, the least bubble of 2 stages and 4 microbatches too.
        self.assertNotIn("  - ", row + " ")
        self.assertIn("20.0 %", row)
        self.assertIn("tree(mpi)", output)
        self.assertIn("asynchronous until committed", output)
        for plan in ("train", "comm", "save"):
            for results in (self.folder / "out" / plan).glob("point-*.jsonl"):
                self.assertEqual(json.loads(results.read_text())["figures"]["nodes"], 1, plan)


if __name__ == "__main__":
    unittest.main()
