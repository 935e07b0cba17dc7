# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""A plan: what is measured, in points, each run several times. README.md describes the file."""

import dataclasses
import pathlib
import re
import tomllib

import exit_codes

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Kind of a plan -> the program that its points run, unless it says another.
PROGRAMS = {"strong": "gpt_train", "weak": "gpt_train", "tensor": "gpt_train", "pipeline": "gpt_train",
            "collectives": "bench_comm", "checkpoint": "bench_checkpoint"}
KNOWN_PROGRAMS = ("gpt_train", "bench_comm", "bench_checkpoint")
SCALINGS = ("strong", "weak")


class PlanError(Exception):
    """All that is wrong with a plan, and the exit code that goes with it."""

    def __init__(self, problems, code=exit_codes.CONFIG):
        super().__init__("\n".join(problems))
        self.problems, self.code = problems, code


@dataclasses.dataclass
class Point:
    """One thing to measure. `number` counts from 1; `options` are those of the plan and its own."""
    number: int
    label: str
    ranks: int
    nodes: int
    options: dict
    arguments: list
    baseline: bool = False


@dataclasses.dataclass
class Plan:
    path: pathlib.Path
    name: str
    kind: str
    title: str
    program: str
    scaling: str                # strong, weak; empty where nothing scales
    repetitions: int = 3
    warmup_steps: int = 2       # of gpt_train, left out of the figures
    timeout_s: float = 600
    threads: int = 1
    environment: dict = dataclasses.field(default_factory=dict)
    points: list = dataclasses.field(default_factory=list)


def flags(options):
    """Options as a program takes them: {"tp": 2, "sequence-parallel": True} -> --tp 2 --sequence-parallel."""
    words = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is False:
            words.append(f"--no-{name}")
        elif name == "config":
            words += ["--config", str(config_path(value))]
        else:
            words += [f"--{name}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return words


def config_path(name):
    """A run configuration: as named, or in the source tree."""
    path = pathlib.Path(name)
    return path if path.exists() or path.is_absolute() else ROOT / path


class _Table:
    """A table of the file, whose entries are taken out one by one; what is wrong is noted, not raised."""

    def __init__(self, values, where, problems):
        self.values, self.where, self.problems = dict(values), where, problems

    def problem(self, text):
        self.problems.append(f"{self.where}: {text}")

    def take(self, key, kind, default=None, at_least=None):
        if key not in self.values:
            if default is None:
                self.problem(f"'{key}' is missing")
            return default
        value = self.values.pop(key)
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if kind is float:
            right = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not right:
            self.problem(f"'{key}' = {value!r} is no {kind.__name__}")
            return default
        if at_least is not None and value < at_least:
            self.problem(f"'{key}' = {value} is less than {at_least}")
            return default
        return value

    def choice(self, key, allowed, default=None):
        value = self.take(key, str, default)
        if value is not None and value != default and value not in allowed:
            self.problem(f"'{key}' = {value!r}: there is {', '.join(allowed)}")
        return value

    def options(self, key):
        table = self.take(key, dict, {}) or {}
        for name, value in table.items():
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
                self.problem(f"{key}.{name}: a flag without its dashes, like \"seq-length\"")
            if isinstance(value, dict):
                self.problem(f"{key}.{name} is a table")
        return table

    def arguments(self, key):
        return [str(word) for word in self.take(key, list, []) or []]

    def close(self):
        for key in self.values:
            self.problem(f"'{key}' is no key of this table")


def _point(number, values, plan, shared, per_node, problems):
    table = _Table(values, f"point {number}", problems)
    ranks = table.take("ranks", int, at_least=1) or 1
    options = {**shared["options"], **table.options("options")}
    nodes = table.take("nodes", int, -(-ranks // per_node) if per_node else 1, at_least=1)
    point = Point(number, table.take("label", str, "") or _label(plan, ranks, options), ranks, nodes, options,
                  shared["arguments"] + table.arguments("arguments"), table.take("baseline", bool, False))
    degrees = [options.get(axis, 1) for axis in ("tp", "pp")]
    if all(isinstance(degree, int) and degree > 0 for degree in degrees):
        if ranks % (degrees[0] * degrees[1]) != 0:
            table.problem(f"tp {degrees[0]} x pp {degrees[1]} does not divide {ranks} ranks")
    if nodes > ranks:
        table.problem(f"{nodes} nodes for {ranks} ranks")
    table.close()
    return point


def _label(plan, ranks, options):
    axes = [f"{axis} {options[axis]}" for axis in ("tp", "pp", "dp") if axis in options]
    return " x ".join(axes) if axes else f"{ranks} rank{'s' if ranks > 1 else ''}"


def _read(path):
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise PlanError([f"{path}: {error.strerror}"], exit_codes.NO_INPUT) from None
    except UnicodeDecodeError:
        raise PlanError([f"{path}: is no text"], exit_codes.DATA) from None
    except tomllib.TOMLDecodeError as error:
        raise PlanError([f"{path}: {error}"]) from None


def load(path):
    """The plan in a file. PlanError names everything that is wrong with it at once."""
    path = pathlib.Path(path)
    problems = []
    table = _Table(_read(path), str(path), problems)
    name = table.take("name", str)
    if name is not None and not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        table.problem(f"'name' = {name!r} becomes a folder: small letters, digits, dashes")
    kind = table.choice("kind", PROGRAMS)
    scaling = table.choice("scaling", SCALINGS, kind if kind in SCALINGS else "")
    if kind in ("tensor", "pipeline") and not scaling:
        table.problem(f"'scaling' is missing: a {kind} sweep is strong (the same work) or weak (work grows)")
    if kind in SCALINGS and scaling != kind:
        table.problem(f"'scaling' = {scaling!r} contradicts 'kind' = {kind!r}")
    plan = Plan(path, name, kind, table.take("title", str, name or ""),
                table.choice("program", KNOWN_PROGRAMS, PROGRAMS.get(kind, "gpt_train")), scaling,
                table.take("repetitions", int, 3, at_least=1), table.take("warmup_steps", int, 2, at_least=0),
                table.take("timeout_s", float, 600, at_least=1), table.take("threads", int, 1, at_least=1),
                {key: str(value) for key, value in (table.take("environment", dict, {}) or {}).items()})
    per_node = table.take("ranks_per_node", int, 0, at_least=0)
    shared = {"options": table.options("options"), "arguments": table.arguments("arguments")}
    points = table.take("points", list) or []
    table.close()
    for number, values in enumerate(points, 1):
        if isinstance(values, dict):
            plan.points.append(_point(number, values, plan, shared, per_node, problems))
        else:
            problems.append(f"point {number}: is no table")
    if not points:
        table.problem("has no [[points]]")
    labels = [point.label for point in plan.points]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        problems.append(f"{path}: {labels.count(label)} points are called {label!r}: give them labels")
    if sum(point.baseline for point in plan.points) > 1:
        problems.append(f"{path}: more than one point is the baseline")
    if problems:
        raise PlanError([text if text.startswith(str(path)) else f"{path}: {text}" for text in problems])
    return plan
