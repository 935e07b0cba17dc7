#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Turns the results of run.py into tables (text, markdown) and plots (png, svg).

    bench/scaling/report.py scaling-results                    # every plan that was measured
    bench/scaling/report.py scaling-results/strong-small --anchors megatron2019 --out report

Prints the tables and writes report.txt, report.md and the plots into --out. Plots are made by matplotlib, or by
gnuplot where Python has none. Exit codes: 0 done, 64 usage, 66 no results, 73 cannot write.
"""

import argparse
import pathlib
import sys

import anchors as published
import exit_codes
import plots
import store
import summary
import tables

SCALING_TEXT = {
    "strong": "Strong scaling: the same model and the same global batch on more ranks. Ideal: time per update falls "
              "as ranks grow.",
    "weak": "Weak scaling: work grows with the ranks. Ideal: each rank keeps the baseline's model FLOP/s.",
    "": "No scaling: each point stands for itself."}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(exit_codes.USAGE, f"report.py: error: {message}\n")


def parse(words):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, help="a folder of results, or one file")
    parser.add_argument("--anchors", choices=sorted(published.PUBLICATIONS), action="append", default=[],
                        help="compare with what others published; may be given again")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="[RESULTS/report]")
    parser.add_argument("--plots", choices=("auto", "matplotlib", "gnuplot", "none"), default="auto")
    return parser.parse_args(words)


def hardware(series):
    """Lines about where it ran."""
    lines = []
    for run in series.runs():
        host = run["host"]
        text = (f"{host['processor']}, {host['cores']} cores a node ({host['usable_cores']} usable), "
                f"{host['memory_bytes'] / 2**30:.0f} GiB, {host['launcher'] or 'launcher unknown'}")
        text += f", GPUs: {', '.join(host['gpus'])}" if host["gpus"] else ", no GPU"
        if text not in lines:
            lines.append(text)
    return lines


def head(series):
    lines = [f"{series.kind}: {SCALING_TEXT[series.scaling]}"]
    lines += [f"Hardware: {text}" for text in hardware(series)]
    counts = sorted({(point.ranks, point.cores) for point in series.measured})
    lines.append("Ranks on cores: " + ", ".join(f"{ranks} on {cores}" for ranks, cores in counts))
    programs = sorted({(run["program"]["version"] or run["program"]["name"], run["git"] or "no checkout")
                       for run in series.runs()})
    lines += [f"Program: {version}, source {git}" for version, git in programs]
    began = sorted(run["began"] for run in series.runs())
    if began:
        lines.append(f"Measured {began[0]} to {began[-1]}; {series.repetitions} runs a point wanted; "
                     "median [lowest..highest] over them")
    return lines


def section(series, names, pictures, form):
    """One plan as text or markdown."""
    marked = form is tables.as_markdown
    bullet = "- " if marked else ""
    parts = [f"## {series.name}: {series.title}" if marked else f"{series.name}: {series.title}\n{'=' * 78}"]
    parts.append("\n".join(bullet + line for line in head(series)))
    if series.remarks:
        parts.append("\n".join(f"{bullet}**{text}**" if marked else f"!!! {text}" for text in series.remarks))
    parts.append(form(*tables.of(series)))
    if series.scaling:
        for name in names:
            columns, rows = tables.compared(series, name)
            if rows:
                publication = published.PUBLICATIONS[name]
                parts.append(f"Published: {publication.title}; {publication.hardware}. Another machine and another "
                             "year: ratios compare, speeds do not.")
                parts.append(form(columns, rows))
    if marked:
        parts += [f"![{picture.stem}]({picture.name})" for picture in pictures if picture.suffix == ".svg"]
    return "\n\n".join(parts)


def run(options):
    if not options.results.exists():
        print(f"report.py: error: {options.results}: there are no results", file=sys.stderr)
        return exit_codes.NO_INPUT
    all_series = summary.series_of(store.read(options.results), store.read_plans(options.results))
    if not all_series:
        print(f"report.py: error: {options.results}: holds no results of run.py", file=sys.stderr)
        return exit_codes.NO_INPUT
    place = options.results if options.results.is_dir() else options.results.parent
    out = options.out or place / "report"
    out.mkdir(parents=True, exist_ok=True)
    texts, pages = [], []
    for series in all_series:
        pictures, told = plots.draw(series, options.anchors, out, options.plots)
        texts.append(section(series, options.anchors, pictures, tables.as_text))
        pages.append(section(series, options.anchors, pictures, tables.as_markdown))
        if told:
            texts.append(told)
    text = "\n\n\n".join(texts) + "\n"
    (out / "report.txt").write_text(text)
    (out / "report.md").write_text("# Scaling report\n\n" + "\n\n".join(pages) + "\n")
    print(text, end="")
    return exit_codes.OK


def main(words):
    options = parse(words)
    try:
        return run(options)
    except OSError as error:
        print(f"report.py: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return exit_codes.CANNOT_CREATE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
