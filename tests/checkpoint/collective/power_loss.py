#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What a loss of power could undo: follows the calls of a program that saves checkpoints, and keeps a model of what is
surely on the disk. What was written is when its file has been synced since; a name is when its directory has been.

    power_loss.py PROGRAM WRITE_LOG [unittest arguments]

PROGRAM is checkpoint_fault_program, WRITE_LOG the library to preload.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM, WRITE_LOG = sys.argv[1:3]
STEP = re.compile(r"step_\d+")


def parent(path):
    return path.rpartition("/")[0]


def name(path):
    return path.rpartition("/")[2]


class Disk:
    """Of every path that the program made: whether content and name survive a loss of power now."""

    def __init__(self):
        self.content = {}
        self.named = {}

    def make(self, path):
        self.content.setdefault(path, True)
        self.named.setdefault(path, False)

    def write(self, path):
        self.content[path] = False

    def sync(self, path):
        self.content[path] = True
        for other in self.named:
            if parent(other) == path:
                self.named[other] = True

    def rename(self, source, target):
        for table in (self.content, self.named):
            for path in [path for path in table if path == source or path.startswith(source + "/")]:
                table[target + path[len(source):]] = table.pop(path)
        self.named[target] = False

    def lost(self, directory):
        """What a loss of power would take from a directory."""
        inside = [path for path in self.content if path == directory or path.startswith(directory + "/")]
        return ([path for path in inside if not self.content[path]] +
                [path for path in inside if path != directory and not self.named[path]])


class PowerLoss(unittest.TestCase):
    def calls(self, mode, steps):
        with tempfile.TemporaryDirectory(prefix="tessera-power-") as folder:
            log = pathlib.Path(folder, "log")
            environment = dict(os.environ, LD_PRELOAD=WRITE_LOG, TESSERA_WRITE_LOG=str(log))
            command = [PROGRAM, "loopback", f"{folder}/saves", str(steps), mode]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
            return [line.split(" ") for line in log.read_text().splitlines() if folder in line]

    def test_what_has_its_name_is_on_the_disk_and_old_steps_go_last(self):
        for mode in ("async", "sync"):
            with self.subTest(mode=mode):
                self.follow(self.calls(mode, steps=5))

    def follow(self, calls):
        disk = Disk()
        committed = []
        removed = []
        for what, *paths in calls:
            target = paths[-1]
            if what == "rename" and STEP.fullmatch(name(target)):
                self.assertEqual(disk.lost(paths[0]), [], "renamed before it is on the disk")
                self.assertIn(f"{paths[0]}/manifest.json", disk.content)
                self.assertTrue(disk.named[parent(target)], "the directory above may vanish")
                committed.append(target)
            if what == "rename" and name(target) == "latest":
                self.assertEqual(disk.lost(paths[0]), [])
                self.assertTrue(disk.named[committed[-1]], "latest names a step that may vanish")
            if what == "rename" and STEP.fullmatch(name(paths[0])):
                self.assertTrue(disk.named[committed[-1]], "an old step goes before the new one is there for good")
                self.assertEqual(disk.lost(committed[-1]), [])
                removed.append(paths[0])
            getattr(disk, what)(*paths)
        self.assertEqual([name(path) for path in committed], [f"step_{step:08}" for step in range(1, 6)])
        self.assertEqual(removed, committed[:3])
        self.assertTrue(disk.named[committed[-1]])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
