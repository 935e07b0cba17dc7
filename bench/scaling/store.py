# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Results: JSON lines, one object a run, a file for each point so that the jobs of an array share none."""

import json
import os
import pathlib
import sys

SCHEMA = 2


def file_of(folder, point):
    return folder / f"point-{point.number:03}.jsonl"


def append(path, record):
    """Adds a record, whole or not at all even if the file ends within a line that a crash cut off."""
    text = json.dumps({"schema": SCHEMA, **record}) + "\n"
    with open(path, "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end > 0:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read_file(path):
    """The records of one file. Lines that are no record, as a crash leaves them, are told of and left out."""
    records = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line:
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            record = None
        if isinstance(record, dict) and record.get("schema") == SCHEMA:
            records.append(record)
        else:
            print(f"warning: {path}:{number} is no record of these tools: left out", file=sys.stderr)
    return records


def read(place):
    """The records below a folder, or of one file."""
    place = pathlib.Path(place)
    files = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
    # A run keeps its own files in runs/, among them the metrics.
    files = [file for file in files if "runs" not in file.relative_to(place).parts] if place.is_dir() else files
    return [record for file in files for record in read_file(file)]


def done(records, key):
    """How often the point of this key was measured."""
    return sum(record["key"] == key and record["ok"] for record in records)
