#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""The driver: what it records, what it runs again and what not, and how it meets failures."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest
import unittest.mock

from support import PLAN, TOOLS, TRAIN, Stage

import launch
import plan as plans


class Driver(Stage):
    def test_every_run_is_recorded_with_its_figures(self):
        status, output, errors = self.run_plan(PLAN)
        self.assertEqual((status, errors), (0, ""), output)
        records = self.records()
        self.assertEqual([(record["point"], record["run"]) for record in records], [(1, 1), (1, 2), (2, 1), (2, 2)])
        last = records[-1]
        self.assertTrue(last["ok"])
        self.assertEqual((last["exit_code"], last["ranks"], last["options"]), (0, 2, {"global-batch-size": 4, "tp": 2}))
        self.assertEqual(last["program"]["version"], "gpt_train of Tessera 9.9.9")
        self.assertEqual(last["host"]["cores"], os.cpu_count())
        figures = last["figures"]
        # The first two steps of 9 s are warm-up.
        self.assertEqual((figures["steps"], figures["step_s"], figures["tokens_per_s"]), (4, 0.4, 250.0))
        self.assertAlmostEqual(figures["exposed_share"], 0.1)
        self.assertAlmostEqual(figures["shard_balance"], 0.9)
        self.assertEqual((figures["fom"], figures["weights"]), (125.0, "0123456789abcdef"))
        self.assertEqual(list((self.folder / "out/trial/runs").glob("*/scratch")), [])

    def test_what_is_measured_is_not_run_again(self):
        self.run_plan(PLAN)
        status, output, _ = self.run_plan(PLAN)
        self.assertEqual(status, 0)
        self.assertEqual(output.count("measured already"), 2)
        self.assertEqual(len(self.records()), 4)
        self.run_plan(PLAN, "--repetitions", "3")
        self.assertEqual(len(self.records()), 6)
        self.assertEqual(self.run_plan(PLAN, "--list")[1], "1\t1\t1\t2/2\t1 rank\n2\t1\t2\t2/2\ttp 2\n")

    def test_another_option_another_build_or_another_configuration_is_another_measurement(self):
        deck = self.write("deck.toml", "[training]\nseed = 1\n")
        plan = PLAN.replace("[options]", f"[options]\nconfig = \"{deck}\"")
        self.run_plan(plan)
        keys = {record["key"] for record in self.records()}
        self.assertEqual(len(keys), 2)
        for change in (lambda: deck.write_text("[training]\nseed = 7\n"),
                       lambda: self.write("programs/gpt_train", TRAIN + "# rebuilt\n", runnable=True)):
            change()
            self.run_plan(plan)
            now = {record["key"] for record in self.records()}
            self.assertEqual(len(now), len(keys) + 2)
            keys = now
        # The same configuration under another name is the same measurement.
        moved = self.write("moved.toml", deck.read_text())
        _, output, _ = self.run_plan(plan.replace(str(deck), str(moved)))
        self.assertEqual(output.count("measured already"), 2)

    def test_a_point_keeps_its_runs_when_another_is_put_before_it(self):
        self.run_plan(PLAN)
        longer = PLAN.replace("[[points]]\nranks = 1\n",
                              "[[points]]\nranks = 1\noptions = { seed = 9 }\nlabel = \"first\"\n"
                              "[[points]]\nlabel = \"renamed\"\nranks = 1\n")
        status, output, _ = self.run_plan(longer)
        self.assertEqual((status, output.count("measured already")), (0, 2), output)
        self.assertEqual(len(self.records()), 6)
        _, report, _ = self.tool("report.py", "out", "--plots", "none")
        rows = [line for line in report.splitlines() if line.startswith(("first", "renamed", "tp 2"))]
        self.assertEqual([row.split()[0] for row in rows], ["first", "renamed", "tp"], report)
        self.assertIn("400.0", rows[2])  # ms of two ranks
        self.assertNotIn("MIXED", report)

    def test_the_report_follows_the_plan_as_it_is_now(self):
        self.run_plan(PLAN, "--repetitions", "1")
        moved = PLAN.replace("baseline = true\n", "").replace(
            "options = { tp = 2 }\n", "options = { tp = 2 }\nlabel = \"halves\"\nbaseline = true\n").replace(
            "[options]", "title = \"Another title\"\n[options]")
        for repetitions in (1, 2):  # nothing to run; then runs of either baseline
            self.run_plan(moved, "--repetitions", repetitions)
            _, report, _ = self.tool("report.py", "out", "--plots", "none")
            self.assertIn("trial: Another title", report)
            # Speed-up and efficiency against 2 ranks.
            self.assertRegex(report, r"\n1 rank .* 0\.50 .* 100\.0 % ")
            self.assertRegex(report, r"\nhalves .* 1\.00 .* 100\.0 % ")
            self.assertNotRegex(report, "MISSING|DROPPED|FEW RUNS")

    def test_points_that_left_the_plan_are_left_out_and_new_ones_are_missing(self):
        self.run_plan(PLAN, "--repetitions", "1")
        other = PLAN.replace("options = { tp = 2 }", "options = { pp = 2 }")
        self.run_plan(other, "--repetitions", "1", "--point", "1")
        status, report, errors = self.tool("report.py", "out", "--plots", "none")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("!!! DROPPED: measured, but not in the plan as it is now: tp 2\n", report)
        self.assertIn("!!! MISSING: not measured yet: 2 (pp 2)\n", report)
        self.assertNotIn("\ntp 2 ", report)

    def test_one_point_alone(self):
        status, _, _ = self.run_plan(PLAN, "--point", "2")
        self.assertEqual(status, 0)
        self.assertEqual({record["point"] for record in self.records()}, {2})
        status, _, errors = self.run_plan(PLAN, "--point", "3")
        self.assertEqual(status, 64)
        self.assertIn("has points 1 to 2", errors)

    def test_a_failed_point_is_recorded_and_the_others_go_on(self):
        for seed, code, words in ((2, 78, "the seed is bad"), (3, -15, "took longer than 2 s"),
                                  (5, 0, "no step after the first 2")):
            with self.subTest(seed=seed):
                plan = PLAN.replace("ranks = 1\n", f"ranks = 1\noptions = {{ seed = {seed} }}\n").replace(
                    '"trial"', f'"trial-{seed}"')
                status, output, _ = self.run_plan(plan)
                self.assertEqual(status, 1)
                self.assertIn("FAILED", output)
                files = sorted((self.folder / f"out/trial-{seed}").glob("point-*.jsonl"))
                bad, good = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
                self.assertEqual((len(bad), bad[0]["ok"], bad[0]["exit_code"]), (1, False, code))
                self.assertIn(words, bad[0]["error"])
                self.assertEqual([record["ok"] for record in good], [True, True])

    def test_a_run_that_leaves_early_asks_for_the_same_command_again(self):
        status, output, _ = self.run_plan(PLAN.replace("ranks = 1\n", "ranks = 1\noptions = { seed = 4 }\n"))
        self.assertEqual(status, 75)
        self.assertIn("left before its end", output)
        self.assertIn("trial: 0 of 2 points measured", output)
        self.assertEqual(len(self.records()), 1)
        self.assertEqual(self.run_plan(PLAN)[0], 0)

    def test_usr1_ends_the_run_under_way_and_begins_no_other(self):
        self.assertEqual(self.interrupted_by(signal.SIGUSR1), (75, ""))
        self.assertEqual([record["error"] for record in self.records()], ["had to leave"])
        _, report, _ = self.tool("report.py", "out", "--plots", "none")
        self.assertIn("MISSING: not measured yet: 1 (1 rank), 2 (tp 2)", report)
        self.assertNotIn("FAILED", report)

    def test_a_run_that_ends_well_all_the_same_counts(self):
        code, errors = self.interrupted_by(signal.SIGUSR1, seed=6)
        self.assertEqual((code, errors), (75, ""))
        self.assertEqual([record["ok"] for record in self.records()], [True])
        # Nothing is left to do after the only run that was wanted.
        code, _ = self.interrupted_by(signal.SIGUSR1, "--point", "1", seed=6)
        self.assertEqual(code, 0)
        self.assertEqual([record["ok"] for record in self.records()], [True, True])

    def test_an_interrupt_from_the_keyboard_gets_one_line(self):
        code, errors = self.interrupted_by(signal.SIGINT)
        self.assertEqual((code, errors.count("\n")), (130, 1), errors)
        self.assertIn("start the same command again", errors)

    def interrupted_by(self, number, *words, seed=3):
        """Exit code and errors of a driver that gets a signal while a run is under way."""
        begun = lambda: sum("begun" in path.read_text() for path in self.folder.glob("out/trial/runs/*/stdout"))
        before = begun()
        plan = self.write("plan.toml", PLAN.replace("timeout_s = 2", "timeout_s = 60").replace(
            "ranks = 1\n", f"ranks = 1\noptions = {{ seed = {seed} }}\n"))
        process = subprocess.Popen([sys.executable, str(TOOLS / "run.py"), str(plan), "--programs", "programs",
                                    "--out", "out", *words], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={**os.environ, "MPIEXEC": str(self.mpirun)})
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 60
        while begun() == before:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        return process.returncode, errors

    def test_a_line_that_a_crash_cut_off_costs_only_itself(self):
        self.run_plan(PLAN)
        path = self.folder / "out/trial/point-001.jsonl"
        path.write_bytes(path.read_bytes()[:-40])
        status, _, errors = self.run_plan(PLAN)
        self.assertEqual(status, 0)
        self.assertIn("point-001.jsonl:2 is no record", errors)
        lines = path.read_text().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(json.loads(lines[2])["ok"])

    def test_srun_is_told_nodes_and_ranks(self):
        calls = self.folder / "calls"
        self.write("srun", f"#!/bin/sh\necho \"$@\" >> {calls}\nwhile [ \"${{1#-}}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n",
                   runnable=True)
        plan = self.write("plan.toml", PLAN.replace("[options]", "ranks_per_node = 1\n[options]"))
        status, _, errors = self.tool("run.py", plan, "--programs", "programs", "--out", "out", "--launcher", "srun",
                                      "--launcher-arguments", "--mpi=pmix --cpu-bind=cores", "--point", "2",
                                      environment={"PATH": f"{self.folder}:{os.environ['PATH']}"})
        self.assertEqual(status, 0, errors)
        first = [line for line in calls.read_text().splitlines() if "--nodes" in line][0]
        self.assertTrue(first.startswith("--nodes=2 --ntasks=2 --kill-on-bad-exit=1 --mpi=pmix --cpu-bind=cores "), first)

    def test_words_of_a_launcher_are_told_without_its_rules(self):
        self.mpirun.write_text("#!/bin/sh\nprintf -- '---\\nNot enough slots\\n===\\n' >&2\nexit 1\n")
        status, output, _ = self.run_plan(PLAN)
        self.assertEqual(status, 1)
        self.assertIn("FAILED, exit code 1: Not enough slots\n", output)

    def test_nodes_that_were_not_there_are_told_of(self):
        self.run_plan(PLAN.replace("[options]", "ranks_per_node = 1\n[options]"), "--repetitions", "1")
        _, report, _ = self.tool("report.py", "out", "--plots", "none")
        self.assertIn("!!! OTHER NODES: point 2 (tp 2): nodes of the plan 2, of its runs 1\n", report)
        self.assertRegex(report, r"\ntp 2 +2 +1 +1 ")

    def test_ranks_may_share_cores_where_the_plan_gives_a_node_too_many(self):
        cores, name = len(os.sched_getaffinity(0)), "OMPI_MCA_rmaps_base_oversubscribe"
        plan = plans.Plan("", "trial", "strong", "", "gpt_train", "strong")
        with unittest.mock.patch.dict(os.environ):
            os.environ.pop(name, None)
            given = [name in launch.environment(plan, plans.Point(1, "", ranks, nodes, {}, []))
                     for ranks, nodes in ((cores, 1), (cores + 1, 1), (2 * cores, 2), (2 * cores + 1, 2))]
        self.assertEqual(given, [False, True, False, True])


if __name__ == "__main__":
    unittest.main()
