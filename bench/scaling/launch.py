# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Starts one run under mpirun or srun and waits for it."""

import dataclasses
import os
import shutil
import signal
import subprocess
import time

import exit_codes


@dataclasses.dataclass
class Launcher:
    kind: str            # mpirun or srun
    program: str
    extra: list          # words before the program's

    def command(self, point, words):
        if self.kind == "srun":
            return [self.program, f"--nodes={point.nodes}", f"--ntasks={point.ranks}", "--kill-on-bad-exit=1",
                    *self.extra, *words]
        return [self.program, "-n", str(point.ranks), *self.extra, *words]


@dataclasses.dataclass
class Outcome:
    exit_code: int       # of a run that was stopped: minus the signal
    wall_s: float
    timed_out: bool
    left: bool           # before its end, as USR1 asks before the end of a job


class Leaving:
    """Before the end of a job SIGUSR1 asks to leave: the run under way is told, and no other is begun."""

    def __init__(self):
        self.asked, self.process = False, None

    def obey(self):
        signal.signal(signal.SIGUSR1, self._ask)

    def _ask(self, number, _frame):
        self.asked = True
        if self.process is not None:
            self.process.send_signal(number)


leaving = Leaving()


def make(kind, extra):
    """`mpirun` is the MPIEXEC of the environment, or what PATH has; settings of a site go into `extra`."""
    name = os.environ.get("MPIEXEC", "mpirun") if kind == "mpirun" else "srun"
    found = shutil.which(name)
    return Launcher(kind, found, extra) if found else None


def environment(plan, point):
    """Few threads, as ranks are what scales. Where the plan itself gives a node more ranks than cores Open MPI is told
    to give way; nodes that are not there are no reason to share the cores of others."""
    values = {**os.environ, "OMP_NUM_THREADS": str(plan.threads), **plan.environment}
    of_node = -(-point.ranks // point.nodes)
    if of_node * plan.threads > len(os.sched_getaffinity(0)):
        for name, value in (("rmaps_base_oversubscribe", "1"), ("mpi_yield_when_idle", "1"),
                            ("hwloc_base_binding_policy", "none")):
            values.setdefault(f"OMPI_MCA_{name}", value)
    return values


def run(command, values, folder, timeout_s):
    """Runs `command` with its output in `folder`. One that takes too long is ended with all it started."""
    began = time.monotonic()
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=values,
                                   start_new_session=True)
        leaving.process = process
        try:
            code, timed_out = process.wait(timeout_s), False
        except subprocess.TimeoutExpired:
            code, timed_out = _end(process), True
        except BaseException:
            _end(process)
            raise
        finally:
            leaving.process = None
    left = code == exit_codes.REQUEUE or (leaving.asked and code != exit_codes.OK)
    return Outcome(code, time.monotonic() - began, timed_out, left)


def _end(process):
    for number, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    return process.wait(10)
