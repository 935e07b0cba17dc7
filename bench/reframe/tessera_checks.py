# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Tessera as ReFrame tests (ReFrame 4).

    TESSERA_PROGRAMS=$PWD/build/release reframe -c bench/reframe/tessera_checks.py -r --performance-report

Without a configuration of the site ReFrame runs them here, where nothing starts ranks: mpirun does. Elsewhere the
launcher is the partition's; -S launcher=... is another one. -S num_tasks=..., -S steps=... change the runs. A check
that ran on other than num_tasks ranks has failed.
"""

import os
import pathlib
import shutil

import reframe as rfm
import reframe.utility.sanity as sn

PROGRAMS = pathlib.Path(os.environ.get("TESSERA_PROGRAMS", "build/release")).resolve()


class TesseraCheck(rfm.RunOnlyRegressionTest):
    """What all have in common: where the programs are, one thread a rank."""
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    launcher = variable(str, value="")
    env_vars = {"OMP_NUM_THREADS": "1"}

    @run_before("run")
    def choose_launcher(self):
        launcher = self.launcher
        if not launcher and self.job.launcher.registered_name == "local" and self.num_tasks > 1:
            launcher = "mpirun"
            if shutil.which(launcher) is None:
                raise rfm.core.exceptions.ReframeError(
                    f"{self.num_tasks} ranks want a launcher: this partition has none and mpirun is not on PATH; "
                    "give -S launcher=... or a configuration of the site")
        if launcher:
            self.job.launcher = rfm.core.backends.getlauncher(launcher)()

    def all_ranks_ran(self, told):
        """`told`: how many ranks the program says it had."""
        return sn.assert_eq(told, self.num_tasks, msg="{0} ranks ran in place of {1}: see -S launcher=...")

    def program(self, name, folder):
        places = [PROGRAMS / name, PROGRAMS / "bin" / name, PROGRAMS / folder / name]
        return str(next((place for place in places if place.exists()), name))


@rfm.simple_test
class Training(TesseraCheck):
    """gpt_train on each axis; with tiles every layout must end with the same weights."""
    layout = parameter(["tp", "pp", "dp"])
    steps = variable(int, value=8)
    num_tasks = 2

    @run_after("setup")
    def set_command(self):
        self.executable = self.program("gpt_train", "apps/gpt_train")
        self.executable_opts = [f"--{self.layout}", str(self.num_tasks), "--tiles", "8", "--steps",
                                str(self.steps), "--eval-interval", "0", "--sample-length", "0"]

    @sanity_function
    def ends_with_weights(self):
        ranks = sn.extractsingle(r"^Mesh: (\d+) ranks", self.stdout, 1, int)
        return sn.all([sn.assert_found(r"^Weights: [0-9a-f]{16}$", self.stdout), self.all_ranks_ran(ranks)])

    @performance_function("tokens/s")
    def fom(self):
        return sn.extractsingle(r"Figure of Merit \(FOM\):\s+(\S+) tokens/s", self.stdout, 1, float)

    @performance_function("%")
    def of_peak(self):
        return sn.extractsingle(r"model FLOP/s: (\S+)% of the (?:measured|given) peak", self.stdout, 1, float)


@rfm.simple_test
class Collectives(TesseraCheck):
    """bench_comm, in the layout of nccl-tests."""
    collective = parameter(["all_reduce", "all_gather", "reduce_scatter"])
    num_tasks = 2

    @run_after("setup")
    def set_command(self):
        self.executable = self.program("bench_comm", "bench/comm")
        self.executable_opts = ["--format", "nccl", "--kind", "mpi", "--collective", self.collective,
                                "--min-bytes", "1M", "--max-bytes", "1M", "--iterations", "10"]

    @sanity_function
    def nothing_is_wrong(self):
        ranks = sn.count(sn.findall(r"^#  Rank +\d+ ", self.stdout))
        return sn.all([sn.assert_found(r"^# Out of bounds values : 0 OK", self.stdout), self.all_ranks_ran(ranks)])

    @performance_function("GB/s")
    def busbw(self):
        return sn.extractsingle(r"^# Avg bus bandwidth\s+:\s+(\S+)", self.stdout, 1, float)
