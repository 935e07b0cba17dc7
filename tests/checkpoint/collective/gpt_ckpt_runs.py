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
import time
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

    def run_tool(self, *arguments, code=0, fault="", user=None):
        done = subprocess.run([GPT_CKPT, *map(str, arguments)], capture_output=True, text=True, timeout=60, user=user,
                              env=dict(os.environ, TESSERA_FAULT=fault))
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

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody who may not read")
    def test_a_file_that_may_not_be_read_is_not_called_damaged(self):
        self.parent.chmod(0o755)
        try:
            subprocess.run([GPT_CKPT, "--version"], user="nobody", check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"nobody may not run this gpt_ckpt: {error}")
        copy = self.parent / "forbidden"
        shutil.copytree(self.saved, copy)
        (copy / "step_00000002/rank_00000.h5").chmod(0)
        error = self.run_tool("verify", copy, code=77, user="nobody")
        self.assertRegex(error, r"step_00000002' cannot be read\n  rank_00000.h5: .*Permission denied")
        self.assertNotIn("damaged", error)
        self.assertRegex(self.run_tool("list", copy, user="nobody").splitlines()[0],
                         r"CANNOT BE READ: .*rank_00000.h5.*Permission denied")
        os.truncate(copy / "step_00000002/model.h5", 9)
        self.assertIn("is damaged", self.run_tool("verify", copy, code=65, user="nobody"))

    def test_list_takes_one_step_too(self):
        lines = self.run_tool("list", self.saved / "step_00000001").splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["step_00000001"])
        self.assertEqual(lines, self.run_tool("list", self.saved).splitlines()[1:])

    def test_sizes_count_every_file(self):
        step = self.saved / "step_00000001"
        size = sum(file.stat().st_size for file in step.iterdir()) / 1024
        for command in ("list", "verify", "show"):
            self.assertIn(f"{size:.1f} KiB", self.run_tool(command, step))

    def test_show_has_all_that_the_manifest_says(self):
        text = self.run_tool("show", self.saved)
        for words in ("step 2", "embedding.weight  f32 (37, 24)", "10 tensors, 4842 elements", "'position' = '200'",
                      "rank_00000.h5", "1 rank: tp 1, pp 1, dp 1, tiles 8"):
            self.assertIn(words, text)

    def test_diff_finds_the_first_place(self):
        self.assertIn("The same, bit for bit.", self.run_tool("diff", self.saved, self.saved / "step_00000002"))
        text = self.run_tool("diff", self.saved / "step_00000001", self.saved, code=1)
        self.assertIn("state 'position': '100' | '200'", text)
        # The sample: elements k, from 2^60, over 4; of each the first byte is changed by 37 times the step.
        self.assertIn(f"counts (1000): first at [0]: {2**58 ^ 37} | {2**58 ^ 74}; 1000 of 1000 elements, by ", text)
        self.assertIn("10 tensors differ.", text)

    def test_a_report_that_cannot_be_written_is_an_error(self):
        for command in ("list", "verify", "show", "diff", "export"):
            arguments = {"diff": [self.saved], "export": [self.parent / "told.h5"]}.get(command, [])
            with open("/dev/full", "w") as full:
                done = subprocess.run([GPT_CKPT, command, self.saved, *arguments], stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=60)
            self.assertEqual(done.returncode, 74, command + done.stderr)
            self.assertRegex(done.stderr, "^gpt_ckpt: .*No space left on device\n$")

    @unittest.skipUnless(shutil.which("xxhsum"), "xxhsum is not installed")
    def test_diff_tells_of_a_configuration_that_differs(self):
        other = self.parent / "configured"
        shutil.copytree(self.saved, other)
        path = other / "step_00000002/manifest.json"
        text = path.read_text().replace('"layers": "1"', '"layers": "2"')
        text = text[:text.rindex('"', 0, text.rindex('"')) + 1]
        hashed = subprocess.run(["xxhsum", "-H2", "-"], input=text, capture_output=True, text=True, check=True)
        path.write_text(text + hashed.stdout[:32] + '"\n}\n')
        lines = self.run_tool("diff", self.saved, other).splitlines()
        self.assertEqual(lines[1:], ["config 'layers': '1' | '2'",
                                     "Tensors and state are the same, bit for bit; the configuration is not."])

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

    def test_without_a_standard_output_nothing_is_printed_into_the_file(self):
        files = [self.parent / name for name in ("open.h5", "closed.h5")]
        for streams, file in zip(("", "<&- >&- 2>&-"), files):
            command = ["bash", "-c", f'"$@" {streams}', "bash", GPT_CKPT, "export", self.saved, file]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        self.assertEqual(files[0].stat().st_size, files[1].stat().st_size)
        self.assertTrue(files[1].read_bytes().startswith(b"\x89HDF"))

    def test_a_conversion_that_was_killed_is_begun_again(self):
        points = ("ckpt.write_data#2", "ckpt.sync_file", "files.rename")
        for command, point in [("export", points[0]), ("export", points[1])] + [("reshard", point) for point in points]:
            with self.subTest(command=command, point=point):
                out = self.parent / f"killed-{command}-{point}/step_00000002"
                arguments = [command, self.saved, out] + (["--files", 2] if command == "reshard" else [])
                self.run_tool(*arguments, code=-9, fault=f"{point}:kill")
                self.assertEqual(os.listdir(out.parent), ["step_00000002.gpt_ckpt-partial"])
                self.run_tool(*arguments)
                self.assertEqual(os.listdir(out.parent), ["step_00000002"])
                if command == "reshard":
                    self.run_tool("diff", self.saved, out)

    def test_a_conversion_that_fails_leaves_nothing(self):
        out = self.parent / "failed"
        self.run_tool("export", self.saved, out / "x.h5", code=74, fault="ckpt.write_data#2:io_error")
        self.run_tool("export", self.saved, out / "x.h5", code=71, fault="ckpt.write_data#2:no_memory")
        self.run_tool("reshard", self.saved, out / "x", "--files", 1, code=74, fault="ckpt.before_manifest:io_error")
        self.assertEqual(os.listdir(out), [])

    def test_two_conversions_to_one_place_do_not_mix(self):
        out = self.parent / "both"
        first = subprocess.Popen([GPT_CKPT, "export", self.saved, out], stdout=subprocess.DEVNULL,
                                 env=dict(os.environ, TESSERA_FAULT="ckpt.sync_file:sleep=3000"))
        self.addCleanup(first.kill)
        while not (self.parent / "both.gpt_ckpt-partial/both").exists():
            self.assertIsNone(first.poll())
            time.sleep(0.01)
        self.assertIn("by another gpt_ckpt", self.run_tool("export", self.saved, out, code=73))
        self.assertEqual(first.wait(), 0)
        self.assertTrue(out.is_file())
        self.assertFalse((self.parent / "both.gpt_ckpt-partial").exists())

    def test_a_checkpoint_does_not_get_the_name_of_another_step(self):
        out = self.parent / "named"
        error = self.run_tool("reshard", self.saved, out / "step_00000003", "--files", 1, code=73)
        self.assertIn("this is step 2, so name it 'step_00000002'", error)
        self.run_tool("reshard", self.saved, out / "step_00000002", "--files", 1)
        self.run_tool("verify", out)
        self.assertEqual(os.listdir(out), ["step_00000002"])

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
        self.assertRegex(self.run_tool("frobnicate", self.saved, code=64),
                         "^gpt_ckpt: there is no command 'frobnicate'; there are list, verify, .*export\n$")
        self.assertRegex(self.run_tool("diff", self.saved, code=64), "^gpt_ckpt: .*OTHER")
        self.run_tool("reshard", self.saved, self.parent / "x", "--files", 0, code=64)
        for command in (["reshard", self.saved, "", "--files", 1], ["export", self.saved, ""]):
            self.assertIn("the name is empty", self.run_tool(*command, code=64))
        error = self.run_tool("list", self.saved, code=78, fault="ckpt.before_remane:kill")
        self.assertIn("there is no fault point 'ckpt.before_remane'", error)
        self.run_tool("verify", self.parent / "none", code=66)
        (self.parent / "a_file").mkdir()
        (self.parent / "a_file/step_00000100").touch()
        self.assertIn("step_00000100/manifest.json': Not a directory",
                      self.run_tool("verify", self.parent / "a_file", code=65))
        self.assertIn("Exit codes", self.run_tool("--help"))
        empty = self.parent / "empty"
        empty.mkdir()
        for command in ("list", "verify", "show"):
            self.assertIn("no checkpoint in", self.run_tool(command, empty, code=66))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
