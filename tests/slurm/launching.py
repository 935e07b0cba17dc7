#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""How the scripts of slurm/ start programs, what they refuse, and the suites that they run."""
import json
import re
import shutil
import subprocess
import unittest

import jobs
from jobs import BUILD, GPT_TRAIN, MODEL, ROOT, Jobs, numbers

SCALING = ROOT / "bench/scaling/run.py"
PLAN = """
name = "tiny"
kind = "strong"
title = "The default model, two steps"
repetitions = 1
warmup_steps = 1
timeout_s = 60

[options]
train-iters = 2
eval-interval = 0
sample-length = 0

[[points]]
ranks = 1
baseline = true

[[points]]
ranks = 2
options = { tp = 2 }

[[points]]
ranks = 2
nodes = 2
options = { dp = 2 }
"""

# Says its rank, the number of ranks, and the host, with whichever MPI it is compiled.
HELLO = r"""
#include <mpi.h>
#include <stdio.h>
int main(int argc, char** argv) {
  int rank, size, length;
  char host[MPI_MAX_PROCESSOR_NAME];
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Get_processor_name(host, &length);
  printf("rank %d of %d on %s\n", rank, size, host);
  return MPI_Finalize();
}
"""


class Launching(Jobs):
    def train(self, *words, code, options=(), **settings):
        """The log of a short run, which ends with `code`; `settings` are those of the job script."""
        settings = {f"TESSERA_{name}": str(value) for name, value in settings.items()}
        exported = ",".join(["ALL", *(f"{name}={value}" for name, value in settings.items())])
        job = self.submit("slurm/gpt_train.sbatch", *MODEL, "--steps", "2", *words,
                          options=[f"--export={exported}", *options])
        log = self.expect_end(job, code)
        self.assertEqual(self.slurm.fields(job)["Restarts"], "0")
        return log

    def test_mistakes_are_told_once_before_anything_runs(self):
        log = self.train("--tp", "3", "--lr", "-1", code=78)
        self.assertEqual(log.count("gpt_train: error:"), 1)
        for word in ("parallel.tp = 3", "optimizer.lr = -1"):
            self.assertIn(word, log)
        self.assertNotIn("job: runs:", log)

    def test_places_that_are_not_there_are_named(self):
        self.assertIn("no gpt_train in /nowhere/apps/gpt_train nor in PATH", self.train(code=66, BUILD="/nowhere"))

    def test_a_folder_that_cannot_be_made_is_named(self):
        log = self.train(code=73, RUN_DIR="/proc/run")
        self.assertRegex(log, r"(?m)^job: error: TESSERA_RUN_DIR=/proc/run cannot be made: mkdir: ")

    def test_what_a_configuration_file_gives_is_not_assumed_however_it_is_written(self):
        file = self.work / "run.toml"
        file.write_text(f'output.metrics = "{self.work}/own.jsonl"\n[checkpoint]\n'
                        f'\t"save" = "{self.work}/own"\n\tinterval_minutes=7\n')
        log = self.train("--config", str(file), "--tp", "2", code=0)
        self.assertNotIn("job: assumed: ", log)
        self.assertIn("newest checkpoint: step_00000002", log)
        self.assertTrue((self.work / "own/latest").exists() and (self.work / "own.jsonl").exists(), log)
        file.write_text("[checkpoint]\ninterval = 1\n")
        log = self.train("--config", str(file), "--tp", "2", code=0)
        self.assertEqual(re.findall(r"(?m)^job: assumed: (\S+)", log), ["--save", "--metrics"])

    def test_a_site_that_is_not_there_is_named(self):
        self.assertRegex(self.train(code=66, SITE="atlantis"), r"there is no .*slurm/env/atlantis.sh; .*template")

    def test_a_start_up_service_that_slurm_lacks_is_refused(self):
        self.assertRegex(self.train(code=78, MPI_PLUGIN="pigeon"), r"no --mpi=pigeon, only: .*\bpmix\b")

    def test_the_wrong_start_up_service_does_not_make_four_runs_of_one(self):
        # Open MPI refuses by itself, with 1; gpt_train where the MPI does not, with 64.
        log = self.train(code=1, MPI_PLUGIN="none")
        self.assertIn("direct launched using", log)
        self.assertNotIn("Weights:", log)

    def test_every_rank_gets_a_gpu_of_its_own(self):
        if "Gres=gpu:2" not in self.slurm.client("scontrol", "show", "node", "h1").replace("gpu:tesla", "gpu"):
            self.skipTest("no device files can be made here to stand for GPUs")
        build = self.stand_in('echo "rank $SLURM_PROCID of $SLURM_NTASKS sees GPU $CUDA_VISIBLE_DEVICES"')
        log = self.train(code=0, options=["--gpus-per-node=2"], BUILD=build, MPI_PLUGIN="pmix")
        seen = re.findall(r"^rank (\d) of 4 sees GPU (\S*)$", log, re.MULTILINE)
        self.assertEqual(sorted(seen), [("0", "0"), ("1", "1"), ("2", "0"), ("3", "1")], log)

    def test_the_start_up_service_is_that_of_the_mpi_in_the_program(self):
        source = self.work / "hello.c"
        source.write_text(HELLO)
        for compiler, plugin in (("mpicc.openmpi", "pmix"), ("mpicc.mpich", "pmi2")):
            if shutil.which(compiler) is None:
                continue
            with self.subTest(compiler=compiler):
                program = self.work / compiler
                subprocess.run([compiler, source, "-o", program], check=True)
                found = subprocess.run(["bash", "-c", f'source {ROOT}/slurm/job.sh && mpi_plugin_of "$0"', program],
                                       capture_output=True, text=True, check=True).stdout.strip()
                self.assertEqual(found, plugin)
                output = self.slurm.client("timeout", "120", "srun", f"--mpi={found}", "--nodes=2", "--ntasks=2",
                                           program)
                self.assertEqual(sorted(output.splitlines()), ["rank 0 of 2 on h1", "rank 1 of 2 on h2"])


class Suites(Jobs):
    def test_tests_run_on_all_nodes(self):
        job = self.submit("slurm/tests.sbatch", "--tests-regex", "^(mesh|contract_chunking)_8$",
                          options=["--ntasks-per-node=4"])
        log = self.expect_end(job, 0)
        self.assertIn("job: test mesh_8: passed", log)
        self.assertIn("job: 2 tests, 0 failed", log)

    def test_tests_that_fail_are_counted_and_named(self):
        (self.work / "CTestTestfile.cmake").write_text(
            "".join(f'add_test({name} "mpiexec" "-n" "{ranks}" "/bin/{name}")\n'
                    for name, ranks in (("true", 4), ("false", 4), ("date", 2))))
        job = self.submit("slurm/tests.sbatch", "--tests-regex", ".",
                          options=[f"--export=ALL,TESSERA_BUILD={self.work},TESSERA_MPI_PLUGIN=none"])
        log = self.expect_end(job, 1)
        self.assertIn("job: test true: passed", log)
        self.assertIn("job: test false: FAILED with 1", log)
        self.assertIn("job: 2 tests, 1 failed: false", log)

    @unittest.skipUnless((BUILD / "bench/comm/bench_comm").exists(), "the benchmarks are not built")
    def test_collectives_are_timed_in_a_node_and_across(self):
        job = self.submit("slurm/collectives.sbatch", "--benchmark_filter=^all_reduce/mpi/4096/it",
                          options=["--nodes=3", "--ntasks-per-node=1"])
        log = self.expect_end(job, 0)
        self.assertEqual(numbers(log, r"^job: collectives on (\d) nodes"), [1, 2, 3])
        self.assertEqual(len(re.findall(r"^all_reduce/", log, re.MULTILINE)), 3, log)

    def submit_plan(self, plan=PLAN):
        """Jobs of the arrays that slurm/submit_scaling.sh submits for the points of a plan that are missing."""
        (self.work / "plan.toml").write_text(plan)
        output = self.slurm.client(ROOT / "slurm/submit_scaling.sh", self.work / "plan.toml",
                                   f"--output={self.work}/log", "--open-mode=append", cwd=ROOT)
        arrays = numbers(output, r"^Submitted batch job (\d+)$")
        for array in arrays:
            self.addCleanup(self.slurm.client, "scancel", array, code=None)
        return arrays, output

    @unittest.skipUnless(SCALING.exists(), "there is no bench/scaling")
    def test_a_scaling_plan_is_measured_once_as_an_array_for_every_number_of_nodes(self):
        arrays, _ = self.submit_plan()
        self.assertEqual(len(arrays), 2)
        for array in arrays:
            jobs.cluster.wait_until(f"array {array} ends", lambda: not self.slurm.client(
                "squeue", "--noheader", "--array", "--jobs", array, code=None), told=self.log)
        self.assertEqual(self.log().count("job: run.py ended with 0"), 3, self.log())
        results = [json.loads(line) for path in sorted((self.run_folder / "tiny").glob("*.jsonl"))
                   for line in path.read_text().splitlines()]
        self.assertEqual([(one["point"], one["ranks"], one["nodes"], one["ok"]) for one in results],
                         [(1, 1, 1, True), (2, 2, 1, True), (3, 2, 2, True)])
        arrays, output = self.submit_plan(PLAN.replace("two steps", "twice"))
        self.assertEqual(arrays, [])
        self.assertIn("are measured already", output)
        kept = json.loads((self.run_folder / "tiny/plan.json").read_text())
        self.assertEqual(kept["title"], "The default model, twice", "what the report is headed with")


if __name__ == "__main__":
    jobs.main()
