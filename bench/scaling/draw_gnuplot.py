# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Puts a chart on paper with gnuplot, where Python has no matplotlib."""

import math
import subprocess


ROW, COLUMNS = 16, 3   # pixels of a row of the legend; most of its columns
KEY_LETTERS = 70       # in a row of it
WIDTH, HEIGHT = 700, 400


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"


def _in_lines(lines):
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return f'"{text}"'


def _block(index, line):
    rows = [f"{x} {y} {y if low is None else low} {y if high is None else high}" for x, y, low, high in line.points]
    return f"$line{index} << EOD\n" + "\n".join(rows) + "\nEOD\n"


def _use(index, line, mark, joined):
    title = f"title {_quoted(line.name)}"
    if line.ideal:
        return f"$line{index} using 1:2 with lines dashtype 2 linecolor 'black' {title}"
    if line.marks_only:
        return f"$line{index} using 1:2 with points pointtype {mark} pointsize 1.5 linecolor 'gray40' {title}"
    look = "yerrorlines" if joined else "yerrorbars"
    return f"$line{index} with {look} pointtype 7 linewidth 1.5 {title}"


def script(chart, terminal, file):
    lines = [line for line in chart.lines if line.points]
    scales = "set logscale x 2\n" if chart.log_x else ""
    scales += (f"set logscale y {chart.log_y}\n" if chart.log_y else "set yrange [0:]\n")
    ticks = ", ".join(f"{_quoted(name)} {x}" for x, name in chart.ticks().items())
    scales += f"set xtics {'rotate by -30 ' if chart.slanted() else ''}({ticks}) noenhanced\n" if ticks else ""
    low, high = chart.x_range()
    marks = [3 + sum(other.marks_only for other in lines[:i]) for i in range(len(lines))]
    columns = max(1, min(COLUMNS, KEY_LETTERS // max(len(line.name) for line in lines)))
    height = HEIGHT + ROW * math.ceil(len(lines) / columns)
    key = f"outside below horizontal Left reverse samplen 2 maxcols {columns} font ',9' noenhanced"
    return "".join(_block(i, line) for i, line in enumerate(lines)) + (
        f"set terminal {terminal} size {WIDTH},{height}\nset output {_quoted(str(file))}\n"
        f"set title {_in_lines(chart.heading())} noenhanced font ',10'\n"
        f"set xlabel {_quoted(chart.x)}\nset ylabel {_quoted(chart.y)}\n"
        f"set key {key if len(lines) > 1 else 'off'}\nset grid\n{scales}set xrange [{low}:{high}]\n"
        f"plot {', '.join(_use(i, line, marks[i], not chart.labels) for i, line in enumerate(lines))}\n")


def draw(chart, out):
    """Writes OUT/<stem>.png and .svg, as far as this gnuplot has these terminals."""
    files = []
    for terminal, suffix in (("pngcairo", ".png"), ("svg", ".svg")):
        file = out / f"{chart.stem}{suffix}"
        told = subprocess.run(["gnuplot"], input=script(chart, terminal, file), capture_output=True, text=True)
        if told.returncode == 0 and file.exists():
            files.append(file)
    return files
