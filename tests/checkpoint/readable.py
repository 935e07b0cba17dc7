# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Reads a checkpoint without Tessera: `readable.py DIRECTORY` compares model.h5, and each shard file, with the whole
tensors that lie as raw elements beside it (DIRECTORY.elements/NUMBER), in the manifest's order."""

import json
import os
import pathlib
import sys

import h5py
import numpy

TYPES = {"u8": "u1", "i32": "<i4", "i64": "<i8", "u64": "<u8", "f32": "<f4", "f64": "<f8", "bf16": "<u2",
         "f16": "<f2"}


def numbers(stored, dtype):
    """What h5py reads: bf16, which numpy does not know, as the float32 that it is the upper half of."""
    return (stored.astype("<u4") << 16).view("<f4") if dtype == "bf16" else stored


def main(directory):
    manifest = json.loads((directory / "manifest.json").read_text())
    os.chdir("/")  # sources are found beside model.h5, wherever the reader is
    compared = 0
    with h5py.File(directory / "model.h5", "r") as whole:
        assert whole.attrs["step"][0] == manifest["step"]
        names = []
        whole.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(names) == sorted(tensor["name"] for tensor in manifest["tensors"]), names
        for number, tensor in enumerate(manifest["tensors"]):
            raw = pathlib.Path(f"{directory}.elements", str(number)).read_bytes()
            stored = numpy.frombuffer(raw, TYPES[tensor["dtype"]]).reshape(tensor["shape"])
            expected = numbers(stored, tensor["dtype"])
            found = whole[tensor["name"]]
            assert found.is_virtual and found.dtype == expected.dtype, tensor["name"]
            assert numpy.array_equal(found[...], expected), tensor["name"]
            for shard in tensor["shards"]:
                compare_shard(directory, manifest, tensor, shard, stored)
                compared += expected.size
    print(f"{len(manifest['tensors'])} tensors are as they should be, {compared} elements compared")


def compare_shard(directory, manifest, tensor, shard, stored):
    """The dataset of one box, through HDF5 and as bytes of the file."""
    path = directory / manifest["files"][shard["file"]]["name"]
    box = tuple(slice(first, first + extent) for first, extent in zip(shard["offset"], shard["extent"]))
    with h5py.File(path, "r") as file:
        dataset = file[shard["dataset"]]
        assert numpy.array_equal(dataset[...], numbers(stored[box], tensor["dtype"])), shard
        assert dataset.chunks is None and dataset.compression is None
        assert dataset.attrs["tensor"].decode() == tensor["name"]
        assert dataset.attrs["dtype"].decode() == tensor["dtype"]
        assert list(dataset.attrs["global_shape"]) == tensor["shape"]
        assert list(dataset.attrs["offset"]) == shard["offset"]
        assert dataset.attrs["xxh3_128"].decode() == shard["xxh3_128"]
        assert dataset.id.get_offset() == shard["position"]
    elements = numpy.ascontiguousarray(stored[box]).tobytes()
    with open(path, "rb") as file:
        file.seek(shard["position"])
        assert file.read(len(elements)) == elements, shard


main(pathlib.Path(sys.argv[1]).resolve())
