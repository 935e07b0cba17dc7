# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Results: JSON lines, one object a run, a file for each point so that the jobs of an array share none; and beside them
the plan as it was when run.py last began, which says what the runs are of."""

import json
import os
import pathlib
import platform
import sys

SCHEMA = 2
PLAN = "plan.json"

# What a plan, and a run with it, has to say for the tools to use it.
OF_PLAN = {"plan", "kind", "scaling", "title", "repetitions", "plan_points"}
OF_RUN = OF_PLAN | {"point", "label", "identity", "key", "run", "ranks", "nodes", "threads", "options", "git", "program",
                    "host", "began", "exit_code", "ok"}


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


def keep_plan(folder, plan):
    """Puts the plan in place of the one before, whole at any moment: jobs of an array do so at the same time."""
    path = folder / f"{PLAN}.{platform.node()}.{os.getpid()}"
    path.write_text(json.dumps({"schema": SCHEMA, **plan}) + "\n")
    path.replace(folder / PLAN)


def read_plans(place):
    """The plans below a folder or beside a file, by name; of several of one name that which was kept last."""
    place = pathlib.Path(place)
    plans = []
    for path in _files(place if place.is_dir() else place.parent, PLAN):
        plan = _object(path.read_text(errors="replace"), OF_PLAN | {"began"})
        if plan:
            plans.append(plan)
        else:
            print(f"warning: {path} is no plan of these tools: left out", file=sys.stderr)
    return {plan["plan"]: plan for plan in sorted(plans, key=lambda plan: plan["began"])}


def _object(text, names):
    """The object of these tools that a text holds; None where it holds none with all these names."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA and names <= found.keys() else None


def read_file(path):
    """The records of one file. Lines that are no record, as a crash leaves them, are told of and left out."""
    records = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line:
            continue
        record = _object(line, OF_RUN)
        if record and ("figures" if record["ok"] else "error") in record:
            records.append(record)
        else:
            print(f"warning: {path}:{number} is no record of these tools: left out", file=sys.stderr)
    return records


def read(place):
    """The records below a folder, or of one file."""
    place = pathlib.Path(place)
    files = _files(place, "*.jsonl") if place.is_dir() else [place]
    return [record for file in files for record in read_file(file)]


def _files(folder, pattern):
    """Those below a folder, without what runs keep for themselves in runs/, among it the metrics."""
    return [file for file in sorted(folder.rglob(pattern)) if "runs" not in file.relative_to(folder).parts]


def done(records, key):
    """How often the point of this key was measured."""
    return sum(record["key"] == key and record["ok"] for record in records)
