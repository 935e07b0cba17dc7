# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Makes HDF5 files that are not what a checkpoint has: `strangers.py DIRECTORY` writes DIRECTORY/KIND.h5 with a dataset
`w` of 4 x 4 float32, each wrong in one way, and prints `KIND POSITION` a line, POSITION being the place of the
elements where there is one."""

import pathlib
import sys

import h5py
import numpy

VALUES = numpy.arange(16, dtype="<f4").reshape(4, 4)
HASH = "0" * 32


def describe(dataset):
    dataset.attrs.create("tensor", numpy.bytes_("w"))
    dataset.attrs.create("dtype", numpy.bytes_("f32"))
    dataset.attrs.create("global_shape", numpy.array([4, 4], "<i8"))
    dataset.attrs.create("offset", numpy.array([0, 0], "<i8"))
    dataset.attrs.create("xxh3_128", numpy.bytes_(HASH))


def plain(file):
    return file.create_dataset("w", data=VALUES)


def soft_link(file):
    file["elsewhere"] = h5py.SoftLink("/v")
    file.create_dataset("v", data=VALUES)
    file["w"] = h5py.SoftLink("/v")
    return file["v"]


def external_link(file):
    with h5py.File(pathlib.Path(file.filename).with_name("other.h5"), "w") as other:
        describe(other.create_dataset("w", data=VALUES))
    file["w"] = h5py.ExternalLink("other.h5", "/w")


def external_storage(file):
    pathlib.Path(file.filename).with_name("raw").write_bytes(VALUES.tobytes())
    return file.create_dataset("w", (4, 4), "<f4", external=[("raw", 0, 64)])


def virtual(file):
    layout = h5py.VirtualLayout((4, 4), "<f4")
    layout[:, :] = h5py.VirtualSource("other.h5", "w", (4, 4))
    return file.create_virtual_dataset("w", layout)


def filtered(file):
    return file.create_dataset("w", data=VALUES, chunks=(4, 4), compression="gzip")


def unknown_filter(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4, 4))
    properties.set_filter(32000, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((4, 4))
    return h5py.Dataset(h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, properties))


def compact(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((4, 4))
    return h5py.Dataset(h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, properties))


def variable_length(file):
    return file.create_dataset("w", (4, 4), h5py.vlen_dtype("<f4"))


def references(file):
    return file.create_dataset("w", (4, 4), h5py.ref_dtype)


def big_endian(file):
    return file.create_dataset("w", data=VALUES.astype(">f4"))


def compound(file):
    return file.create_dataset("w", (4, 4), [("a", "<f4")])


def other_shape(file):
    return file.create_dataset("w", data=VALUES.reshape(2, 8))


def group(file):
    return file.create_group("w")


def no_elements(file):
    return file.create_dataset("w", (4, 4), "<f4")


def no_attributes(file):
    file.create_dataset("w", data=VALUES)


def variable_attribute(file):
    dataset = plain(file)
    describe(dataset)
    dataset.attrs["tensor"] = "w"
    return None


def more_links(file):
    file["more"] = h5py.ExternalLink("other.h5", "/w")
    return plain(file)


def more_in_a_group(file):
    file.create_dataset("more/v", data=VALUES)
    return plain(file)


def more_in_the_root(file):
    file.attrs["more"] = "of variable length"
    return plain(file)


def more_attributes(file):
    dataset = plain(file)
    dataset.attrs.create("more", dataset.ref, dtype=h5py.ref_dtype)
    return dataset


KINDS = (plain, soft_link, external_link, external_storage, virtual, filtered, unknown_filter, compact, variable_length,
         references, big_endian, compound, other_shape, group, no_elements, no_attributes, variable_attribute,
         more_links, more_in_a_group, more_in_the_root, more_attributes)


def main(directory):
    for kind in KINDS:
        with h5py.File(directory / f"{kind.__name__}.h5", "w", libver=("v110", "v110")) as file:
            item = kind(file)
            if item is not None:
                describe(item)
            file.flush()
            dataset = item if item is not None else file.get("w", getlink=kind is external_link)
            position = dataset.id.get_offset() if isinstance(dataset, h5py.Dataset) else None
            print(kind.__name__, position or 0)


main(pathlib.Path(sys.argv[1]))
