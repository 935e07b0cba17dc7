# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of a report: rows of text, which text.py and markdown share."""

import anchors as published
import summary

ABSENT = "not measured"


def number(spread, digits, factor=1, unit=""):
    """Median, and lowest to highest where there was more than one run."""
    if spread is None:
        return "-"
    spread = spread.scaled(factor)
    text = f"{spread.median:.{digits}f}{unit}"
    return text if spread.runs == 1 else f"{text} [{spread.low:.{digits}f}..{spread.high:.{digits}f}]"


def share(spread):
    return number(spread, 1, 100, " %")


def training(series):
    """Time per update and what it is made of."""
    columns = ["point", "ranks", "nodes", "runs", "time per update, ms", "tokens/s", "speed-up", "ideal", "efficiency",
               "comm/compute", "exposed comm", "bubble", "bubble at best", "shard balance", "of peak"]
    rows = []
    for point in series.points:
        start = [point.label, str(point.ranks), str(point.nodes), str(len(point.runs))]
        if not point.runs:
            rows.append([*start, "failed" if point.failures else ABSENT] + ["-"] * (len(columns) - 5))
            continue
        bubble = summary.ideal_bubble(point)
        ideal = point.ranks / series.base.ranks if series.base else None
        rows.append([*start, number(point.figure("step_s"), 1, 1e3), number(point.figure("tokens_per_s"), 0),
                     number(summary.speedup(series, point), 2), "-" if ideal is None else f"{ideal:g}",
                     share(summary.efficiency(series, point)), number(point.figure("comm_compute_ratio"), 2),
                     share(point.figure("exposed_share")), share(point.figure("bubble_share")),
                     "-" if bubble is None else f"{100 * bubble:.1f} %", share(point.figure("shard_balance")),
                     share(point.figure("mfu"))])
    return columns, rows


def collectives(series):
    """Median time and bus bandwidth by collective, size and kind of communicator, a column for each point. A size is
    the one asked for: gathers and scatters have the multiple of their ranks next to it."""
    cells = {}
    for point in series.measured:
        for run in point.runs:
            for row in run["figures"]["rows"]:
                place = (row["collective"], row["kind"], summary.asked_bytes(row), row["in_place"])
                cells.setdefault(place, {}).setdefault(point.number, []).append(row)
    columns = ["collective", "kind", "bytes", "in place"]
    for point in series.points:
        columns += [f"{point.label}: us", f"{point.label}: bus GB/s"]
    rows = []
    for place in sorted(cells):
        row = [place[0], place[1], str(place[2]), "yes" if place[3] else "no"]
        for point in series.points:
            values = cells[place].get(point.number, [])
            row += [number(summary.Spread.of([value["time_us"] for value in values]), 1),
                    number(summary.Spread.of([value["busbw_gbps"] for value in values]), 2)]
        rows.append(row)
    return columns, rows


def checkpoint(series):
    columns = ["what"] + [text for point in series.points for text in (f"{point.label}: s", f"{point.label}: GB/s")]
    names = {name: None for run in series.runs() for name in run["figures"]["rows"]}
    rows = []
    for name in names:
        row = [name]
        for point in series.points:
            values = [run["figures"]["rows"][name] for run in point.runs if name in run["figures"]["rows"]]
            row += [number(summary.Spread.of([value["seconds"] for value in values]), 3),
                    number(summary.Spread.of([value["rate_gbps"] for value in values]), 2)]
        rows.append(row)
    return columns, rows


def compared(series, publication):
    """Own efficiencies beside published ones of the same scaling; a count of ranks that was not run is said so."""
    columns = ["published", "GPUs", "efficiency there", "here", "efficiency here", "remark"]
    rows = []
    for anchor in published.of_scaling(publication, series.scaling):
        like = [point for point in series.measured
                if point.ranks == anchor.ranks and summary.axes(point) == anchor.axes]
        for point in like or [None]:
            own = summary.efficiency(series, point) if point else None
            rows.append([f"{anchor.scaling}, {anchor.axes}", str(anchor.ranks), f"{100 * anchor.efficiency:.1f} %",
                         point.label if point else ABSENT, share(own), anchor.note])
    return columns, rows


def of(series):
    makers = {"collectives": collectives, "checkpoint": checkpoint}
    return makers.get(series.kind, training)(series)


def as_text(columns, rows):
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [columns, *rows]]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def as_markdown(columns, rows):
    clean = lambda row: "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    return "\n".join([clean(columns), "|" + "---|" * len(columns), *map(clean, rows)])
