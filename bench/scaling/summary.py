# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""From the records of a plan to numbers: each figure with its spread, ratios to the baseline, and what a reader
has to be told before believing them."""

import dataclasses
import statistics

EVEN_WORK = 0.25   # by which a rank's work may differ from the baseline's in weak scaling: models grow by whole layers
QUIET_CORES = 0.3  # that others may use before a run counts as disturbed


@dataclasses.dataclass(frozen=True)
class Spread:
    """A figure over the repetitions."""
    median: float
    low: float
    high: float
    runs: int

    @staticmethod
    def of(values):
        return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None

    def scaled(self, factor):
        low, high = sorted((self.low * factor, self.high * factor))
        return Spread(self.median * factor, low, high, self.runs)

    def under(self, numerator):
        """numerator / figure: the largest figure gives the lowest quotient."""
        return Spread(numerator / self.median, numerator / self.high, numerator / self.low, self.runs)


@dataclasses.dataclass
class Measured:
    """A point: its good runs of the newest build and machine, and what came of the others."""
    number: int
    label: str
    ranks: int
    planned_nodes: int
    runs: list
    failures: list
    baseline: bool = False

    @property
    def nodes(self):
        """On how many the newest run was; those of the plan while there is none."""
        return nodes_of(self.runs[-1]) if self.runs else self.planned_nodes

    @property
    def cores(self):
        """The fewest that a run had."""
        return min(map(cores_of, self.runs))

    def figure(self, name):
        return Spread.of([run["figures"][name] for run in self.runs if run["figures"].get(name) is not None])

    def first(self, *names):
        """A value of the first run, by its path; None where it is not there."""
        value = self.runs[0]["figures"] if self.runs else None
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value


@dataclasses.dataclass
class Series:
    """All points of a plan. `dropped` are the labels of others that were measured under its name."""
    name: str
    kind: str
    scaling: str
    title: str
    repetitions: int
    points: list
    dropped: list = dataclasses.field(default_factory=list)
    remarks: list = dataclasses.field(default_factory=list)

    @property
    def measured(self):
        return [point for point in self.points if point.runs]

    @property
    def base(self):
        """What the others are compared with: the point that the plan says, or that of the fewest ranks."""
        chosen = [point for point in self.measured if point.baseline]
        if any(point.baseline for point in self.points):
            return chosen[0] if chosen else None
        return min(self.measured, key=lambda point: (point.ranks, point.number), default=None)

    def runs(self):
        return [run for point in self.measured for run in point.runs]


def series_of(records, plans=None):
    """Records -> a Series for each plan, by name. `plans` are the newest ones; else the newest record says its own."""
    names = sorted({record["plan"] for record in records})
    return [_series([record for record in records if record["plan"] == name], (plans or {}).get(name))
            for name in names]


def _series(records, plan):
    records = sorted(records, key=lambda record: (record["began"], record["run"]))
    plan = plan or records[-1]
    entries = _with_baseline(sorted(plan["plan_points"], key=lambda entry: entry["point"]), records)
    points = [_point(entry, [record for record in records if record["identity"] == entry["identity"]])
              for entry in entries]
    known = {entry["identity"] for entry in entries}
    dropped = {record["identity"]: record["label"] for record in records
               if record["ok"] and record["identity"] not in known}
    series = Series(plan["plan"], plan["kind"], plan["scaling"], plan["title"], plan["repetitions"], points,
                    list(dict.fromkeys(dropped.values())))
    series.remarks = remarks(series)
    return series


def _with_baseline(entries, records):
    """Points of a plan; those of older records do not say which is the baseline: the newest run of one does."""
    if all("baseline" in entry for entry in entries):
        return entries
    chosen = [record["identity"] for record in records if record.get("baseline")][-1:]
    return [{**entry, "baseline": entry["identity"] in chosen} for entry in entries]


def _point(entry, records):
    good = [record for record in records if record["ok"]]
    newest = good[-1]["key"] if good else None
    runs = [record for record in good if record["key"] == newest]
    failures = [record for record in records if not record["ok"] and not record.get("left")
                and (not good or record["began"] > good[-1]["began"])]
    return Measured(entry["point"], entry["label"], entry["ranks"], entry["nodes"], runs, failures,
                    entry["baseline"])


def speedup(series, point):
    """How many times the baseline's work per second, as a Spread; None where either is not measured."""
    base = series.base
    if base is None or not point.runs:
        return None
    if series.scaling == "weak":
        rates, of_base = work_rate(point), work_rate(base)
        return rates.scaled(1 / of_base.median) if rates and of_base else None
    times, of_base = point.figure("step_s"), base.figure("step_s")
    return times.under(of_base.median) if times and of_base else None


def work_rate(point):
    """FLOP/s of the model, which may grow from point to point; tokens a second where that is all there is."""
    return point.figure("flops_per_s") or point.figure("tokens_per_s")


def efficiency(series, point):
    """Speed-up as a share of linear."""
    gained = speedup(series, point)
    return gained.scaled(series.base.ranks / point.ranks) if gained else None


def ideal_bubble(point):
    """Share of a step that a one-forward-one-backward or GPipe pipeline stands still at best."""
    stages, microbatches = point.first("begin", "pp"), point.first("begin", "microbatches_per_replica")
    return (stages - 1) / (microbatches + stages - 1) if stages and microbatches else None


def work_of_step(point):
    """FLOP of the model in a step; tokens where that is all there is; None where not even those."""
    times, rates = point.figure("step_s"), point.figure("flops_per_s")
    return rates.median * times.median if rates and times else point.first("tokens_per_step")


def asked_bytes(row):
    """Size of a collective by which rows of different ranks meet; programs that only told the other had just that."""
    return row.get("asked_bytes", row["bytes"])


def axes(point):
    """What the ranks of a point were used for: "tp x dp"; empty for one rank."""
    options, ranks = point.runs[-1]["options"], point.ranks
    begin = point.first("begin") or {}
    degrees = {axis: begin.get(axis, options.get(axis, 1)) for axis in ("tp", "pp")}
    degrees["dp"] = ranks // (degrees["tp"] * degrees["pp"])
    return " x ".join(axis for axis in degrees if degrees[axis] > 1)


def nodes_of(run):
    """On how many nodes a run was, as it says itself; as planned where it was recorded before programs said so."""
    return run["figures"].get("nodes", run["nodes"])


def cores_of(run):
    """Cores that the ranks of a run had between them, if every node is like the one that started it."""
    host, nodes = run["host"], nodes_of(run)
    return host["cores"] * nodes if nodes > 1 else host["usable_cores"]


def remarks(series):
    """What must be said before any number."""
    rules = (_other_nodes, _oversubscribed, _disturbed, _mixed, _not_strong, _not_weak, _left_out, _dropped,
             _incomplete)
    return [text for rule in rules for text in rule(series)]


def _other_nodes(series):
    for point in series.measured:
        if other := sorted({nodes_of(run) for run in point.runs} - {point.planned_nodes}):
            yield (f"OTHER NODES: point {point.number} ({point.label}): nodes of the plan {point.planned_nodes}, of "
                   f"its runs {', '.join(map(str, other))}")


def _oversubscribed(series):
    for point in series.measured:
        wanted = point.ranks * point.runs[-1]["threads"]
        if wanted > point.cores:
            yield (f"OVERSUBSCRIBED: point {point.number} ({point.label}) ran {wanted} ranks x threads on "
                   f"{point.cores} cores: its times say how ranks share cores, not how the program scales")


def _disturbed(series):
    busy = [run["busy_cores"] for run in series.runs() if run.get("busy_cores") is not None]
    loud = [cores for cores in busy if cores > QUIET_CORES]
    if loud:
        yield (f"DISTURBED: other programs used up to {max(loud):.1f} cores when {len(loud)} of {len(busy)} runs "
               "began")


def _mixed(series):
    for what, value in (("builds of the program", lambda run: run["program"]["sha256"]),
                        ("kinds of machine", lambda run: (run["host"]["processor"], run["host"]["cores"])),
                        ("source versions", lambda run: run["git"])):
        different = {value(run) for run in series.runs()}
        if len(different) > 1:
            yield f"MIXED: the points come from {len(different)} {what}; run the plan again to compare like with like"


def _not_strong(series):
    if series.scaling != "strong":
        return
    for what, path in (("tokens a step", ("tokens_per_step",)), ("parameters", ("begin", "parameters"))):
        values = {point.first(*path) for point in series.measured} - {None}
        if len(values) > 1:
            yield (f"NOT STRONG SCALING: the plan says so, but its points have different {what}: "
                   f"{', '.join(map(str, sorted(values)))}")


def _not_weak(series):
    """Weak scaling means that a rank's work stays the same."""
    base = series.base
    if series.scaling != "weak" or base is None or not work_of_step(base):
        return
    share = lambda point: (work_of_step(point) or 0) / point.ranks * base.ranks / work_of_step(base)
    off = [f"{point.label} {share(point):.2f}" for point in series.measured if abs(share(point) - 1) > EVEN_WORK]
    if off:
        yield ("NOT WEAK SCALING: the plan says so, but the work of a step does not grow with the ranks; a rank's, with "
               f"1 for the baseline's: {', '.join(off)}")


def _left_out(series):
    for point in series.measured:
        if kinds := point.first("left_out"):
            yield f"LEFT OUT: point {point.number} ({point.label}): {point.ranks} ranks have no {' nor '.join(kinds)}"


def _dropped(series):
    if series.dropped:
        yield f"DROPPED: measured, but not in the plan as it is now: {', '.join(series.dropped)}"


def _incomplete(series):
    absent = [f"{point.number} ({point.label})" for point in series.points if not point.runs and not point.failures]
    if absent:
        yield f"MISSING: not measured yet: {', '.join(absent)}"
    for point in series.points:
        if point.failures:
            last = point.failures[-1]
            yield f"FAILED: point {point.number} ({point.label}), exit code {last['exit_code']}: {last['error']}"
        elif 0 < len(point.runs) < series.repetitions:
            yield f"FEW RUNS: point {point.number} ({point.label}): {len(point.runs)} of {series.repetitions}"
    if series.measured and series.scaling and series.base is None:
        yield "NO BASELINE: the point that the others are compared with is not measured: no speed-up, no efficiency"
