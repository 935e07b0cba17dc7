#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""The report: its numbers from results with known answers, its warnings, its plots."""

import importlib.util
import json
import shutil
import unittest
import unittest.mock

from support import Folder

import anchors
import draw_gnuplot
import plots
import summary
import tables


def record(point, run, step_s, ranks=None, **changes):
    """A run of `ranks` (default: `point`) ranks on 8 idle cores."""
    ranks = ranks or point
    figures = {"step_s": step_s, "tokens_per_s": 1000 / step_s, "flops_per_s": changes.pop("flops", 6e6) / step_s,
               "tokens_per_step": changes.pop("tokens", 1000), "exposed_share": 0.125, "bubble_share": 0.25,
               "comm_compute_ratio": 0.5, "shard_balance": 0.75, "mfu": 0.625,
               "begin": {"tp": ranks, "pp": changes.pop("pp", 1), "parameters": changes.pop("parameters", 7),
                         "microbatches_per_replica": 4}}
    if figures["begin"]["pp"] > 1:
        figures["begin"]["tp"] = 1
    return {"schema": 2, "plan": "trial", "kind": "strong", "scaling": "strong", "title": "A trial",
            "plan_points": [{"point": number, "label": f"tp {number}", "identity": f"id-{number}", "ranks": number,
                             "nodes": changes.get("nodes", 1)}
                            for number in changes.pop("points", (1, 2, 4))],
            "repetitions": 2, "point": point, "label": f"tp {point}", "identity": f"id-{point}",
            "baseline": point == 1, "key": f"key-{point}", "run": run, "ranks": ranks, "nodes": 1, "threads": 1, "options": {}, "git": "abc",
            "program": {"name": "gpt_train", "sha256": "5a", "version": "gpt_train of Tessera 9"},
            "host": {"processor": "P", "cores": 8, "usable_cores": 8, "memory_bytes": 2**34, "launcher": "mpirun",
                     "gpus": []},
            "busy_cores": 0.0, "began": f"2026-01-01T00:{run:02}:{point:02}", "exit_code": 0, "timed_out": False,
            "wall_s": 1.0, "ok": True, "figures": figures, **changes}


def failed(point, run, **changes):
    return {**record(point, run, 1.0, **changes), "ok": False, "exit_code": 71, "error": "not enough memory"}


def strong():
    return [record(1, 1, 8.0), record(1, 2, 8.8), record(1, 3, 7.2), record(2, 1, 4.0), record(2, 2, 5.0),
            record(4, 1, 4.0)]


class Numbers(unittest.TestCase):
    def series(self, records):
        [series] = summary.series_of(records)
        return series, {point.number: point for point in series.points}

    def close(self, spread, median, low, high):
        for got, wanted in zip((spread.median, spread.low, spread.high), (median, low, high)):
            self.assertAlmostEqual(got, wanted)

    def test_strong_scaling_is_time_against_the_baselines(self):
        series, points = self.series(strong())
        self.close(points[2].figure("step_s"), 4.5, 4.0, 5.0)
        self.close(summary.speedup(series, points[2]), 8 / 4.5, 8 / 5, 8 / 4)
        self.close(summary.efficiency(series, points[2]), 4 / 4.5, 4 / 5, 4 / 4)
        self.close(summary.speedup(series, points[4]), 2, 2, 2)
        self.close(summary.efficiency(series, points[4]), 0.5, 0.5, 0.5)
        self.close(summary.efficiency(series, points[1]), 1, 8 / 8.8, 8 / 7.2)

    def test_weak_scaling_is_work_a_second(self):
        changes = {"kind": "weak", "scaling": "weak"}
        series, points = self.series([record(1, 1, 8.0, **changes),
                                      record(2, 1, 10.0, flops=12e6, parameters=14, **changes)])
        # 0.75 MFLOP/s on one rank, 1.2 on two.
        self.close(summary.speedup(series, points[2]), 1.6, 1.6, 1.6)
        self.close(summary.efficiency(series, points[2]), 0.8, 0.8, 0.8)
        self.assertFalse([text for text in series.remarks if "STRONG" in text])

    def test_a_baseline_of_several_ranks(self):
        changes = {"points": (8, 16)}
        series, points = self.series([record(8, 1, 6.0, baseline=True, **changes), record(16, 1, 4.0, **changes)])
        self.close(summary.speedup(series, points[16]), 1.5, 1.5, 1.5)
        self.close(summary.efficiency(series, points[16]), 0.75, 0.75, 0.75)

    def test_runs_whose_points_say_no_baseline_have_that_of_the_newest(self):
        series, points = self.series([record(1, 1, 8.0), record(2, 1, 4.0), record(2, 2, 4.0, baseline=True),
                                      record(1, 3, 8.0, baseline=False)])
        self.assertEqual([point.number for point in series.points if point.baseline], [2])
        self.close(summary.speedup(series, points[2]), 1, 1, 1)

    def test_the_least_bubble_of_a_pipeline(self):
        _, points = self.series([record(4, 1, 1.0, pp=4)])
        self.assertAlmostEqual(summary.ideal_bubble(points[4]), 3 / 7)

    def test_only_runs_of_the_newest_build_count(self):
        records = [record(1, 1, 8.0), record(1, 2, 2.0, key="newer"), record(1, 3, 3.0, key="newer")]
        _, points = self.series(records)
        self.close(points[1].figure("step_s"), 2.5, 2, 3)

    def test_a_failure_counts_until_the_point_is_measured(self):
        _, points = self.series([failed(2, 1), record(2, 2, 4.0), failed(4, 1)])
        self.assertEqual((len(points[2].failures), len(points[4].failures)), (0, 1))

    def test_remarks(self):
        def remarks(*records):
            return "\n".join(self.series(list(records))[0].remarks)
        self.assertIn("MISSING: not measured yet: 4 (tp 4)", remarks(record(1, 1, 1.0), record(2, 1, 1.0)))
        self.assertIn("FEW RUNS: point 2 (tp 2): 1 of 2", remarks(record(1, 1, 1.0), record(2, 1, 1.0)))
        self.assertIn("FAILED: point 2 (tp 2), exit code 71: not enough memory", remarks(record(1, 1, 1.0), failed(2, 1)))
        self.assertIn("NO BASELINE", remarks(record(2, 1, 1.0), failed(1, 1)))
        crowded = record(2, 1, 1.0)
        crowded["host"] = {**crowded["host"], "usable_cores": 1}
        self.assertIn("OVERSUBSCRIBED: point 2 (tp 2) ran 2 ranks x threads on 1 cores", remarks(crowded))
        elsewhere = record(16, 1, 1.0, nodes=2, points=(16,))
        self.assertNotIn("OVERSUBSCRIBED", remarks(elsewhere))
        elsewhere["figures"]["nodes"] = 1
        told = remarks(elsewhere)
        self.assertIn("OVERSUBSCRIBED: point 16 (tp 16) ran 16 ranks x threads on 8 cores", told)
        self.assertIn("OTHER NODES", told)
        self.assertIn("DISTURBED: other programs used up to 1.5 cores", remarks(record(1, 1, 1.0, busy_cores=1.5)))
        self.assertIn("MIXED: the points come from 2 source versions",
                      remarks(record(1, 1, 1.0), record(2, 1, 1.0, git="def")))
        self.assertIn("NOT STRONG SCALING: the plan says so, but its points have different tokens a step: 1000, 2000",
                      remarks(record(1, 1, 1.0), record(2, 1, 1.0, tokens=2000)))
        weak = {"kind": "weak", "scaling": "weak"}
        self.assertIn("NOT WEAK SCALING: the plan says so, but the work of a step does not grow with the ranks; a rank's, "
                      "with 1 for the baseline's: tp 2 0.50, tp 4 1.50",
                      remarks(record(1, 1, 1.0, **weak), record(2, 1, 1.3, **weak),
                              record(4, 1, 2.0, flops=36e6, **weak)))
        self.assertNotIn("NOT WEAK", remarks(record(1, 1, 1.0, **weak), record(2, 1, 1.0, flops=13e6, **weak)))
        quiet = [record(point, run, 1.0 / point) for point in (1, 2, 4) for run in (1, 2)]
        self.assertEqual(remarks(*quiet), "")

    def test_anchors_meet_points_of_the_same_ranks_and_axes(self):
        series, _ = self.series(strong())
        columns, rows = tables.compared(series, "megatron2019")
        by_ranks = {row[1]: dict(zip(columns, row)) for row in rows}
        self.assertEqual(sorted(by_ranks), ["2", "4", "8"])
        self.assertEqual((by_ranks["2"]["efficiency there"], by_ranks["2"]["here"]), ("82.0 %", "tp 2"))
        self.assertEqual(by_ranks["4"]["efficiency here"], "50.0 %")
        self.assertEqual((by_ranks["8"]["here"], by_ranks["8"]["efficiency here"]), ("not measured", "-"))
        replicas = [{**entry, "figures": {**entry["figures"], "begin": {"tp": 1, "pp": 1}}} for entry in strong()]
        _, rows = tables.compared(self.series(replicas)[0], "megatron2019")
        self.assertEqual({row[3] for row in rows}, {"not measured"})

    def test_published_numbers(self):
        weak = {(anchor.axes, anchor.ranks, anchor.efficiency) for anchor in anchors.of_scaling("megatron2019", "weak")}
        self.assertEqual(weak, {("tp", 8, 0.77), ("tp x dp", 512, 0.74), ("tp x dp", 512, 0.76)})


class Reports(Folder):
    def results(self, records):
        self.write("results/trial/point-001.jsonl", "".join(json.dumps(entry) + "\n" for entry in records))
        return self.folder / "results"

    def test_tables_say_all_that_is_promised(self):
        place = self.results(strong()[:5])
        status, output, errors = self.tool("report.py", place, "--plots", "none", "--anchors", "megatron2019")
        self.assertEqual((status, errors), (0, ""))
        for words in ("Strong scaling: the same model", "Hardware: P, 8 cores a node", "1 on 8, 2 on 8",
                      "4500.0 [4000.0..5000.0]", "1.78 [1.60..2.00]", "88.9 % [80.0..100.0]", "12.5 % [12.5..12.5]",
                      "25.0 % [25.0..25.0]", "75.0 % [75.0..75.0]", "62.5 %", "!!! MISSING", "not measured",
                      "arXiv 1909.08053", "speed-up 2.98"):
            self.assertIn(words, output)
        self.assertEqual((place / "report/report.txt").read_text(), output)
        page = (place / "report/report.md").read_text()
        self.assertIn("| tp 2 | 2 | 1 | 2 | 4500.0 [4000.0..5000.0] |", page)
        self.assertIn("**MISSING", page)

    def test_collectives_and_checkpoints_have_tables_of_their_own(self):
        row = {"collective": "all_gather", "kind": "mpi", "asked_bytes": 1024, "in_place": True}
        runs = []
        for ranks, run, time_us in ((2, 1, 10.0), (2, 2, 12.0), (3, 1, 30.0)):
            entry = record(ranks, run, 1.0, kind="collectives", scaling="", points=(2, 3))
            # Three ranks cannot share 1024 bytes, but the rows meet.
            entry["figures"] = {"rows": [{**row, "bytes": 1024 // ranks // 4 * 4 * ranks, "time_us": time_us,
                                          "busbw_gbps": 5.0}], "left_out": ["tree"] * (ranks == 3)}
            runs.append(entry)
        _, output, _ = self.tool("report.py", self.results(runs), "--plots", "none")
        self.assertRegex(output, r"all_gather +mpi +1024 +yes +11\.0 \[10\.0\.\.12\.0\] +5\.00 \[5\.00\.\.5\.00\] "
                                 r"+30\.0 +5\.00")
        self.assertIn("LEFT OUT: point 3 (tp 3): 3 ranks have no tree\n", output)
        runs.pop()
        for entry, seconds in zip(runs, (2.0, 4.0)):
            entry["kind"] = "checkpoint"
            entry["figures"] = {"rows": {"save": {"seconds": seconds, "rate_gbps": 1 / seconds}}}
        _, output, _ = self.tool("report.py", self.results(runs), "--plots", "none")
        self.assertRegex(output, r"save +3\.000 \[2\.000\.\.4\.000\] +0\.38 \[0\.25\.\.0\.50\]")

    def test_no_results_is_one_message(self):
        self.assertEqual(self.tool("report.py", "absent")[0], 66)
        (self.folder / "empty").mkdir()
        status, _, errors = self.tool("report.py", "empty")
        self.assertEqual((status, errors), (66, "report.py: error: empty: holds no results of run.py\n"))
        self.assertEqual(self.tool("report.py", "empty", "--anchors", "nobody2020")[0], 64)

    def test_lines_that_say_too_little_are_no_records(self):
        place = self.results([{"schema": 2}, *strong(), {**strong()[0], "ok": False}])
        (place / "trial/plan.json").write_text('{"schema":2}\n')
        status, output, errors = self.tool("report.py", place, "--plots", "none")
        self.assertEqual(status, 0, errors)
        self.assertEqual([line.split("trial/")[1] for line in errors.splitlines()],
                         ["point-001.jsonl:1 is no record of these tools: left out",
                          "point-001.jsonl:8 is no record of these tools: left out",
                          "plan.json is no plan of these tools: left out"])
        self.assertIn("1 on 8, 2 on 8, 4 on 8", output)

    def expect_plots(self, tool):
        place = self.results(strong())
        status, _, errors = self.tool("report.py", place, "--plots", tool, "--anchors", "megatron2019")
        self.assertEqual(status, 0, errors)
        for name in ("speedup", "efficiency", "time", "parts", "ratio", "balance"):
            drawing = (place / f"report/trial-{name}.svg").read_text()
            self.assertIn("<svg", drawing)
            self.assertGreater((place / f"report/trial-{name}.png").stat().st_size, 2000)
        self.assertIn("(trial-speedup.svg)", (place / "report/report.md").read_text())

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "this Python has no matplotlib")
    def test_plots_by_matplotlib(self):
        self.expect_plots("matplotlib")

    @unittest.skipUnless(shutil.which("gnuplot"), "there is no gnuplot")
    def test_plots_by_gnuplot(self):
        self.expect_plots("gnuplot")

    def test_charts_hold_the_numbers_and_the_ideal(self):
        [series] = summary.series_of(strong())
        drawn = {chart.stem: {line.name: [(x, round(y, 3)) for x, y, _, _ in line.points] for line in chart.lines}
                 for chart in plots.charts(series, ["megatron2019"])}
        self.assertEqual(drawn["trial-speedup"], {"ideal": [(1, 1), (2, 2), (4, 4)], "tp": [(1, 1), (2, 1.778), (4, 2)]})
        self.assertEqual(drawn["trial-efficiency"]["megatron2019, tp (published)"], [(2, 0.82), (4, 0.585), (8, 0.372)])
        self.assertEqual(drawn["trial-time"], {"ideal": [(1, 8000), (2, 4000), (4, 2000)],
                                               "tp": [(1, 8000), (2, 4500), (4, 4000)]})
        at = lambda value: [(1, value), (2, value), (4, value)]
        self.assertEqual(drawn["trial-parts"], {"exposed communication": at(0.125), "pipeline bubble": at(0.25)})
        self.assertEqual(drawn["trial-ratio"], {"comm per compute": at(0.5)})
        self.assertEqual(drawn["trial-balance"], {"shard balance": at(0.75)})

    def test_published_numbers_say_what_was_split(self):
        changes = {"kind": "weak", "scaling": "weak"}
        [series] = summary.series_of([record(1, 1, 8.0, **changes), record(2, 1, 10.0, flops=12e6, **changes)])
        drawn = {chart.stem: chart for chart in plots.charts(series, ["megatron2019"])}
        marks = {line.name: len(line.points) for line in drawn["trial-efficiency"].lines if line.marks_only}
        self.assertEqual(marks, {"megatron2019, tp (published)": 1, "megatron2019, tp x dp (published)": 2})
        ideal = next(line for line in drawn["trial-time"].lines if line.ideal)
        self.assertEqual([y for _, y, _, _ in ideal.points], [8000, 8000])

    def crowded_chart(self):
        """Long words all over, and a line that fills the picture."""
        points = [(x, 10.0 ** x, 9.0 ** x, 11.0 ** x) for x in range(1, 9)]
        title = "Scaling of a model with a \"name\" that is long, " + "and longer " * 6 + "\nspeed-up"
        lines = [plots.Line(f"line number {i} with a name", points) for i in range(10)]
        return plots.Chart("crowded", title, "ranks", "GB/s", lines, log_y=10,
                           labels={x: f"tp {x} x pp 2" for x in range(1, 9)},
                           note="OVERSUBSCRIBED, DISTURBED, NOT STRONG SCALING, FEW RUNS, MISSING, MIXED")

    def test_long_words_have_their_room(self):
        chart = self.crowded_chart()
        self.assertTrue(all(len(line) <= 72 for line in chart.heading()))
        self.assertEqual(" ".join(chart.heading()).count("see the report"), 1)
        self.assertIn("speed-up", chart.heading())
        script = draw_gnuplot.script(chart, "svg", "x.svg")
        title = next(line for line in script.splitlines() if line.startswith("set title"))
        self.assertEqual(title.count("\\n"), len(chart.heading()) - 1)
        self.assertIn("rotate", script)
        self.assertIn("plot $line0", script)
        sizes = plots.Chart("sizes", "t", "bytes", "y", [plots.Line("a", [(64, 1, 1, 1), (2**22, 1, 1, 1)])])
        self.assertEqual(list(sizes.ticks().values()), ["64", "4M"])

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "this Python has no matplotlib")
    def test_a_legend_covers_no_line(self):
        import draw_matplotlib
        with unittest.mock.patch.object(draw_matplotlib.plt, "close") as close:
            draw_matplotlib.draw(self.crowded_chart(), self.folder)
        [figure] = close.call_args.args
        self.addCleanup(draw_matplotlib.plt.close, figure)
        [legend], [axes] = figure.legends, figure.axes
        self.assertLess(legend.get_window_extent().y1, axes.get_tightbbox().y0)
        self.assertGreaterEqual(legend.get_window_extent().y0, 0)
        self.assertLessEqual(axes.title.get_window_extent().x1, figure.bbox.x1)

    def test_without_any_plotter_the_report_says_so(self):
        place = self.results(strong())
        self.write("no/matplotlib/__init__.py", "raise ImportError('hidden')")
        (self.folder / "bare").mkdir()
        status, output, errors = self.tool(
            "report.py", place, environment={"PYTHONPATH": str(self.folder / "no"), "PATH": str(self.folder / "bare")})
        self.assertEqual(status, 0, errors)
        self.assertIn("No plots: neither matplotlib nor gnuplot is here.", output)


if __name__ == "__main__":
    unittest.main()
