# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""The plots of a report. What is drawn is decided here, once; draw_matplotlib.py or draw_gnuplot.py puts it on paper."""

import dataclasses
import itertools
import shutil
import textwrap

import anchors as published
import summary


@dataclasses.dataclass
class Line:
    """Points (x, y, lowest, highest) under one name; an ideal has neither marks nor spread."""
    name: str
    points: list
    ideal: bool = False
    marks_only: bool = False


MOST_TICKS = 12
MOST_LETTERS = 45    # of all names of ticks, side by side
LINE_LETTERS = 72    # of a heading


@dataclasses.dataclass
class Chart:
    stem: str
    title: str           # in lines
    x: str
    y: str
    lines: list
    log_x: bool = True
    log_y: int = 0       # base; 0: not logarithmic
    labels: dict = dataclasses.field(default_factory=dict)   # by x, where x only numbers things: they are not joined
    note: str = ""       # what a reader of the picture alone has to know

    def ticks(self):
        """Values of x with their names, unless there are too many to be written side by side."""
        values = sorted({point[0] for line in self.lines for point in line.points})
        name = _bytes if self.x == "bytes" else "{:g}".format
        return {x: self.labels.get(x, name(x)) for x in values} if len(values) <= MOST_TICKS else {}

    def slanted(self):
        """Whether the names of the ticks would run into each other."""
        return sum(map(len, self.ticks().values())) > MOST_LETTERS

    def heading(self):
        """Lines that are short enough for the picture."""
        told = f"{self.note}: see the report" if self.note else ""
        return [part for line in (*self.title.splitlines(), told) for part in textwrap.wrap(line, LINE_LETTERS)]

    def x_range(self):
        """With some room beside the first and the last mark."""
        values = [point[0] for line in self.lines for point in line.points]
        low, high = min(values), max(values)
        return (low / 1.15, high * 1.15) if self.log_x else (low - 0.5, high + 0.5)


def _bytes(count):
    for unit in ("", "K", "M", "G"):
        if count % 1024 or unit == "G":
            return f"{count}{unit}"
        count //= 1024


def _by_label(series, value):
    """Points of one family in one line: the axes that they split, with the counts taken out."""
    family = lambda point: summary.axes(point) or "1 rank"
    lines, base = [], series.base
    ordered = sorted((point for point in series.measured if value(point)), key=family)
    for name, members in itertools.groupby(ordered, family):
        members = sorted({point.number: point for point in [base, *members] if point}.values(),
                         key=lambda point: point.ranks)
        lines.append(Line(name or "measured", [(point.ranks, value(point).median, value(point).low,
                                                value(point).high) for point in members]))
    return [line for line in lines if len(line.points) > 1] or lines


def _scaling_charts(series, names):
    if series.base is None:
        return []
    ranks = sorted({point.ranks for point in series.measured})
    base = series.base.ranks
    what = f"{series.scaling} scaling"
    speed = _by_label(series, lambda point: summary.speedup(series, point))
    speed.append(Line("ideal", [(count, count / base, None, None) for count in ranks], ideal=True))
    share = _by_label(series, lambda point: summary.efficiency(series, point))
    share.append(Line("ideal", [(count, 1.0, None, None) for count in ranks], ideal=True))
    share += [line for name in names for line in _published(name, series.scaling)]
    time = _by_label(series, lambda point: point.figure("step_s") and point.figure("step_s").scaled(1e3))
    of_base = 1e3 * series.base.figure("step_s").median
    best = lambda count: of_base * base / count if series.scaling == "strong" else of_base
    time.append(Line("ideal", [(count, best(count), None, None) for count in ranks], ideal=True))
    title = f"{series.title}\n{what}"
    return [Chart(f"{series.name}-speedup", title, "ranks", "speed-up", speed, log_y=2),
            Chart(f"{series.name}-efficiency", title, "ranks", "share of linear", share),
            Chart(f"{series.name}-time", title, "ranks", "time per update, ms", time, log_y=2)]


def _published(name, scaling):
    """A line of marks for each set of axes that others split."""
    points = {}
    for anchor in published.of_scaling(name, scaling):
        points.setdefault(anchor.axes, []).append((anchor.ranks, anchor.efficiency, None, None))
    return [Line(f"{name}, {axes} (published)", places, marks_only=True) for axes, places in points.items()]


def _point_charts(series):
    """What is no matter of scaling, over the points in the plan's order."""
    labels = {point.number: point.label for point in series.measured}

    def chart(stem, what, y, **figures):
        lines = [Line(name.replace("_", " "),
                      [(point.number, spread.median, spread.low, spread.high) for point in series.measured
                       if (spread := point.figure(figure))]) for name, figure in figures.items()]
        return Chart(f"{series.name}-{stem}", f"{series.title}\n{what}", "point of the plan", y, lines, log_x=False,
                     labels=labels)

    return [chart("parts", "parts of a step", "share of a step", exposed_communication="exposed_share",
                  pipeline_bubble="bubble_share"),
            chart("ratio", "communication against compute", "comm / compute", comm_per_compute="comm_compute_ratio"),
            chart("balance", "parameters kept by a rank", "mean / largest", shard_balance="shard_balance")]


def _collective_charts(series):
    values = {}
    for point in series.measured:
        for run in point.runs:
            for row in run["figures"]["rows"]:
                line = values.setdefault(row["collective"], {}).setdefault(
                    f"{row['kind']}, {point.label}" + (", in place" if row["in_place"] else ""), {})
                line.setdefault(summary.asked_bytes(row), []).append(row["busbw_gbps"])
    charts = []
    for collective, lines in sorted(values.items()):
        drawn = [Line(name, [(size, spread.median, spread.low, spread.high) for size in sorted(sizes)
                             if (spread := summary.Spread.of(sizes[size]))])
                 for name, sizes in sorted(lines.items())]
        charts.append(Chart(f"{series.name}-{collective}", f"{series.title}\n{collective}", "bytes", "bus GB/s", drawn,
                            log_y=10))
    return charts


def _checkpoint_chart(series):
    names = {name: None for run in series.runs() for name in run["figures"]["rows"]}
    lines = []
    for name in names:
        points = []
        for point in sorted(series.measured, key=lambda point: point.ranks):
            spread = summary.Spread.of([run["figures"]["rows"][name]["rate_gbps"] for run in point.runs
                                        if name in run["figures"]["rows"]])
            if spread:
                points.append((point.ranks, spread.median, spread.low, spread.high))
        lines.append(Line(name, points))
    return Chart(f"{series.name}-rate", series.title, "ranks", "GB/s", lines, log_y=10)


def charts(series, names):
    if not series.measured:
        return []
    if series.kind == "collectives":
        drawn = _collective_charts(series)
    elif series.kind == "checkpoint":
        drawn = [_checkpoint_chart(series)]
    else:
        drawn = [*_scaling_charts(series, names), *_point_charts(series)]
    drawn = [chart for chart in drawn if any(line.points for line in chart.lines)]
    loud = [text.split(":")[0] for text in series.remarks]
    for chart in drawn:
        chart.note = ", ".join(dict.fromkeys(loud))
    return drawn


def draw(series, names, out, tool):
    """Draws all charts of a series. Gives the files made, and a line for the reader where there are none."""
    if tool == "none":
        return [], ""
    if tool in ("auto", "matplotlib"):
        try:
            import draw_matplotlib
            return [file for chart in charts(series, names) for file in draw_matplotlib.draw(chart, out)], ""
        except ImportError:
            if tool == "matplotlib":
                return [], "No plots: this Python has no matplotlib."
    if shutil.which("gnuplot") is None:
        return [], "No plots: neither matplotlib nor gnuplot is here."
    import draw_gnuplot
    return [file for chart in charts(series, names) for file in draw_gnuplot.draw(chart, out)], ""
