#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Reads the checkpoint of a run that trained with h5py and h5dump, without Tessera.

    trained.py GPT_TRAIN GPT_CKPT MPIEXEC H5DUMP [unittest arguments]

Every tensor, weights and moments, is compared with what `gpt_ckpt export` writes, and where xxhsum is installed the
elements that h5py reads with the hashes in the manifest.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

GPT_TRAIN, GPT_CKPT, MPIEXEC, H5DUMP = sys.argv[1:5]
MODEL = ["--layers", "2", "--hidden-size", "32", "--seq-length", "16", "--global-batch-size", "8", "--steps", "2",
         "--eval-interval", "0"]
KINDS = ("", "optimizer/exp_avg/", "optimizer/exp_avg_sq/")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=120).stdout


class Trained(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tessera-trained-")
        cls.addClassCleanup(folder.cleanup)
        cls.work = pathlib.Path(folder.name)
        run(MPIEXEC, "-n", 4, GPT_TRAIN, *MODEL, "--tp", 2, "--save", cls.work / "ck")
        cls.step = cls.work / "ck/step_00000002"
        cls.manifest = json.loads((cls.step / "manifest.json").read_text())
        run(GPT_CKPT, "export", cls.step, cls.work / "plain.h5")
        run(GPT_CKPT, "export", cls.step, cls.work / "half.h5", "--dtype", "bf16")
        run(GPT_CKPT, "export", cls.step, cls.work / "ieee_half.h5", "--dtype", "f16")
        cls.whole = h5py.File(cls.step / "model.h5", "r")
        cls.addClassCleanup(cls.whole.close)

    def test_h5py_reads_what_is_exported(self):
        self.assertEqual(self.whole.attrs["step"][0], 2)
        weights = [tensor["name"] for tensor in self.manifest["tensors"] if "/" not in tensor["name"]]
        self.assertEqual(sorted(tensor["name"] for tensor in self.manifest["tensors"]),
                         sorted(kind + name for kind in KINDS for name in weights))
        with h5py.File(self.work / "plain.h5", "r") as plain:
            for tensor in self.manifest["tensors"]:
                found = self.whole[tensor["name"]][...]
                self.assertEqual((list(found.shape), found.dtype), (tensor["shape"], numpy.float32))
                self.assertEqual(found.tobytes(), plain[tensor["name"]][...].tobytes(), tensor["name"])
                self.assertTrue(numpy.isfinite(found).all(), tensor["name"])
        for kind in KINDS:
            self.assertTrue(all(self.whole[kind + name][...].any() for name in weights if name.endswith("weight")))
        self.assertGreaterEqual(min(self.whole[KINDS[2] + name][...].min() for name in weights), 0)

    def test_h5py_reads_exported_bf16_as_float32(self):
        with h5py.File(self.work / "half.h5", "r") as half:
            for tensor in self.manifest["tensors"]:
                found = half[tensor["name"]]
                self.assertEqual((found.id.get_type().get_size(), found.dtype), (2, numpy.float32))
                self.assertEqual(found.id.get_type().get_fields(), (15, 7, 8, 0, 7))
                self.assertEqual(found.attrs["dtype"], b"bf16")
                bits = self.whole[tensor["name"]][...].view(numpy.uint32)
                nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
                self.assertEqual(found[...].tobytes(), nearest.tobytes(), tensor["name"])
        self.assertLess((self.work / "half.h5").stat().st_size, 0.7 * (self.work / "plain.h5").stat().st_size)

    def test_h5py_reads_exported_f16_as_float16(self):
        with h5py.File(self.work / "ieee_half.h5", "r") as half:
            for tensor in self.manifest["tensors"]:
                found = half[tensor["name"]]
                self.assertEqual(found.dtype, numpy.dtype("<f2"))
                self.assertEqual(found.attrs["dtype"], b"f16")
                nearest = self.whole[tensor["name"]][...].astype("<f2")
                self.assertEqual(found[...].tobytes(), nearest.tobytes(), tensor["name"])

    def test_diff_counts_tensors_of_another_type_or_that_one_has_alone(self):
        run(GPT_TRAIN, *MODEL, "--layers", 1, "--precision", "float64", "--steps", 1, "--save", self.work / "wide")
        done = subprocess.run([GPT_CKPT, "diff", self.work / "ck", self.work / "wide"], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[-1], f"{len(self.manifest['tensors'])} tensors differ.")
        norm = next(line for line in lines if line.startswith("layers.0.") and line.endswith("(32)"))
        self.assertRegex(norm, r"^layers\.0\.\S+: f32 \(32\) \| f64 \(32\)$")
        self.assertTrue(any(re.fullmatch(r"layers\.1\.\S+: f32 \(32\) \| \(none\)", line) for line in lines), lines)

    def test_h5dump_reads_what_h5py_reads(self):
        out = self.work / "elements"
        for tensor in self.manifest["tensors"]:
            run(H5DUMP, "-d", "/" + tensor["name"], "-b", "LE", "-o", out, self.step / "model.h5")
            self.assertEqual(out.read_bytes(), self.whole[tensor["name"]][...].tobytes(), tensor["name"])

    @unittest.skipUnless(shutil.which("xxhsum"), "xxhsum is not installed")
    def test_elements_have_the_hashes_of_the_manifest(self):
        hashes = {}
        for tensor in self.manifest["tensors"]:
            elements = self.whole[tensor["name"]][...]
            for shard in tensor["shards"]:
                box = tuple(slice(first, first + extent) for first, extent in zip(shard["offset"], shard["extent"]))
                path = self.work / f"box-{len(hashes)}"
                path.write_bytes(numpy.ascontiguousarray(elements[box]).tobytes())
                hashes[str(path)] = shard["xxh3_128"]
        self.assertGreater(len(hashes), len(self.manifest["tensors"]))
        lines = run("xxhsum", "-H2", *hashes).decode().splitlines()
        found = {path: digits for digits, path in (re.split(r"\s+", line, maxsplit=1) for line in lines)}
        self.assertEqual(found, hashes)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[5:])
