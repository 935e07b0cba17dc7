#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""gpt_train doctor: what it finds, and what it makes of it.

    doctor_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import unittest

GPT_TRAIN, MPIEXEC = sys.argv[1:3]


def let_files_be_small():
    """Of a file, only the first part can be written, as where a file system becomes full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def run(command, folder, before=None, **variables):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=100, preexec_fn=before,
                          env=dict(os.environ, **variables))
    return done.returncode, done.stdout, done.stderr


class Doctor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-doctor-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def test_a_machine_in_order_is_told_once_for_all_ranks(self):
        code, output, errors = run([MPIEXEC, "-n", "2", GPT_TRAIN, "doctor"], self.work)
        self.assertEqual((code, errors), (0, ""), output)
        for pattern in (r"^libraries$", r"^  ok    kokkos: \d+\.\d+", r"^  ok    communication: \S+.*\d+\.\d+",
                        r"^  ok    HDF5: \d+\.\d+\.\d+", r"^  ok    [NR]CCL: (not built in|\d+\.\d+)", r"^  ok    rank 0: host \S+, socket \S+, core [\d,-]+, GPU \S+",
                        r"^  ok    rank 1: host", r"^  \S+ +host \S+: 2 ranks on \d+ cores", r"/dev/shm: \d", r"open files \(ulimit -n\): \d",
                        r"^  ok    lock it \(flock\)", r"^  ok    rename it", r"^  ok    fsync the directory",
                        r"3 checkpoints of .* need", r"all_reduce of 4096.0 KiB over 2 ranks: .* GB/s bus bandwidth; right",
                        r"GFLOP/s on all ranks, \d+% of", r"\Z"):
            self.assertRegex(output, re.compile(pattern, re.MULTILINE))
        self.assertEqual(output.count("fit for a run"), 1)
        self.assertNotIn("\x1b", output)
        self.assertEqual(list(self.work.iterdir()), [])

    def test_too_little_room_and_a_missing_directory_fail_with_advice(self):
        words = ["--layers", "96", "--hidden-size", "12288", "--heads", "96", "--checkpoints", "1000"]
        code, output, _ = run([GPT_TRAIN, "doctor", *words], self.work)
        self.assertEqual(code, 78)
        self.assertRegex(output, r"FAIL  \S+ \S+ free; 1000 checkpoints of \S+ GiB need \S+ TiB\n +-> make room")
        code, output, _ = run([GPT_TRAIN, "doctor", "--directory", "absent/deep"], self.work)
        self.assertEqual(code, 78)
        self.assertIn('FAIL  "absent/deep" is no directory\n        -> make it', output)
        self.assertIn("not fit for a run", output)

    def test_a_directory_that_a_run_would_make_is_tried_out_where_it_would_be(self):
        for name in ("new", "new/"):
            code, output, errors = run([GPT_TRAIN, "doctor", "--save", name], self.work)
            self.assertEqual((code, errors), (0, ""), output)
            self.assertIn("ok    not there yet: a run makes it; tried out in .\n", output)
            self.assertIn("ok    rename it", output)
        self.assertEqual(list(self.work.iterdir()), [])

    def test_a_part_of_a_write_is_no_write_and_has_no_speed(self):
        code, output, _ = run([GPT_TRAIN, "doctor"], self.work, let_files_be_small)
        self.assertEqual(code, 78)
        self.assertIn("FAIL  write and fsync 4096.0 KiB: File too large\n", output)

    def test_alone_it_looks_at_a_run_of_many_ranks(self):
        words = ["--tp", "2", "--layers", "4", "--pp", "2"]
        for ranks in ([], ["--ranks", "8"]):
            code, output, errors = run([GPT_TRAIN, "doctor", *words, *ranks], self.work)
            self.assertEqual((code, errors), (0, ""), output)
        code, _, errors = run([GPT_TRAIN, "doctor", *words, "--ranks", "6"], self.work)
        self.assertEqual(code, 78)
        self.assertIn("the job has 6", errors)

    def test_ranks_that_share_cores_are_told_what_the_numbers_are_and_nothing_that_is_done(self):
        core = min(os.sched_getaffinity(0))
        code, output, errors = run([MPIEXEC, "-n", "2", GPT_TRAIN, "doctor"], self.work,
                                   lambda: os.sched_setaffinity(0, {core}), OMPI_MCA_mpi_yield_when_idle="1")
        self.assertEqual((code, errors), (0, ""), output)
        self.assertRegex(output, r"more ranks than cores: the sums of what each reaches in its turns")
        self.assertNotIn("OMPI_MCA_mpi_yield_when_idle", output)

    def test_another_mpirun_is_explained(self):
        code, output, _ = run([GPT_TRAIN, "doctor"], self.work, PMI_SIZE="4", PMI_RANK="0", OMPI_COMM_WORLD_SIZE="",
                              OMPI_MCA_ess_base_jobid="")
        if "FAIL" not in output:
            self.skipTest("this MPI believes what PMI_SIZE says")
        self.assertEqual(code, 78)
        self.assertRegex(output, r"FAIL  every process sees itself alone\n +-> an MPICH-like mpiexec started 4 processes")

    def test_wrong_use_is_one_message(self):
        for words, told in ((["--checkpoints", "0"], "--checkpoints"), (["--layer", "2"], "--layers")):
            code, _, errors = run([GPT_TRAIN, "doctor", *words], self.work)
            self.assertEqual(code, 64, errors)
            self.assertEqual(errors.count("gpt_train: error:"), 1)
            self.assertIn(told, errors)
        code, output, _ = run([GPT_TRAIN, "doctor", "--help"], self.work)
        self.assertEqual(code, 0)
        self.assertIn("--directory", output)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
