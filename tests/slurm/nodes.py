#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Nodes that fail in the middle of a run."""
import os
import signal

import jobs
from jobs import Training, numbers


class LosingNodes(Training):
    def begin(self):
        """A job on two nodes that has saved something; the second of them."""
        job = self.train("--tp", "2", "--save-interval", "1")
        self.wait_for(job, "RUNNING")
        self.wait_for_steps(5)
        node = self.slurm.client("scontrol", "show", "hostnames", self.slurm.fields(job)["NodeList"]).split()[-1]
        self.assertNotEqual(node, "h1")
        return job, node

    def expect_to_go_on_without(self, job, node):
        self.wait_until_requeued(job, 1, limit_s=90)
        self.assertIn(node, self.slurm.fields(job)["ExcNodeList"].split(","), self.log())
        self.assertIn(f"will not run on {node} again", self.log())
        saved = self.saved()
        self.slurm.start_at_once(job)
        self.wait_for_log(r"^begins from .*", 1)
        self.assertGreaterEqual(numbers(self.log(), r"^begins from .*: step (\d+),")[0], saved)
        self.assertNotIn(node, self.slurm.client("scontrol", "show", "hostnames", self.slurm.fields(job)["NodeList"]).split())
        self.wait_for_steps(3)
        self.slurm.client("scancel", "--signal=USR1", job)
        self.wait_until_requeued(job, 2)
        self.expect_whole(self.log())

    def wait_until_idle(self, node):
        jobs.cluster.wait_until(f"{node} is idle", lambda: self.slurm.client("sinfo", "--noheader", "--partition=main", "--nodes", node,
                                                                   "--format=%t") == "idle", 60)

    def test_a_node_whose_cable_is_pulled_is_left_out(self):
        job, node = self.begin()
        self.slurm.cut(node)
        self.addCleanup(self.slurm.heal, node)
        self.expect_to_go_on_without(job, node)
        self.slurm.heal(node)
        self.wait_until_idle(node)

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


if __name__ == "__main__":
    jobs.main()
