#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the launcher of a portable build in an installation whose programs of each level are scripts that say
what reached them. What the processor has is taken away through glibc's own tunables, and by an emulated older one
where the machine has the emulator.

    starting.py LAUNCHER [unittest arguments]
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

LAUNCHER = sys.argv.pop(1)
EMULATOR = shutil.which("qemu-x86_64")
SCRIPT = """#!/bin/sh
echo "level {level}"
echo "product libraries ${{DNNL_MAX_CPU_ISA}} ${{OPENBLAS_CORETYPE}}"
echo "pid $$"
printf 'argument <%s>\\n' "$@"
exit 42
"""


def processor_has(feature):
    return re.search(rf"^flags\s*:.*\b{feature}\b", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)


@unittest.skipUnless(processor_has("avx2") and processor_has("fma"), "this processor is older than x86-64-v3")
class Launcher(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-launcher-")
        self.addCleanup(folder.cleanup)
        self.prefix = pathlib.Path(folder.name).resolve()
        self.program = self.prefix / "bin" / "gpt_train"
        self.program.parent.mkdir()
        shutil.copy2(LAUNCHER, self.program)
        for level in ("x86-64-v3", "x86-64-v4"):
            script = self.prefix / "libexec" / "tessera" / level / "gpt_train"
            script.parent.mkdir(parents=True)
            script.write_text(SCRIPT.format(level=level))
            script.chmod(0o755)

    def start(self, *arguments, program=None, before=(), **environment):
        clean = {name: value for name, value in os.environ.items()
                 if name not in ("TESSERA_ISA", "DNNL_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "GLIBC_TUNABLES")}
        process = subprocess.Popen([*before, program or self.program, *arguments], env=clean | environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err, process.pid

    def test_takes_the_level_of_the_processor(self):
        code, out, err, _ = self.start()
        self.assertEqual((code, err), (42, ""))
        wide = all(processor_has(f"avx512{part}") for part in ("f", "bw", "cd", "dq", "vl"))
        self.assertIn(f"level x86-64-{'v4' if wide else 'v3'}\n", out)

    def test_arguments_process_and_exit_code_are_the_programs(self):
        code, out, _, pid = self.start("--data", "a b", "")
        self.assertEqual(code, 42)
        self.assertIn("argument <--data>\nargument <a b>\nargument <>\n", out)
        self.assertIn(f"pid {pid}\n", out)

    def test_a_lower_level_can_be_asked_for(self):
        for name in ("v3", "x86-64-v3"):
            code, out, _, _ = self.start(TESSERA_ISA=name)
            self.assertEqual(code, 42)
            self.assertIn("level x86-64-v3\nproduct libraries AVX2 Haswell\n", out)

    def test_settings_of_the_user_stand(self):
        _, out, _, _ = self.start(TESSERA_ISA="v3", DNNL_MAX_CPU_ISA="SSE41")
        self.assertIn("product libraries SSE41 Haswell\n", out)

    def test_an_unknown_level_is_refused(self):
        code, out, err, _ = self.start(TESSERA_ISA="v2")
        self.assertEqual((code, out), (78, ""))
        self.assertRegex(err, r"^gpt_train: \S+: TESSERA_ISA=v2 is not among .*: x86-64-v3, x86-64-v4\n$")

    def test_a_processor_without_avx2_is_refused(self):
        code, out, err, _ = self.start(GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2")
        self.assertEqual((code, out), (78, ""))
        self.assertRegex(err, r"^gpt_train: \S+: this processor is older .* lacks AVX2\. Build .*\n$")

    @unittest.skipUnless(EMULATOR, "qemu-x86_64 is not installed")
    def test_an_old_processor_runs_the_launcher_itself(self):
        code, out, err, _ = self.start(before=(EMULATOR, "-cpu", "core2duo"))
        self.assertEqual((code, out), (78, ""))
        self.assertRegex(err, r"this processor is older .* POPCNT, .*AVX, AVX2")

    def test_a_link_to_it_works(self):
        link = self.prefix / "linked"
        link.symlink_to(self.program)
        self.assertEqual(self.start(program=link)[0], 42)

    def test_a_missing_program_is_named(self):
        missing = self.prefix / "libexec" / "tessera" / "x86-64-v3" / "gpt_train"
        missing.unlink()
        code, _, err, _ = self.start(TESSERA_ISA="v3")
        self.assertEqual(code, 66)
        self.assertIn(f"{missing} cannot be started: No such file", err)


unittest.main()
