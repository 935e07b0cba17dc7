#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Measures what a plan lists, several times each, and keeps the results as JSON lines.

    bench/scaling/run.py bench/scaling/plans/strong-small.toml            # here, under mpirun
    bench/scaling/run.py PLAN --point 3 --launcher srun                   # one point, inside a Slurm job
    bench/scaling/run.py PLAN --list                                      # what there is, and what is done

Points that were measured already are not run again. A point that fails is recorded and the others go on.
Exit codes: 0 all points are measured, 1 some failed, 75 a run had to leave: start the same command again, 64 usage,
66 plan or program missing, 73 results cannot be written, 78 the plan is wrong.
"""

import argparse
import datetime
import pathlib
import shlex
import shutil
import signal
import sys

import exit_codes
import facts
import figures
import launch
import plan as plans
import programs
import store


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(exit_codes.USAGE, f"run.py: error: {message}\n")


def parse(words):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=pathlib.Path)
    parser.add_argument("--launcher", choices=("mpirun", "srun"), default="mpirun")
    parser.add_argument("--launcher-arguments", default="", metavar="WORDS",
                        help="given to the launcher as they are, e.g. '--cpu-bind=cores'")
    parser.add_argument("--point", type=int, metavar="N", help="only this one; the first is 1")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("scaling-results"), metavar="DIR",
                        help="results go into DIR/<name of the plan> [%(default)s]")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR",
                        help="build tree or installation to take the programs from [build/release, then PATH]")
    parser.add_argument("--repetitions", type=int, metavar="N", help="instead of the plan's")
    parser.add_argument("--list", action="store_true", help="print number, nodes, ranks, runs done and wanted, "
                                                            "label of each point, and end")
    options = parser.parse_args(words)
    if options.repetitions is not None and options.repetitions < 1:
        parser.error("--repetitions: at least 1")
    return options


class Driver:
    """The runs of one plan on one kind of machine."""

    def __init__(self, plan, program, launcher, folder):
        self.plan, self.program, self.launcher, self.folder = plan, program, launcher, folder
        self.machine = facts.machine()
        self.git = facts.git_version()
        self.host = facts.host(launcher.program)
        self.left = False
        # Of all points: one that had another number when it was measured is measured all the same.
        self.records = store.read(folder) if folder.exists() else []
        self.described = {
            "plan": plan.name, "kind": plan.kind, "scaling": plan.scaling, "title": plan.title,
            "repetitions": plan.repetitions,
            "plan_points": [{"point": point.number, "label": point.label, "baseline": point.baseline,
                             "identity": programs.identity(plan, point), "ranks": point.ranks, "nodes": point.nodes}
                            for point in plan.points]}

    def keep_plan(self):
        """For the report: what the runs are of, even if none is made now."""
        store.keep_plan(self.folder, {**self.described, "began": _now()})

    @property
    def interrupted(self):
        return launch.leaving.asked or self.left

    def key(self, point):
        return programs.key(self.program, self.plan, point, self.machine)

    def missing(self, point):
        """Repetitions that are not there yet."""
        return max(0, self.plan.repetitions - store.done(self.records, self.key(point)))

    def measure(self, point):
        """Makes one run and records it. True if it gave its figures."""
        path = store.file_of(self.folder, point)
        number = len(store.read_file(path)) + 1 if path.exists() else 1
        work = self.folder / "runs" / f"point-{point.number:03}-run-{number:03}"
        shutil.rmtree(work, ignore_errors=True)
        (work / "scratch").mkdir(parents=True)
        words = [str(self.program.path), *programs.arguments(self.program, point, work)]
        command = self.launcher.command(point, words)
        record = {
            **self.described, "point": point.number, "label": point.label, "baseline": point.baseline,
            "identity": programs.identity(self.plan, point), "key": self.key(point), "run": number,
            "ranks": point.ranks, "nodes": point.nodes, "threads": self.plan.threads, "options": point.options,
            "command": shlex.join(command), "git": self.git,
            "program": {"name": self.program.name, "sha256": self.program.sha256, "version": self.program.version},
            "host": self.host, "slurm": facts.slurm(), "busy_cores": facts.busy_cores(), "began": _now()}
        try:
            outcome = launch.run(command, launch.environment(self.plan, point), work, self.plan.timeout_s)
        finally:
            shutil.rmtree(work / "scratch", ignore_errors=True)
        record.update(self.result(outcome, work))
        store.append(path, record)
        self.records.append(record)
        return record

    def result(self, outcome, work):
        result = {"exit_code": outcome.exit_code, "timed_out": outcome.timed_out, "wall_s": round(outcome.wall_s, 3),
                  "ok": False, "left": outcome.left}
        if outcome.left:
            self.left = True
            return {**result, "error": "had to leave"}
        if outcome.timed_out:
            return {**result, "error": f"took longer than {self.plan.timeout_s:g} s"}
        if outcome.exit_code != 0:
            return {**result, "error": _last_words(work / "stderr")}
        try:
            return {**result, "ok": True, "figures": figures.of_run(self.program.name, work, self.plan)}
        except figures.NoFigures as error:
            return {**result, "error": str(error)}


def _now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _last_words(path):
    """The first line that tells of an error, or else the first of words: launchers frame theirs with rules."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if any(map(str.isalnum, line))]
    told = [line for line in lines if "error" in line.lower()]
    return (told or lines or ["no message"])[0][:500]


def show(plan, points, driver):
    for point in points:
        done = plan.repetitions - driver.missing(point) if driver else "?"
        print(f"{point.number}\t{point.nodes}\t{point.ranks}\t{done}/{plan.repetitions}\t{point.label}")


def measure_all(driver, points):
    """Round by round, so that what changes on the machine in the meantime meets all points alike."""
    failed = set()
    todo = {point.number: driver.missing(point) for point in points}
    for point in points:
        if todo[point.number] == 0:
            print(f"point {point.number} ({point.label}): measured already")
    while any(todo.values()) and not driver.interrupted:
        for point in points:
            if todo[point.number] == 0 or driver.interrupted:
                continue
            todo[point.number] -= 1
            record = driver.measure(point)
            if not record["ok"] and not record["left"]:
                failed.add(point.number)
                todo[point.number] = 0  # it would fail again
            print(_line(point, record, driver), flush=True)
    return failed


def _line(point, record, driver):
    text = f"point {point.number} ({point.label}): run {record['run']}, {record['wall_s']:.1f} s"
    if record["left"]:
        return f"{text}: left before its end, to be run again"
    if not record["ok"]:
        return f"{text}: FAILED, exit code {record['exit_code']}: {record['error']}"
    if "step_s" in record["figures"]:
        return f"{text}: {1e3 * record['figures']['step_s']:.1f} ms a step"
    return text


def choose(plan, number):
    if number is None:
        return plan.points
    if not 1 <= number <= len(plan.points):
        raise plans.PlanError([f"--point {number}: {plan.path} has points 1 to {len(plan.points)}"],
                              exit_codes.USAGE)
    return [plan.points[number - 1]]


def run(options):
    plan = plans.load(options.plan)
    plan.repetitions = options.repetitions or plan.repetitions
    points = choose(plan, options.point)
    launcher = launch.make(options.launcher, shlex.split(options.launcher_arguments))
    folder = options.out / plan.name
    try:
        program = programs.find(plan.program, options.programs)
    except plans.PlanError:
        if not options.list:
            raise
        program = None
    if options.list:
        listed = program and launcher and Driver(plan, program, launcher, folder)
        show(plan, points, listed)
        return exit_codes.OK
    if launcher is None:
        raise plans.PlanError([f"there is no {options.launcher} on PATH (MPIEXEC names another mpirun)"],
                              exit_codes.NO_INPUT)
    folder.mkdir(parents=True, exist_ok=True)
    driver = Driver(plan, program, launcher, folder)
    driver.keep_plan()
    failed = measure_all(driver, points)
    measured = sum(driver.missing(point) == 0 for point in points)
    print(f"{plan.name}: {measured} of {len(points)} points measured; results in {folder}")
    if driver.interrupted and measured < len(points):
        return exit_codes.REQUEUE
    return exit_codes.POINT_FAILED if failed else exit_codes.OK


def main(words):
    options = parse(words)
    launch.leaving.obey()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run(options)
    except plans.PlanError as error:
        print("".join(f"run.py: error: {problem}\n" for problem in error.problems), end="", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"run.py: error: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return exit_codes.NO_INPUT if isinstance(error, FileNotFoundError) else exit_codes.CANNOT_CREATE
    except KeyboardInterrupt:
        print("run.py: interrupted: the run under way is not recorded; start the same command again to go on",
              file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
