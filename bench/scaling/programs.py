# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""The program that a plan measures: where it is, what tells one build from another, how a point calls it."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import exit_codes
import plan as plans

# Where a build tree has them; an installation has them in bin/.
PLACES = {"gpt_train": "apps/gpt_train", "bench_comm": "bench/comm", "bench_checkpoint": "bench/checkpoint"}


@dataclasses.dataclass
class Program:
    name: str
    path: pathlib.Path
    sha256: str
    version: str


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(path):
    """First line of --version; empty where the program has none or does not start here."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30,
                              env=_without_launcher(os.environ))
        return told.stdout.strip().splitlines()[0] if told.returncode == 0 and told.stdout.strip() else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _without_launcher(environment):
    """So that a program asked for its version inside a batch job does not look for its fellows."""
    return {key: value for key, value in environment.items()
            if not key.startswith(("OMPI_COMM", "PMI", "PMIX", "SLURM_", "HYDI"))}


def find(name, folder):
    """The program in an installation or build tree, or on PATH where no folder is given."""
    candidates = [folder / name, folder / "bin" / name, folder / PLACES[name] / name] if folder else []
    if not folder:
        default = plans.ROOT / "build" / "release" / PLACES[name] / name
        found = shutil.which(name)
        candidates = [default] + ([pathlib.Path(found)] if found else [])
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return Program(name, path.resolve(), _digest(path), _version(path))
    hint = "configure with -DTESSERA_BUILD_BENCHMARKS=ON" if name != "gpt_train" else "build it first"
    raise plans.PlanError([f"{name} is not in {folder or 'build/release, nor on PATH'}: {hint}, or name its "
                           "place with --programs DIR"], exit_codes.NO_INPUT)


def arguments(program, point, work):
    """What a point gives its program. Files of the run go into `work`, measured ones into `work`/scratch."""
    words = plans.flags(point.options) + point.arguments
    words = [word.replace("{work}", str(work)).replace("{scratch}", str(work / "scratch")) for word in words]
    if program.name == "gpt_train":
        words += ["--metrics", str(work / "metrics.jsonl")]
    if program.name == "bench_comm":
        words += ["--format", "json", "--output", str(work / "rows.json")]
    return words


def identity(plan, point):
    """What defines a point whatever its number and label are, as a hash."""
    config = point.options.get("config")
    defines = {
        "program": plan.program, "arguments": plans.flags(point.options) + point.arguments,
        "config": _digest(plans.config_path(config)) if config else "", "ranks": point.ranks,
        "nodes": point.nodes, "threads": plan.threads, "environment": plan.environment,
        "warmup_steps": plan.warmup_steps}
    if config:  # its contents count, not where it lies
        defines["arguments"] = [word for word in defines["arguments"] if word != str(plans.config_path(config))]
    return _hash(defines)


def key(program, plan, point, machine):
    """The same with what measures it, as a hash: runs of one key are repetitions of one measurement."""
    return _hash({"point": identity(plan, point), "program": program.sha256, "machine": machine})


def _hash(values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
