#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Runs the gpt_train that was built, as a user would, and looks at what comes out of mpirun.

    gpt_train_runs.py GPT_TRAIN MPIEXEC [unittest arguments]
"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

GPT_TRAIN, MPIEXEC = sys.argv[1:3]
SMALL = ["--layers", "4", "--hidden-size", "32", "--seq-length", "16", "--steps", "4", "--eval-interval", "2",
         "--global-batch-size", "16", "--sample-length", "8", "--peak-tflops", "0.001"]


def foreign_mpiexec():
    """The launcher of the MPI that this gpt_train was not built with, if the machine has one."""
    version = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout
    is_open_mpi = "OpenRTE" in version or "Open MPI" in version
    return shutil.which("mpiexec.mpich" if is_open_mpi else "mpiexec.openmpi")


def llmc_shard(magic, version, tokens, ids):
    header = struct.pack("<256i", magic, version, tokens, *[0] * 253)
    return header + struct.pack(f"<{len(ids)}H", *ids)


def steps_in(metrics):
    """The lines of a metrics file that are about steps."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [line for line in lines if "step" in line]


def children_of(pid):
    """Processes that `pid` started, directly or through others."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    direct = [child for child, parent in parents.items() if parent == pid]
    return direct + [grandchild for child in direct for grandchild in children_of(child)]


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-runs-")
        self.addCleanup(folder.cleanup)
        self.inputs = pathlib.Path(folder.name, "inputs")
        self.work = pathlib.Path(folder.name, "work")
        self.inputs.mkdir()
        self.work.mkdir()

    def file(self, name, content):
        path = self.inputs / name
        path.write_bytes(content)
        return str(path)

    def start_training(self, ranks, arguments):
        """A run that goes on until something happens to it, past its first step."""
        process = self.start(ranks, [*SMALL, *arguments, "--steps", "1000000", "--eval-interval", "0",
                                     "--metrics", "m.jsonl"])
        self.addCleanup(process.kill)
        metrics = self.work / "m.jsonl"
        deadline = time.monotonic() + 60
        while not (metrics.exists() and '"step":1,' in metrics.read_text()):
            self.assertLess(time.monotonic(), deadline, "the run does not begin")
            time.sleep(0.1)
        return process

    def start(self, ranks, arguments, mpiexec=MPIEXEC, before=()):
        command = [mpiexec, "-n", str(ranks), *before, GPT_TRAIN, *arguments]
        return subprocess.Popen(command, cwd=self.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def run_train(self, ranks, arguments, limit_s=100, **options):
        process = self.start(ranks, arguments, **options)
        try:
            output, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(f"hangs: {arguments}")
        return process.returncode, output, errors

    def run_without_rights(self, command):
        """Root may do everything, so root is nobody here; anyone else stays who they are. Nobody owns the folder."""
        user = 65534 if os.geteuid() == 0 else None
        if user:
            for folder in (self.inputs.parent, self.inputs, self.work):
                os.chown(folder, user, user)
        environment = dict(os.environ, TMPDIR=str(self.inputs.parent), HOME=str(self.inputs.parent))
        try:
            subprocess.run([GPT_TRAIN, "--version"], user=user, check=True, capture_output=True, cwd="/")
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"nobody may not run this gpt_train: {error}")
        return subprocess.run(command, user=user, cwd=self.work, env=environment, capture_output=True, text=True,
                              timeout=60)

    def expect_refusal(self, ranks, arguments, code, *words, written=(), **options):
        """Exit code `code`, one message with all `words`, and no file but `written`."""
        with self.subTest(arguments=arguments):
            status, _, errors = self.run_train(ranks, arguments, **options)
            self.assertEqual(status, code, errors)
            self.assertEqual(errors.count("gpt_train: error:"), 1, errors)
            for word in words:
                self.assertIn(word, errors)
            self.assertEqual(sorted(path.name for path in self.work.iterdir()), sorted(written))


class Refusals(Folder):
    """Nothing is trained and nothing is written: the outputs are asked for in every case."""

    def refuse(self, ranks, arguments, code, *words):
        outputs = ["--metrics", "m.jsonl", "--trace", "t.json", "--log", "l.txt"]
        self.expect_refusal(ranks, [*outputs, *arguments], code, *words)

    def test_usage(self):
        self.refuse(2, ["--tpp", "2"], 64, "--tpp", "did you mean", "--tp")
        self.refuse(2, ["--steps", "many"], 64, "--steps", "many")

    def test_configuration_file(self):
        deck = self.file("deck.toml", b"[parallel]\ntp = 2\ntills = 8\n")
        self.refuse(2, ["--config", deck], 78, "deck.toml", "tills", "tiles")
        self.refuse(2, ["--config", str(self.inputs / "absent.toml")], 66, "absent.toml")

    def test_layouts_that_do_not_fit(self):
        self.refuse(2, ["--tp", "3"], 78, "parallel.tp = 3", "the job has 2")
        self.refuse(2, ["--tp", "2", "--pp", "2", "--dp", "2"], 78, "make 8 ranks but the job has 2")
        self.refuse(2, ["--tp", "2", "--heads", "5", "--hidden-size", "40"], 78, "the largest legal tp",
                    "is 1")
        self.refuse(2, ["--tp", "2", "--tiles", "6"], 78, "parallel.tiles = 6", "power of two")
        self.refuse(2, ["--tp", "2", "--tiles", "8", "--heads", "3", "--hidden-size", "96"], 78,
                    "the largest legal tp is 1")
        self.refuse(2, ["--pp", "2", "--layers", "1"], 78, "the largest legal pp is 1")
        self.refuse(2, ["--dp", "2", "--global-batch-size", "6"], 78, "batch.global_batch_size = 6",
                    "not a multiple")

    def test_all_problems_at_once(self):
        self.refuse(2, ["--tp", "3", "--lr", "-1", "--hidden-size", "100", "--schedule", "2f2b"], 78,
                    "parallel.tp = 3", "optimizer.lr = -1", "model.hidden_size = 100", "2f2b")

    def test_problems_of_flags_values_data_and_outputs_come_together(self):
        absent = str(self.inputs / "absent")
        for ranks in (1, 4):
            self.refuse(ranks, ["--tp", "3", "--stepz", "1", "--matmul", "abacus", "--data", absent,
                                "--valid-data-path", absent + "2", "--metrics", "nowhere/m.jsonl"], 64,
                        "parallel.tp = 3", "--stepz", "abacus", absent + "'", "nowhere/m.jsonl")
        self.refuse(2, ["--lr", "-1", "--data", absent, "--log", "nowhere/l"], 78, "optimizer.lr", "absent",
                    "nowhere/l")
        self.refuse(2, ["--data", absent, "--log", "nowhere/l"], 66, "absent", "nowhere/l")
        self.refuse(2, ["--config", absent, "--log", "nowhere/l"], 66, absent, "nowhere/l")

    def test_data_are_looked_at_as_far_as_the_other_options_allow(self):
        short = self.file("short.txt", b"x" * 50)
        self.refuse(2, ["--seq-length", "many", "--data", str(self.inputs / "absent")], 64, "many", "absent")
        self.refuse(2, ["--vocab-size", "0", "--data", short, "--tp", "2"], 78, "model.vocab_size = 0",
                    "too short")
        _, _, errors = self.run_train(2, ["--seq-length", "-1", "--data", short])
        self.assertNotIn("too short", errors)
        _, _, errors = self.run_train(2, ["--date", short])
        self.assertNotIn("too short", errors)

    def test_data(self):
        self.refuse(2, ["--data", str(self.inputs / "absent")], 66, "absent")
        self.refuse(2, ["--data", self.file("empty.txt", b"")], 65, "empty.txt")
        self.refuse(2, ["--data", self.file("short.txt", b"too short")], 65, "short.txt")
        bad = llmc_shard(20240520, 9, 10, range(10))
        self.refuse(2, ["--data", self.file("bad.bin", bad)], 65, "bad.bin", "version")
        less = llmc_shard(20240520, 1, 5000, range(100))
        self.refuse(2, ["--data", self.file("less.bin", less)], 65, "less.bin", "5000")

    def test_unreadable_data(self):
        path = self.file("secret.txt", b"x" * 5000)
        os.chmod(path, 0)
        done = self.run_without_rights([MPIEXEC, "-n", "2", GPT_TRAIN, *SMALL, "--tp", "2", "--data", path])
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertEqual(done.stderr.count("gpt_train: error:"), 1, done.stderr)
        self.assertIn("secret.txt", done.stderr)

    def test_memory(self):
        gpt3 = ["--layers", "96", "--hidden-size", "12288", "--heads", "96", "--vocab-size", "50257",
                "--max-position-embeddings", "2048", "--seq-length", "2048"]
        self.refuse(2, ["--tp", "2", *gpt3], 71, "not enough memory", "needs", "has")

    def test_sizes_that_nobody_has_are_told_apart_at_once(self):
        began = time.monotonic()
        self.refuse(1, ["--global-batch-size", "2000000000"], 78, "1000000000 microbatches")
        self.refuse(1, ["--layers", "10000", "--hidden-size", "1048576", "--vocab-size", "2147483647"], 78,
                    "model.layers = 10000", "64 bits")
        self.refuse(1, ["--seq-length", "2147483648"], 78, "batch.seq_length")
        self.refuse(1, ["--global-batch-size", "2000000", "--schedule", "gpipe"], 71, "not enough memory")
        self.assertLess(time.monotonic() - began, 40)

    def test_a_dry_run_of_any_size_is_quick(self):
        began = time.monotonic()
        for schedule in ("gpipe", "1f1b"):
            status, output, errors = self.run_train(
                1, ["--dry-run", "--layers", "4000", "--pp", "2000", "--tp", "8", "--ranks", "32000",
                    "--global-batch-size", "2000000", "--schedule", schedule])
            self.assertEqual(status, 0, errors)
            self.assertIn("microbatches x 2 replicas", output)
        self.assertLess(time.monotonic() - began, 20)

    def test_launcher_of_another_mpi(self):
        foreign = foreign_mpiexec()
        if foreign is None:
            self.skipTest("there is one MPI on this machine")
        self.expect_refusal(2, ["--tp", "2", "--metrics", "m.jsonl"], 64, "started 2 processes",
                            mpiexec=foreign)

    def test_outputs_that_cannot_be_made(self):
        self.expect_refusal(2, [*SMALL, "--metrics", "absent/m.jsonl"], 73, "absent/m.jsonl")
        self.expect_refusal(2, [*SMALL, "--metrics", "m.jsonl", "--trace", "a" * 300], 73, "File name too long")
        self.assertFalse((self.work / "m.jsonl").exists())
        name = "a" * 250  # which has no room for `.previous`
        (self.work / name).write_text("of an earlier run")
        self.expect_refusal(2, [*SMALL, "--metrics", name], 73, f"{name}.previous", "File name too long",
                            written=[name])
        self.assertEqual((self.work / name).read_text(), "of an earlier run")

    def test_outputs_that_are_inputs_or_would_become_them(self):
        corpus = self.inputs / "corpus"
        corpus.mkdir()
        text = b"It was a bright cold day in April, and the clocks were striking thirteen. " * 40
        (corpus / "a.txt").write_bytes(text)
        (corpus / "b.txt").write_bytes(text)
        deck = self.file("deck.toml", b"[parallel]\ntp = 2\n")
        data = ["--data", str(corpus)]
        pattern = ["--data", str(corpus / "*.txt")]
        self.expect_refusal(2, [*SMALL, "--config", deck, "--metrics", deck], 73, "is also --config")
        self.expect_refusal(2, [*SMALL, "--tp", "2", *data, "--metrics", str(corpus / "a.txt")], 73, "a.txt")
        self.expect_refusal(2, [*SMALL, "--tp", "2", *pattern, "--trace", str(corpus / "b.txt")], 73, "b.txt",
                            "one of the files of data")
        self.expect_refusal(2, [*SMALL, "--tp", "2", *data, "--metrics", str(corpus / "m.jsonl")], 73, "m.jsonl",
                            "the next run would read it as data")
        self.expect_refusal(2, [*SMALL, "--tp", "2", *data, "--save", str(corpus / "ck")], 73, "corpus/ck")
        self.expect_refusal(2, [*SMALL, "--tp", "2", "--metrics", "m", "--trace", "./m"], 73, "is also")
        self.expect_refusal(2, [*SMALL, "--tp", "2", "--save", "ck", "--metrics", "ck"], 73, "is also checkpoint.save")
        self.assertEqual(sorted(path.name for path in corpus.iterdir()), ["a.txt", "b.txt"])
        self.assertEqual((corpus / "a.txt").read_bytes(), text)

    def test_values_that_an_unset_variable_left_out(self):
        self.refuse(2, ["--metrics=", "--sequence-parallel"], 64, "--metrics needs a value")
        self.refuse(2, ["--tp=", "--seed", "3"], 64, "--tp needs a value")
        self.refuse(2, ["--config="], 64, "--config needs a value")

    def test_validation_of_nothing(self):
        self.refuse(2, ["--validation-fraction", "0", "--eval-interval", "5"], 78, "data.validation_fraction = 0",
                    "training.eval_interval = 0")

    def test_a_tp_group_over_nodes_is_refused_by_a_dry_run_too(self):
        arguments = ["--dry-run", "--ranks", "4", "--tp", "2", "--ranks-per-node", "3"]
        done = subprocess.run([GPT_TRAIN, *arguments], cwd=self.work, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("parallel.ranks_per_node = 3", done.stderr)

    def test_levels_that_nodes_given_by_hand_do_not_have_are_refused_by_a_dry_run_too(self):
        arguments = ["--dry-run", "--ranks", "6", "--heads", "6", "--hidden-size", "96", "--global-batch-size", "12",
                     "--dp", "6", "--ranks-per-node", "4", "--dp-backend", "hierarchical"]
        status, _, errors = self.run_train(1, arguments)
        self.assertEqual(status, 78, errors)
        self.assertIn('parallel.dp_backend = "hierarchical" with parallel.ranks_per_node = 4', errors)

    def test_a_dry_run_notes_what_this_build_lacks(self):
        status, output, errors = self.run_train(1, ["--dry-run", "--matmul", "elsewhere", "--backend", "nowhere"])
        self.assertEqual(status, 0, errors)
        self.assertIn('note: parallel.matmul = "elsewhere" is no matrix-product provider', output)
        self.assertIn('note: parallel.backend = "nowhere" is no communicator of this build', output)
        _, output, _ = self.run_train(1, ["--dry-run", "--backend", "loopback", "--ranks", "2"])
        self.assertIn('note: parallel.backend = "loopback" is for one process; planned are 2', output)

    def test_a_second_configuration_file(self):
        deck = self.file("deck.toml", b"[parallel]\ntp = 2\n")
        self.refuse(2, ["--config", deck, "--config", deck], 64, "--config is given more than once")

    def test_heads_that_are_too_large_for_any_sequence(self):
        self.refuse(1, ["--heads", "2", "--hidden-size", "122880", "--layers", "1", "--seq-length", "16"], 78,
                    "more heads")

    def test_control_bytes_do_not_reach_the_terminal(self):
        self.expect_refusal(1, ["--\x1b[31mred", "1"], 64, "unknown flag --\\x1B[31mred")


class Failures(Folder):
    """What goes wrong while training."""

    def test_what_is_told_of_a_run_is_worth_less_than_the_run(self):
        for output in ("metrics", "log", "trace"):
            status, printed, errors = self.run_train(2, [*SMALL, "--tp", "2", f"--{output}", "/dev/full"])
            self.assertEqual(status, 74, errors)
            self.assertEqual((printed + errors).count("/dev/full"), 1, printed + errors)
            self.assertIn("Figure of Merit (FOM)", printed)

    def test_printing_that_is_lost_is_an_error_unless_its_reader_has_left(self):
        for arguments in (["--dump-config"], ["--help"], [*SMALL, "--steps", "1"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([GPT_TRAIN, *arguments], cwd=self.work, stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=100)
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertEqual(done.stderr.count("gpt_train: error: standard output"), 1, done.stderr)
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            done = subprocess.run([GPT_TRAIN, "--help"], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=100)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_token_beyond_the_vocabulary_names_its_place(self):
        ids = [7] * 6000
        ids[1234] = 300
        shard = self.file("tokens.bin", llmc_shard(20240520, 1, len(ids), ids))
        self.expect_refusal(2, [*SMALL, "--tp", "2", "--data", shard, "--steps", "50"], 65, "300",
                            "tokens.bin")

    def test_a_problem_of_some_ranks_is_told_with_those_of_all(self):
        ids = [7] * 5999 + [300]
        shard = self.file("tokens.bin", llmc_shard(20240520, 1, len(ids), ids))
        self.expect_refusal(2, [*SMALL, "--tp", "2", "--data", shard, "--log", "nowhere/l"], 65,
                            "rank 1: token 5999", "nowhere/l")

    def test_not_finite_stops_all_ranks_with_one_message(self):
        self.expect_refusal(2, [*SMALL, "--tp", "2", "--lr", "1e30", "--lr-warmup-iters", "1"], 70,
                            "not finite")

    def test_not_finite_can_be_skipped(self):
        status, _, errors = self.run_train(2, [*SMALL, "--dp", "2", "--lr", "1e30", "--lr-warmup-iters", "1",
                                               "--on-nonfinite", "skip", "--metrics", "m.jsonl"])
        self.assertEqual(status, 0, errors)
        steps = steps_in(self.work / "m.jsonl")
        self.assertEqual(len(steps), 4)
        self.assertTrue(steps[-1]["skipped"])
        self.assertIsNone(steps[-1]["grad_norm"])

    def test_a_killed_rank_ends_the_job_within_ten_seconds(self):
        process = self.start_training(2, ["--tp", "2"])
        ranks = [pid for pid in children_of(process.pid)
                 if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(GPT_TRAIN)]
        self.assertEqual(len(ranks), 2)
        os.kill(ranks[1], signal.SIGKILL)
        killed = time.monotonic()
        process.communicate(timeout=60)
        self.assertLess(time.monotonic() - killed, 10)
        self.assertNotEqual(process.returncode, 0)

    def test_what_all_ranks_meet_while_training_is_told_once(self):
        for ranks, layout in ((4, ["--tp", "4"]), (4, ["--pp", "4"]), (2, ["--dp", "2"])):
            with self.subTest(layout=layout):
                data = self.file("text.txt", b"The quick brown fox. " * 1000)
                process = self.start_training(ranks, [*layout, "--data", data])
                os.truncate(data, 10)
                began = time.monotonic()
                _, errors = process.communicate(timeout=60)
                self.assertLess(time.monotonic() - began, 10)
                self.assertEqual(process.returncode, 65)
                self.assertEqual(errors.count("gpt_train: error:"), 1, errors)
                self.assertIn("data must not change", errors)
                (self.work / "m.jsonl").unlink()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
