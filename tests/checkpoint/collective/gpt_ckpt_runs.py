#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Runs gpt_ckpt as a user would.

    gpt_ckpt_runs.py GPT_CKPT PROGRAM [unittest arguments]

PROGRAM makes the checkpoints: checkpoint_fault_program.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

GPT_CKPT, PROGRAM = sys.argv[1:3]


class GptCkpt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tessera-gpt-ckpt-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.parent = pathlib.Path(cls.folder.name)
        cls.saved = cls.parent / "saved"
        subprocess.run([PROGRAM, "loopback", cls.saved, "2", "async"], check=True, stdout=subprocess.DEVNULL)

    def run_tool(self, *arguments, code=0):
        done = subprocess.run([GPT_CKPT, *map(str, arguments)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        if code <= 1:
            self.assertEqual(done.stderr, "")
        return done.stdout if code <= 1 else done.stderr

    def damaged(self, name, file):
        """A copy whose step 2 has one wrong bit."""
        copy = self.parent / name
        shutil.copytree(self.saved, copy)
        path = copy / "step_00000002" / file
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return copy

    def test_list_names_every_step_and_what_is_wrong_with_it(self):
        lines = self.run_tool("list", self.saved).splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["step_00000002", "step_00000001"])
        self.assertTrue(all(line.endswith("  complete") for line in lines))
        copy = self.damaged("listed", "manifest.json")
        os.truncate(copy / "step_00000001" / "model.h5", 9)
        lines = self.run_tool("list", copy).splitlines()
        self.assertRegex(lines[0], "^step_00000002  DAMAGED: .*manifest.json")
        self.assertRegex(lines[1], "DAMAGED: model.h5 has 9 bytes instead of")

    def test_verify_names_the_damaged_file(self):
        self.assertIn("step_00000002: all 2 files are what was written", self.run_tool("verify", self.saved))
        self.run_tool("verify", self.saved / "step_00000001")
        for file in ("rank_00000.h5", "model.h5", "manifest.json"):
            error = self.run_tool("verify", self.damaged(f"verified-{file}", file), code=65)
            self.assertIn(file, error)

    def test_show_has_all_that_the_manifest_says(self):
        text = self.run_tool("show", self.saved)
        for words in ("step 2", "embedding.weight  f32 (37, 24)", "8 tensors, 4346 elements", "'position' = '200'",
                      "rank_00000.h5", "1 ranks: tp 1, pp 1, dp 1, tiles 8"):
            self.assertIn(words, text)

    def test_diff_finds_the_first_place(self):
        self.assertIn("The same, bit for bit.", self.run_tool("diff", self.saved, self.saved / "step_00000002"))
        text = self.run_tool("diff", self.saved / "step_00000001", self.saved, code=1)
        self.assertIn("state 'position': '100' | '200'", text)
        # The sample: elements k, from 2^60, over 4; of each the first byte is changed by 37 times the step.
        self.assertIn(f"counts (1000): first at [0]: {2**58 ^ 37} | {2**58 ^ 74}; 1000 of 1000 elements, by ", text)
        self.assertIn("8 tensors differ.", text)

    def test_resharded_and_exported_checkpoints_are_the_same(self):
        for files in (1, 5):
            out = self.parent / f"resharded-{files}"
            self.run_tool("reshard", self.saved, out, "--files", files)
            self.assertEqual(len(list(out.glob("rank_*.h5"))), files)
            self.run_tool("verify", out)
            self.run_tool("diff", self.saved, out)
        file = self.parent / "plain.h5"
        self.run_tool("export", self.saved, file)
        self.assertGreater(file.stat().st_size, 4346 * 4)
        self.assertEqual([name for name in os.listdir(self.parent) if ".tmp" in name], [])

    def test_nothing_is_overwritten_and_nothing_is_made_of_damaged_input(self):
        out = self.parent / "mine"
        out.mkdir()
        self.assertIn("nothing is overwritten", self.run_tool("reshard", self.saved, out, "--files", 2, code=73))
        self.assertIn("nothing is overwritten", self.run_tool("export", self.saved, out, code=73))
        copy = self.damaged("converted", "rank_00000.h5")
        self.run_tool("reshard", copy, self.parent / "out", "--files", 2, code=65)
        self.run_tool("export", copy, self.parent / "out.h5", code=65)
        self.run_tool("diff", self.saved, copy, code=65)
        self.assertFalse((self.parent / "out").exists() or (self.parent / "out.h5").exists())

    def test_wrong_usage_and_missing_input_have_their_codes(self):
        self.run_tool(code=64)
        self.run_tool("frobnicate", self.saved, code=64)
        self.run_tool("diff", self.saved, code=64)
        self.run_tool("reshard", self.saved, self.parent / "x", "--files", 0, code=64)
        self.run_tool("verify", self.parent / "none", code=66)
        self.assertIn("Exit codes", self.run_tool("--help"))
        empty = self.parent / "empty"
        empty.mkdir()
        for command in ("list", "verify", "show"):
            self.assertIn("no checkpoint in", self.run_tool(command, empty, code=66))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
