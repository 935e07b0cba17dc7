# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Where a measurement was made: machine, source version, other load."""

import os
import pathlib
import platform
import re
import subprocess
import time

import plan as plans


def _first_line(command):
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip().splitlines()[0] if told.returncode == 0 and told.stdout.strip() else ""


def git_version():
    """The commit of the source tree, with -dirty; empty outside a checkout."""
    return _first_line(["git", "-C", str(plans.ROOT), "describe", "--always", "--dirty", "--abbrev=12"])


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else platform.machine()


def machine():
    """What makes measurements comparable: the kind of node, not which of them."""
    return {"processor": processor(), "cores": os.cpu_count()}


def host(launcher_program):
    """The host that starts the runs, for the record."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {**machine(), "name": platform.node(), "memory_bytes": memory, "kernel": platform.release(),
            "usable_cores": len(os.sched_getaffinity(0)), "launcher": _first_line([launcher_program, "--version"]),
            "gpus": _gpus()}


def _gpus():
    try:
        told = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return told.stdout.split("\n")[:-1] if told.returncode == 0 else []


def slurm():
    """What the scheduler says of this job; nothing outside one."""
    names = ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "JOB_NODELIST", "JOB_PARTITION", "RESTART_COUNT")
    return {name.lower(): os.environ[f"SLURM_{name}"] for name in names if f"SLURM_{name}" in os.environ}


def busy_cores(seconds=0.25):
    """Cores of this host that work for others just now."""
    def ticks():
        fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]
    try:
        total, idle = ticks()
        time.sleep(seconds)
        later_total, later_idle = ticks()
    except OSError:
        return None
    passed = later_total - total
    return round((1 - (later_idle - idle) / passed) * os.cpu_count(), 2) if passed > 0 else None
