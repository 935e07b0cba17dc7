# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What others published, to hold one's own ratios against. Efficiencies are shares of linear scaling, speed-ups
are against one device; the machines were others, so only ratios compare."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Anchor:
    scaling: str          # strong or weak
    axes: str             # what was split
    ranks: int            # GPUs there
    efficiency: float
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Publication:
    title: str
    hardware: str
    anchors: tuple


def _strong(ranks, speedup):
    return Anchor("strong", "tp", ranks, speedup / ranks, f"speed-up {speedup}")


PUBLICATIONS = {
    "megatron2019": Publication(
        "Shoeybi et al., Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism, "
        "2019 (arXiv 1909.08053)", "NVIDIA DGX-2H, 32 nodes of 16 V100",
        (Anchor("weak", "tp", 8, 0.77, "model grows with the GPUs"),
         Anchor("weak", "tp x dp", 512, 0.74, "model grows to tp 8, then the batch"),
         Anchor("weak", "tp x dp", 512, 0.76, "the headline: of linear from a 39 TFLOP/s base on one GPU"),
         _strong(2, 1.64), _strong(4, 2.34), _strong(8, 2.98))),
    "megatron-v1.0": Publication(
        "NVIDIA ADLR, Megatron-LM's Supercharged V1.0, 2020", "NVIDIA DGX-2H, V100",
        (Anchor("weak", "tp", 2, 0.907, "2.0 billion parameters"),
         Anchor("weak", "tp", 4, 0.865, "4.2 billion parameters"),
         Anchor("weak", "tp", 8, 0.796, "8.7 billion parameters"))),
}


def of_scaling(name, scaling):
    return [anchor for anchor in PUBLICATIONS[name].anchors if anchor.scaling == scaling]
