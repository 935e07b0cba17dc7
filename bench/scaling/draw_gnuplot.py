# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Puts a chart on paper with gnuplot, where Python has no matplotlib."""

import subprocess


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"


def _block(index, line):
    rows = [f"{x} {y} {y if low is None else low} {y if high is None else high}" for x, y, low, high in line.points]
    return f"$line{index} << EOD\n" + "\n".join(rows) + "\nEOD\n"


def _use(index, line, joined):
    title = f"title {_quoted(line.name)}"
    if line.ideal:
        return f"$line{index} using 1:2 with lines dashtype 2 linecolor 'black' {title}"
    if line.marks_only:
        return f"$line{index} using 1:2 with points pointtype 3 linecolor 'gray' {title}"
    look = "yerrorlines" if joined else "yerrorbars"
    return f"$line{index} with {look} pointtype 7 linewidth 1.5 {title}"


def _title(chart):
    return f"{chart.title} ({chart.note}: see the report)" if chart.note else chart.title


def script(chart, terminal, file):
    lines = [line for line in chart.lines if line.points]
    scales = ("set logscale x 2\n" if chart.log_x else "") + ("set logscale y\n" if chart.log_y else "set yrange [0:]\n")
    ticks = ", ".join(f"{_quoted(name)} {x}" for x, name in chart.ticks().items())
    scales += f"set xtics ({ticks}) noenhanced\n" if ticks else ""
    low, high = chart.x_range()
    return "".join(_block(i, line) for i, line in enumerate(lines)) + (
        f"set terminal {terminal} size 700,450\nset output {_quoted(str(file))}\n"
        f"set title {_quoted(_title(chart))} noenhanced\nset xlabel {_quoted(chart.x)}\nset ylabel {_quoted(chart.y)}\n"
        f"set key outside below noenhanced\nset grid\n{scales}set xrange [{low}:{high}]\n"
        f"plot {', '.join(_use(i, line, not chart.labels) for i, line in enumerate(lines))}\n")


def draw(chart, out):
    """Writes OUT/<stem>.png and .svg, as far as this gnuplot has these terminals."""
    files = []
    for terminal, suffix in (("pngcairo", ".png"), ("svg", ".svg")):
        file = out / f"{chart.stem}{suffix}"
        told = subprocess.run(["gnuplot"], input=script(chart, terminal, file), capture_output=True, text=True)
        if told.returncode == 0 and file.exists():
            files.append(file)
    return files
