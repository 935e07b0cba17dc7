# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Puts a chart on paper with matplotlib."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLUMNS, ROW = 3, 0.055   # of the legend; a row's share of the height


def _add(axes, line, mark, joined):
    x, y = [point[0] for point in line.points], [point[1] for point in line.points]
    if line.ideal:
        axes.plot(x, y, "k--", linewidth=1, label=line.name)
    elif line.marks_only:
        axes.plot(x, y, mark, color="gray", markersize=10, label=line.name)
    else:
        below = [max(0, point[1] - point[2]) for point in line.points]
        above = [max(0, point[3] - point[1]) for point in line.points]
        axes.errorbar(x, y, yerr=[below, above], fmt="o-" if joined else "o", capsize=3, label=line.name)


def draw(chart, out):
    """Writes OUT/<stem>.png and .svg."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    marks = iter("*PXD" * len(chart.lines))
    for line in chart.lines:
        _add(axes, line, next(marks) if line.marks_only else "", not chart.labels)
    if chart.log_x:
        axes.set_xscale("log", base=2)
    if chart.log_y:
        axes.set_yscale("log", base=chart.log_y)
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(chart.x_range())
    if ticks := chart.ticks():
        axes.set_xticks(list(ticks), list(ticks.values()), minor=False,
                        **({"rotation": 30, "ha": "right"} if chart.slanted() else {}))
    axes.set_title("\n".join(chart.heading()), fontsize="medium")
    axes.set(ylabel=chart.y)
    axes.grid(True, alpha=0.3)
    axes.set_xlabel(chart.x)
    if len(chart.lines) > 1:  # below: inside it would lie on lines
        room = ROW * math.ceil(len(chart.lines) / COLUMNS) + 0.01
        figure.legend(fontsize="small", loc="lower center", ncol=COLUMNS, frameon=False)
        figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))
    files = [out / f"{chart.stem}{suffix}" for suffix in (".png", ".svg")]
    for file in files:
        figure.savefig(file)
    plt.close(figure)
    return files
