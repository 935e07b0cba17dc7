# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Tessera for Benchpark: an application definition of Ramble. Copy it to repo/tessera/application.py of a Benchpark
tree, beside the Spack recipe of the same name.

Ramble expands {...} in regular expressions as well, and matches them from the beginning of a line on: no counts in
braces here. All criteria of success hold for all workloads; the line that each is known by is a variable of it."""

from ramble.appkit import *


class Tessera(ExecutableApplication):
    """Training of transformer models split over many devices, and the collectives it stands on."""

    name = "tessera"

    tags("benchmark-tp", "deep-learning", "mpi", "c++", "kokkos")

    executable("train", "gpt_train {layout} --steps {steps} --eval-interval 0 --sample-length 0 {options}", use_mpi=True)
    executable("collectives", "bench_comm --format nccl --min-bytes {min_bytes} --max-bytes {max_bytes}", use_mpi=True)

    workload("training", executables=["train"])
    workload("collectives", executables=["collectives"])

    workload_variable("layout", default="--tp 1", description="how the ranks are used: --tp, --pp, --dp",
                      workloads=["training"])
    workload_variable("steps", default="20", description="parameter updates", workloads=["training"])
    workload_variable("options", default="", description="further options, e.g. --config FILE",
                      workloads=["training"])
    workload_variable("min_bytes", default="4K", description="smallest message", workloads=["collectives"])
    workload_variable("max_bytes", default="16M", description="largest message", workloads=["collectives"])

    workload_variable("success_line", default=r"Weights: [0-9a-f]+$", description="what a run that went well prints",
                      workloads=["training"])
    workload_variable("success_line", default=r"# Out of bounds values : 0 OK$",
                      description="what a run that went well prints", workloads=["collectives"])

    figure_of_merit("Figure of Merit (FOM)", fom_regex=r"(# )?Figure of Merit \(FOM\):\s+(?P<fom>[0-9]+\.[0-9]*)",
                    group_name="fom", units="tokens/s or GB/s")
    figure_of_merit("Share of the peak", group_name="peak", units="%",
                    fom_regex=r"model FLOP/s: (?P<peak>[0-9]+\.[0-9]*)% of the (?:measured|given)")
    figure_of_merit("Average bus bandwidth", fom_regex=r"# Avg bus bandwidth\s+:\s+(?P<busbw>[0-9.e+-]+)",
                    group_name="busbw", units="GB/s")

    success_criteria("went well", mode="string", match="{success_line}", file="{log_file}")
