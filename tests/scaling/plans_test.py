#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Plans: what is wrong with one is said at once and plainly; those of the tree are right."""

import subprocess
import sys
import unittest

from support import PLAN, TOOLS, Folder, Stage

import plan as plans

GPT_TRAIN = sys.argv.pop(1)


class Refusals(Folder):
    def problems(self, text):
        with self.assertRaises(plans.PlanError) as caught:
            plans.load(self.write("plan.toml", text))
        for problem in caught.exception.problems:
            self.assertTrue(problem.startswith(str(self.folder / "plan.toml")), problem)
        return "\n".join(caught.exception.problems)

    def test_all_problems_come_at_once(self):
        text = self.problems("""
            name = "Bad Name"
            kind = "sideways"
            repetitions = 0
            colour = "red"
            [[points]]
            rank = 2
            options = { tp = 2 }
            """)
        for words in ("'name' = 'Bad Name'", "'kind' = 'sideways'", "'repetitions' = 0 is less than 1",
                      "'colour' is no key", "point 1: 'ranks' is missing", "point 1: 'rank' is no key",
                      "tp 2 x pp 1 does not divide 1 ranks"):
            self.assertIn(words, text)

    def test_types_are_checked(self):
        text = self.problems("name = 3\nkind = \"weak\"\nrepetitions = true\n[options]\n\"--tp\" = 2\n"
                             "[options.deep]\nx = 1\n")
        for words in ("'name' = 3 is no str", "'repetitions' = True is no int", "options.--tp: a flag without",
                      "options.deep is a table", "'points' is missing"):
            self.assertIn(words, text)

    def test_a_sweep_has_to_say_how_it_scales(self):
        self.assertIn("'scaling' is missing", self.problems(PLAN.replace('"strong"', '"tensor"')))
        text = self.problems(PLAN.replace('kind = "strong"', 'kind = "strong"\nscaling = "weak"'))
        self.assertIn("'scaling' = 'weak' contradicts 'kind' = 'strong'", text)

    def test_points_of_one_name_or_two_baselines_are_refused(self):
        text = self.problems(PLAN + "[[points]]\nranks = 2\nbaseline = true\noptions = { tp = 2 }\n")
        self.assertIn("2 points are called 'tp 2'", text)
        self.assertIn("more than one point is the baseline", text)

    def test_the_program_prints_one_message_and_its_code(self):
        for content, code, word in ((None, 66, "No such file"), ("name = [", 78, "plan.toml"), ("", 78, "'kind'")):
            path = self.folder / "plan.toml"
            if content is not None:
                path.write_text(content)
            status, output, errors = self.tool("run.py", path)
            self.assertEqual((status, output), (code, ""), errors)
            self.assertIn(word, errors)
            self.assertTrue(all(line.startswith("run.py: error: ") for line in errors.splitlines()), errors)
        self.assertEqual(self.tool("run.py", "--launcher", "ssh", path)[0], 64)


class Commands(Stage):
    def test_options_become_flags(self):
        self.assertEqual(plans.flags({"tp": 2, "sequence-parallel": True, "overlap-grad-reduce": False,
                                      "pipeline-layers": [3, 1], "lr": 0.5}),
                         ["--tp", "2", "--sequence-parallel", "--no-overlap-grad-reduce", "--pipeline-layers", "3,1",
                          "--lr", "0.5"])

    def test_the_list_is_for_scripts(self):
        status, output, errors = self.run_plan(PLAN, "--list")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(output, "1\t1\t1\t0/2\t1 rank\n2\t1\t2\t0/2\ttp 2\n")

    def test_missing_programs_and_launchers_are_named(self):
        plan = self.write("plan.toml", PLAN)
        status, _, errors = self.tool("run.py", plan, "--programs", "nowhere")
        self.assertEqual(status, 66)
        self.assertIn("gpt_train is not in nowhere", errors)
        status, _, errors = self.tool("run.py", plan, "--programs", "programs", environment={"MPIEXEC": "/absent"})
        self.assertEqual(status, 66)
        self.assertIn("no mpirun", errors)


class PlansOfTheTree(unittest.TestCase):
    def test_there_is_one_of_every_kind(self):
        found = [plans.load(path) for path in sorted((TOOLS / "plans").glob("*.toml"))]
        self.assertEqual({plan.kind for plan in found}, set(plans.PROGRAMS))
        self.assertTrue(all(plan.path.stem == plan.name for plan in found))

    def test_gpt_train_takes_every_point(self):
        points = [(plan, point) for plan in map(plans.load, sorted((TOOLS / "plans").glob("*.toml")))
                  if plan.program == "gpt_train" for point in plan.points]
        self.assertGreater(len(points), 30)
        for plan, point in points:
            with self.subTest(plan=plan.name, point=point.label):
                told = subprocess.run([GPT_TRAIN, "--dry-run", "--ranks", str(point.ranks),
                                       *plans.flags(point.options)], capture_output=True, text=True)
                self.assertEqual(told.returncode, 0, told.stderr)


if __name__ == "__main__":
    unittest.main()
