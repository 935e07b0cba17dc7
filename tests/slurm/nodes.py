#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Nodes that fail in the middle of a run."""
import os
import pathlib
import signal
import subprocess

import jobs
from jobs import ROOT, Training, numbers


class Nodes(Training):
    def nodes(self, job):
        fields = self.wait_for(job, "RUNNING")
        return self.slurm.client("scontrol", "show", "hostnames", fields["NodeList"]).split()

    def second_node(self, job):
        return self.nodes(job)[-1]


class LosingNodes(Nodes):
    def begin(self):
        """A job on two nodes that has saved something; the second of them."""
        job = self.train("--tp", "2", "--save-interval", "1")
        self.wait_for_steps(5)
        return job, self.second_node(job)

    def expect_to_go_on_without(self, job, node):
        self.wait_until_requeued(job, 1)
        self.wait_for_log(f"^job: will not run on {node} again$")
        self.assertEqual(self.slurm.fields(job)["ExcNodeList"], node)
        saved = self.saved()
        self.slurm.start_at_once(job)
        self.wait_for_log(r"^begins from .*", 1)
        self.assertGreaterEqual(numbers(self.log(), r"^begins from .*: step (\d+),")[0], saved)
        self.assertNotIn(node, self.nodes(job))
        self.wait_for_steps(3)
        self.slurm.client("scancel", "--signal=USR1", job)
        self.wait_until_requeued(job, 2)
        self.expect_whole(self.log())

    def wait_until_idle(self, node):
        query = ["sinfo", "--noheader", "--partition=main", "--nodes", node, "--format=%t"]
        jobs.cluster.wait_until(f"{node} is idle", lambda: self.slurm.client(*query) == "idle")


class CutNodes(LosingNodes):
    def test_a_node_whose_cable_is_pulled_is_left_out(self):
        job, node = self.begin()
        self.slurm.cut(node)
        self.addCleanup(self.slurm.heal, node)
        self.expect_to_go_on_without(job, node)
        self.slurm.heal(node)
        self.wait_until_idle(node)

    def test_the_first_node_is_left_out_too_once_its_ranks_have_let_go(self):
        """The script that would exclude it is lost with it, and its ranks hold the lock of the checkpoints."""
        job = self.train("--tp", "2", "--save-interval", "50", "--timeout", "10",
                         options=["--nodelist=h[2-3]"])  # h1 has the controller
        jobs.cluster.wait_until("something is saved", (self.run_folder / "checkpoints/latest").exists, told=self.log)
        self.slurm.cut("h2")
        self.addCleanup(self.slurm.heal, "h2")
        self.wait_until_requeued(job, 1)
        self.slurm.client("scontrol", "update", f"JobId={job}", "ReqNodeList=")
        self.slurm.start_at_once(job)
        self.wait_for_log(r"^job: lost by an earlier start: h2$")
        self.wait_for_log(r"^begins from .*")
        self.assertNotIn("h2", self.nodes(job))
        self.wait_for_steps(3)
        self.slurm.client("scancel", "--signal=USR1", job)
        self.wait_until_requeued(job, 2)
        self.wait_for_log("^job: will not run on h2 again$")
        self.assertEqual(self.slurm.fields(job)["ExcNodeList"], "h2")
        self.assertNotIn("another start would end the same way", self.expect_whole(self.log()))
        self.slurm.heal("h2")
        self.wait_until_idle("h2")


class EndedNodes(LosingNodes):
    def test_a_node_whose_slurmd_ends_is_left_out(self):
        job, node = self.begin()
        os.kill(self.slurm.daemon(node), signal.SIGKILL)
        self.expect_to_go_on_without(job, node)
        self.slurm.run(node, "slurmd")
        self.wait_until_idle(node)

    def test_a_node_that_crashes_is_left_out(self):
        job, node = self.begin()
        self.slurm.crash(node)
        self.expect_to_go_on_without(job, node)
        self.slurm.run(node, "slurmd")
        self.wait_until_idle(node)

    def test_a_job_goes_on_on_its_first_node_when_that_has_crashed_and_is_back(self):
        """The node keeps what the crashed step had, and Slurm numbers the steps of the next start alike."""
        job = self.train("--tp", "2", "--save-interval", "1", options=["--nodelist=h[2-3]"])  # h1 has the controller
        self.wait_for_steps(5)
        self.slurm.crash("h2")
        self.wait_until_requeued(job, 1)
        self.slurm.run("h2", "slurmd")
        self.wait_until_idle("h2")
        self.slurm.start_at_once(job)
        self.wait_for_log(r"^begins from .*")
        self.assertEqual(self.nodes(job)[0], "h2")
        self.wait_for_steps(3)
        self.slurm.client("scancel", "--signal=USR1", job)
        self.wait_until_requeued(job, 2)
        self.expect_whole(self.log())


class Reactions(Nodes):
    """What the script does about nodes, with stand-ins for gpt_train."""

    def test_a_lock_of_an_earlier_start_is_waited_for_by_another_start(self):
        lock = f"{self.run_folder}/checkpoints/lock"
        build = self.stand_in(f"mkdir -p $(dirname {lock})\n"
                              f"[ -e {lock} ] && exit 73\n"
                              f'echo "host h2\nprocess 1\njob $SLURM_JOB_ID\nrestart 0" > {lock}\n'
                              f"echo step_1 > {self.run_folder}/checkpoints/latest; exit 75")
        job = self.train(options=[f"--export=ALL,TESSERA_BUILD={build},TESSERA_MPI_PLUGIN=none", "--nodes=1",
                                  "--ntasks=1", "--ntasks-per-node=1"])
        self.wait_until_requeued(job, 1)
        self.slurm.start_at_once(job)
        self.wait_until_requeued(job, 2)
        self.wait_for_log("^job: an earlier start of this job, on a node that was lost, has not let go of .*checkpoints yet")
        pathlib.Path(lock).write_text("host h2\nprocess 1\njob 4711\nrestart 0\n")
        self.slurm.start_at_once(job)
        self.assertIn("job: another start would end the same way", self.expect_end(job, 73))

    def test_a_lock_is_not_waited_for_for_ever(self):
        lock = self.work / "lock"
        lock.write_text("host h2\nprocess 1\njob 12\nrestart 3\n")
        for job, restarts, waits in (("12", "4", True), ("12", "13", True), ("12", "14", False), ("12", "3", False),
                                     ("1", "4", False)):
            done = subprocess.run(["bash", "-c", f'source {ROOT}/slurm/job.sh && holds_earlier_start "$0" 10', lock],
                                  env={**os.environ, "SLURM_JOB_ID": job, "SLURM_RESTART_COUNT": restarts}, check=False)
            self.assertEqual(done.returncode == 0, waits, (job, restarts))

    def test_a_run_that_saved_goes_on_without_a_node_that_slurm_gave_up_which_excuses_no_later_failure(self):
        checkpoints = self.run_folder / "checkpoints"
        build = self.stand_in(f"mkdir -p {checkpoints}; touch {self.work}/begun.$SLURM_PROCID\n"
                              f"until [ -e {self.work}/go ]; do sleep 0.1; done\n"
                              f"[ ${{SLURM_RESTART_COUNT:-0}} = 0 ] || exit 1\n"
                              f"echo step_1 > {checkpoints}/latest; exit 75")
        job = self.train(options=[f"--export=ALL,TESSERA_BUILD={build},TESSERA_MPI_PLUGIN=none"])
        node = self.second_node(job)
        jobs.cluster.wait_until("all ranks have begun", lambda: len(list(self.work.glob("begun.*"))) == 4,
                                told=self.log)
        self.slurm.client("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
        self.addCleanup(self.slurm.client, "scontrol", "update", f"NodeName={node}", "State=RESUME")
        (self.work / "go").touch()
        self.wait_for_log(f"^job: will not run on {node} again$")
        self.wait_until_requeued(job, 1)
        self.assertEqual(self.slurm.fields(job)["ExcNodeList"], node)
        self.slurm.start_at_once(job)
        self.assertIn(f"job: lost by an earlier start: {node}\n", self.expect_end(job, 1))

    def test_a_node_that_starts_nothing_is_found_when_a_run_has_failed(self):
        """Before Slurm itself misses it."""
        build = self.stand_in(f"touch {self.work}/begun.$SLURM_PROCID\n"
                              f"until [ -e {self.work}/fail ]; do sleep 0.1; done; exit 76")
        job = self.train(options=[f"--export=ALL,TESSERA_BUILD={build},TESSERA_MPI_PLUGIN=none"])
        node = self.second_node(job)
        jobs.cluster.wait_until("all ranks have begun", lambda: len(list(self.work.glob("begun.*"))) == 4,
                                told=self.log)
        os.kill(self.slurm.daemon(node), signal.SIGSTOP)
        self.addCleanup(os.kill, self.slurm.daemon(node), signal.SIGCONT)
        (self.work / "fail").touch()
        self.wait_for_log(f"^job: will not run on {node} again$")
        self.assertIn("job: gpt_train ended with 76", self.log())
        self.assertIn(f"job: nodes that do not answer: {node}\n", self.log())
        self.assertIn("job: requeued\n", self.log())
        self.assertEqual(self.slurm.fields(job)["ExcNodeList"], node)


if __name__ == "__main__":
    jobs.main(missed_s=5)  # what most of these tests wait for
