# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What a run that has ended tells: its files turned into the figures that are kept."""

import json
import re
import statistics

FOM = re.compile(r"Figure of Merit \(FOM\):\s+([0-9.eE+-]+)\s+(\S+)")
CHECKPOINT_HEAD = re.compile(r"^\S+ GB on \d+ ranks, (?P<nodes>\d+) nodes, ", re.MULTILINE)
CHECKPOINT_ROW = re.compile(r"^(?P<name>\S.*?)\s+(?P<seconds>[0-9.]+) s\s+(?P<rate>[0-9.]+) GB/s$", re.MULTILINE)


class NoFigures(Exception):
    """The run left less than it has to; says what."""


def of_run(program, folder, plan):
    """The figures of a run that ended well in `folder`."""
    output = (folder / "stdout").read_text(errors="replace")
    figures = {"gpt_train": _of_training, "bench_comm": _of_collectives,
               "bench_checkpoint": _of_checkpoint}[program](folder, output, plan)
    if merit := FOM.search(output):
        figures["fom"], figures["fom_unit"] = float(merit.group(1)), merit.group(2)
    return figures


def json_lines(path):
    """The objects of a file of JSON lines; a last line that was cut off is left out."""
    objects = []
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise NoFigures(f"{path.name}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            objects.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise NoFigures(f"{path.name}:{number}: is no JSON") from None
    return objects


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _of_training(folder, output, plan):
    objects = json_lines(folder / "metrics.jsonl")
    steps = [entry for entry in objects if "step_s" in entry][plan.warmup_steps:]
    if not steps:
        raise NoFigures(f"no step after the first {plan.warmup_steps} in metrics.jsonl")
    middle = lambda name: statistics.median(step[name] for step in steps)
    share = lambda name: statistics.median(step[name] / step["step_s"] for step in steps)
    times = spread([step["step_s"] for step in steps])
    figures = {
        "steps": len(steps), "step_s": times["median"], "step_s_min": times["min"], "step_s_max": times["max"],
        "tokens_per_step": steps[-1]["tokens"], "tokens_per_s": steps[-1]["tokens"] / times["median"],
        "mfu": middle("mfu"), "exposed_share": share("exposed_comm_s"), "bubble_share": share("bubble_s"),
        "comm_compute_ratio": middle("comm_compute_ratio"), "comm_bytes": steps[-1]["comm_bytes"],
        "loss": steps[-1]["loss"], "saves": [entry for entry in objects if entry.get("event") == "save"]}
    begin = next((entry for entry in objects if entry.get("event") == "begin"), None)
    if begin:
        figures["begin"] = begin
        figures["nodes"] = begin["nodes"]
        figures["flops_per_s"] = begin["flops_per_token"] * figures["tokens_per_s"]
        stored = begin["stored_parameters_per_rank"]
        figures["shard_balance"] = stored["mean"] / stored["largest"]
    if weights := re.search(r"^Weights: ([0-9a-f]{16})$", output, re.MULTILINE):
        figures["weights"] = weights.group(1)
    return figures


def _of_collectives(folder, _output, _plan):
    try:
        document = json.loads((folder / "rows.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise NoFigures(f"rows.json: {error}") from None
    wrong = [row for row in document["rows"] if row["wrong"]]
    if wrong:
        raise NoFigures(f"{len(wrong)} rows have wrong results, first {wrong[0]}")
    return {"nodes": document["nodes"], "rows": document["rows"], "left_out": document.get("left_out", [])}


def _of_checkpoint(_folder, output, _plan):
    rows = {match["name"]: {"seconds": float(match["seconds"]), "rate_gbps": float(match["rate"])}
            for match in CHECKPOINT_ROW.finditer(output)}
    head = CHECKPOINT_HEAD.search(output)
    if "save" not in rows or head is None:
        raise NoFigures("the output has no head, or no row 'save'")
    return {"nodes": int(head["nodes"]), "rows": rows}
