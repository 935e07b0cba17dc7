#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Runs that are longer than their job: requeued until they are done."""
import os
import re

import jobs
from jobs import Training, numbers


class GoingOn(Training):
    def test_a_chain_of_requeues_ends_like_one_long_run_on_other_nodes_and_layouts_too(self):
        job = self.train("--tp", "2", steps=["--steps", "120"])
        self.wait_for_steps(3)
        self.slurm.client("scancel", "--signal=USR1", job)              # to the ranks, as --signal=USR1@300 does
        self.wait_until_requeued(job, 1)
        self.slurm.start_at_once(job)
        self.wait_for_steps(3)
        self.slurm.client("scancel", "--batch", "--signal=USR1", job)   # to the script, which hands it on
        self.wait_until_requeued(job, 2)
        self.slurm.client("scontrol", "update", f"JobId={job}", "NumNodes=1", "NumTasks=2")
        self.slurm.start_at_once(job)
        self.wait_for_steps(3)
        self.slurm.client("scontrol", "requeue", job)                   # SIGTERM, as when an administrator does it
        self.wait_until_requeued(job, 3)
        self.slurm.start_at_once(job)
        log = self.expect_whole(self.expect_end(job, 0))
        self.assertEqual(len(re.findall("because SIGUSR1 came: please requeue", log)), 2)
        self.assertEqual(len(re.findall("because SIGTERM came: please requeue", log)), 1)
        self.assertEqual(numbers(log, r"^job: gpt_train \d+, start \d+, (\d+) ranks on"), [4, 4, 2, 2])
        self.assertEqual(len(re.findall(r"^job: assumed: --save ", log, re.MULTILINE)), 4)
        self.assertEqual(log.count("job: gpt_train ended with 75"), 3)
        self.assertEqual(log.count("job: gpt_train ended with 0"), 1)
        self.assertEqual(list(self.run_folder.glob("nodes-*")), [])

    def test_the_warning_before_the_end_of_the_time_saves_and_requeues(self):
        # Slurm looks every 30 s whether one is due within 30 s, and sends it once, to ranks that may not run yet: here,
        # 30 to 60 s after the start.
        job = self.train("--tp", "2", options=["--time=2", "--signal=USR1@60"])
        self.wait_until_requeued(job, 1)
        self.assertIn("because SIGUSR1 came: please requeue", self.log())
        ends = re.search(r"^job: the time of this job ends at (\S+)$", self.log(), re.MULTILINE).group(1)
        self.assertRegex(ends, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")

    def test_a_run_makes_room_for_an_urgent_job_and_goes_on_after_it(self):
        job = self.train("--tp", "2", steps=["--steps", "40"])
        self.wait_for_steps(3)
        urgent = self.slurm.client("sbatch", "--parsable", "--partition=urgent", "--nodes=4", "--exclusive",
                                   "--output=/dev/null", "--wrap=sleep 1")
        self.wait_until_requeued(job, 1)
        self.assertIn("because SIGTERM came: please requeue", self.log())
        self.wait_for(urgent, "COMPLETED")
        self.slurm.start_at_once(job)
        self.expect_whole(self.expect_end(job, 0))

    def test_a_job_that_somebody_cancels_ends_for_good(self):
        job = self.train("--tp", "2", options=["--nodes=1"])
        self.wait_for_steps(3)
        self.slurm.client("scancel", job)
        self.wait_for_log("^job: not requeued: somebody has cancelled this job; what was saved stays")
        self.wait_for(job, "CANCELLED")
        self.assertGreater(self.saved(), 0)

    def test_a_signal_that_comes_before_gpt_train_is_ready_is_kept_for_it(self):
        job = self.train("--tp", "2", options=["--nodes=1"])
        self.wait_for_log("^job: runs: ")
        node = self.slurm.fields(job)["NodeList"]  # Slurm keeps no signal for ranks that it has not started yet
        jobs.cluster.wait_until("the ranks are started", lambda: self.slurm.processes(node, "gpt_train"))
        self.slurm.client("scancel", "--signal=USR1", job)
        self.wait_until_requeued(job, 1)
        self.assertIn("because SIGUSR1 came: please requeue", self.log())

    def test_a_folder_may_have_any_name(self):
        self.run_folder = self.work / 'a "quoted\\ name'
        os.environ["TESSERA_RUN_DIR"] = str(self.run_folder)
        build = self.stand_in('echo step_00000001 > "$TESSERA_RUN_DIR/checkpoints/latest"; exit 75')
        (self.run_folder / "checkpoints").mkdir(parents=True)
        job = self.train(options=[f"--export=ALL,TESSERA_BUILD={build},TESSERA_MPI_PLUGIN=none"])
        self.wait_until_requeued(job, 1)
        self.assertIn("newest checkpoint: step_00000001", self.log())

    def test_a_run_that_saves_nothing_new_is_not_requeued_for_ever(self):
        build = self.stand_in("exit 75")
        job = self.train(options=[f"--export=ALL,TESSERA_BUILD={build},TESSERA_MPI_PLUGIN=pmix"])
        self.assertIn("not requeued: this start saved nothing new", self.expect_end(job, 75))


if __name__ == "__main__":
    jobs.main()
