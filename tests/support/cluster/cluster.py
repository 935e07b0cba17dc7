# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Hosts, and a Slurm on them, for tests written in Python. A test ends with 77, skipped, where there can be none."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
CANNOT_BE_HAD = 69


def skip(reason):
    print(f"skipped: {reason}", file=sys.stderr)
    sys.exit(SKIPPED)


# Much longer than anything takes on a machine that does nothing else: it is for what never comes.
PATIENCE_S = 180


def wait_until(what, condition, limit_s=PATIENCE_S, told=lambda: ""):
    """The first true value of `condition()`."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit_s} s in vain until {what}\n{told()}")
        time.sleep(0.1)
    return value


def _name_of(pid):
    try:
        return pathlib.Path("/proc", pid, "comm").read_text().strip()
    except OSError:
        return ""  # gone meanwhile


class Hosts:
    """h1 ... hN. They go when `down` is called or this process ends, however it ends."""

    def __init__(self, count):
        self.names = [f"h{number}" for number in range(1, count + 1)]
        self.state = pathlib.Path(tempfile.gettempdir(), f"tessera-cluster-{os.getpid()}")
        os.environ["TESSERA_CLUSTER"] = str(self.state)
        self._script("hosts.sh", "up", count, os.getpid())

    def _script(self, script, *words):
        done = subprocess.run([HERE / script, *map(str, words)], capture_output=True, text=True, timeout=120)
        if done.returncode == CANNOT_BE_HAD:
            self.down()
            skip(done.stderr.strip())
        if done.returncode != 0:
            raise RuntimeError(f"{script} {words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def on(self, host, *words):
        """The command that runs `words` on a host."""
        return [str(HERE / "hosts.sh"), "run", host, *map(str, words)]

    def run(self, host, *words, timeout=PATIENCE_S, **options):
        return subprocess.run(self.on(host, *words), capture_output=True, text=True, timeout=timeout, **options)

    def mpirun(self, mpiexec, places, *words):
        """The command that starts words on `places`, e.g. {"h1": 2, "h2": 2}, from the first of them."""
        ranks = sum(places.values())
        hosts = ",".join(f"{host}:{slots}" for host, slots in places.items())
        return self.on(next(iter(places)), mpiexec, "--mca", "plm_rsh_agent", f"{HERE / 'hosts.sh'} rsh",
                       "--host", hosts, "-n", ranks, *words)

    def processes(self, host, name):
        """Those of a host that have a name."""
        pids = subprocess.run(["ip", "netns", "pids", f"{self.state.name}-{host}"], capture_output=True, text=True,
                              check=True).stdout.split()
        return [int(pid) for pid in pids if _name_of(pid) == name]

    def received_bytes(self, host):
        return int(self._script("hosts.sh", "received", host))

    def cut(self, host):
        self._script("hosts.sh", "cut", host)

    def heal(self, host):
        self._script("hosts.sh", "heal", host)

    def crash(self, host):
        self._script("hosts.sh", "crash", host)

    def down(self):
        subprocess.run([HERE / "hosts.sh", "down"], timeout=60, check=False)
        shutil.rmtree(self.state, ignore_errors=True)


class Slurm(Hosts):
    """A Slurm whose controller is on h1; `cores` of a node are as many as wanted. A node that does not answer for
    `missed_s` is given up, which a busy machine may be thought to deserve where that is short.
    """

    def __init__(self, count, cores, missed_s):
        super().__init__(count)
        os.environ["SLURM_CONF"] = str(self.state / "slurm.conf")
        self._script("slurm.sh", "up", count, cores, missed_s)

    def client(self, *words, code=0, **options):
        """Runs sbatch, scontrol, ... as a user on h1 would."""
        done = self.run("h1", *words, **options)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def fields(self, job):
        """What `scontrol show job` knows of it."""
        return dict(re.findall(r"(?:^|\s)([A-Z]\w*)=(\S*)", self.client("scontrol", "show", "job", job)))

    def start_at_once(self, job):
        """Takes from a requeued job the two minutes that Slurm makes it wait."""
        time.sleep(2)  # a node refuses a job that it has ended in the same second

        def started():
            self.client("scontrol", "update", f"JobId={job}", "StartTime=now", code=None)
            return self.fields(job)["JobState"] not in ("PENDING", "COMPLETING")
        wait_until(f"job {job} starts", started)

    def daemon(self, host):
        """The process of a node's slurmd."""
        return int((self.state / f"slurmd.{host}.pid").read_text())
