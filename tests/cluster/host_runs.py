#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the programs that were built on several hosts (network namespaces of this machine) and takes hosts away.

    host_runs.py GPT_TRAIN MPIEXEC TEST_MESH TEST_CONTRACT [unittest arguments]
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support" / "cluster"))
import cluster  # noqa: E402

GPT_TRAIN, MPIEXEC, TEST_MESH, TEST_CONTRACT = sys.argv[1:5]
RUN = ["--layers", "4", "--hidden-size", "32", "--seq-length", "16", "--steps", "6", "--eval-interval", "0",
       "--global-batch-size", "16", "--sample-length", "0", "--lr-warmup-iters", "2", "--lr-decay-iters", "6",
       "--tiles", "8", "--peak-tflops", "1"]
TWO_BY_TWO = {"h1": 2, "h2": 2}


def setUpModule():
    global hosts
    told = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True, check=True).stdout
    if "OpenRTE" not in told and "Open MPI" not in told:
        cluster.skip("these tests know how to start Open MPI on several hosts, and this build has another MPI")
    hosts = cluster.Hosts(4)
    unittest.addModuleCleanup(hosts.down)


def weights(output):
    return re.search(r"^Weights: ([0-9a-f]{16})$", output, re.MULTILINE).group(1)


class OnHosts(unittest.TestCase):
    alone = None  # weights of the run on one rank

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-hosts-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def start(self, places, *words):
        process = subprocess.Popen(hosts.mpirun(MPIEXEC, places, *words), cwd=self.work, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        """A run that has not ended by itself, with its processes on other hosts."""
        if process.poll() is None:
            process.kill()
            for host in hosts.names:
                hosts.crash(host)
        process.communicate()

    def train(self, places, *arguments, code=0):
        return self.ended(self.start(places, GPT_TRAIN, *RUN, *arguments), code)

    def ended(self, process, code=0, timeout=cluster.PATIENCE_S):
        output, errors = process.communicate(timeout=timeout)
        self.assertEqual(process.returncode, code, output + errors)
        return output + errors

    def expect_same_end(self, output):
        if OnHosts.alone is None:
            OnHosts.alone = weights(subprocess.run([GPT_TRAIN, *RUN], capture_output=True, text=True, check=True,
                                                   timeout=cluster.PATIENCE_S).stdout)
        self.assertEqual(weights(output), self.alone)

    def start_long(self, places, *arguments):
        """A run that goes on until something happens to it, past its first saved step."""
        process = self.start(places, GPT_TRAIN, *RUN, "--save", "ck", "--save-interval", "1", "--metrics", "m.jsonl",
                             "--steps", "1000000", "--log-interval", "1000", *arguments)
        cluster.wait_until("a step is saved, or the run has ended",
                           lambda: (self.work / "ck/latest").exists() or process.poll() is not None)
        if process.poll() is not None:
            self.fail("the run has ended: " + "".join(process.communicate()))
        return process

    def steps(self):
        lines = [json.loads(line) for line in (self.work / "m.jsonl").read_text().splitlines()]
        return [line["step"] for line in lines if "step" in line]


class Machine(unittest.TestCase):
    def test_hosts_go_when_the_process_that_made_them_is_killed(self):
        lines = "import cluster, os; print(cluster.Hosts(1).state.name, flush=True); os.kill(os.getpid(), 9)"
        name = subprocess.run([sys.executable, "-c", lines], cwd=cluster.HERE, capture_output=True, text=True,
                              timeout=60).stdout.strip()
        self.assertRegex(name, "^tessera-cluster-")
        cluster.wait_until("its hosts have gone", lambda: name not in subprocess.run(
            ["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout)


class Working(OnHosts):
    def test_the_mesh_finds_the_hosts_and_the_bits_are_those_of_one_rank(self):
        before = hosts.received_bytes("h2")
        output = self.train(TWO_BY_TWO, "--tp", "2")
        self.assertIn("Mesh: 4 ranks = tp 2 x pp 1 x dp 2 on 2 nodes", output)
        self.assertRegex(output, r"tp 2: inside a (socket|node)")
        self.assertRegex(output, r"dp 2: across nodes")
        self.expect_same_end(output)
        # The gradients of 67264 parameters crossed the cable in each of 6 steps.
        self.assertGreater(hosts.received_bytes("h2") - before, 6 * 4 * 67264 / 2)

    def test_a_group_with_several_ranks_on_every_host_sums_in_two_levels(self):
        output = self.train(TWO_BY_TWO, "--dp", "4")
        self.assertRegex(output, r"dp 4: across nodes, .*hierarchical")
        self.expect_same_end(output)

    def test_ranks_dealt_out_over_the_hosts_are_put_in_order(self):
        words = hosts.mpirun(MPIEXEC, TWO_BY_TWO, "--map-by", "node", GPT_TRAIN, *RUN, "--tp", "2")
        done = subprocess.run(words, cwd=self.work, capture_output=True, text=True, timeout=cluster.PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"tp 2: inside a (socket|node)")
        self.expect_same_end(done.stdout)

    def test_a_pipeline_over_four_hosts(self):
        output = self.train(dict.fromkeys(hosts.names, 2), "--pp", "4", "--tp", "2", "--sequence-parallel")
        self.assertIn("on 4 nodes", output)
        self.expect_same_end(output)

    def test_the_contract_of_communicators_holds_between_hosts(self):
        for program, ranks in ((TEST_MESH, 4), (TEST_CONTRACT, 2)):  # a host
            with self.subTest(program=program):
                self.ended(self.start({"h1": ranks, "h2": ranks}, program), timeout=240)


class Failing(OnHosts):
    def test_a_rank_that_dies_on_another_host_ends_the_job(self):
        process = self.start_long(TWO_BY_TWO, "--tp", "2")
        os.kill(hosts.processes("h2", "gpt_train")[0], signal.SIGKILL)
        began = time.monotonic()
        output, errors = process.communicate(timeout=cluster.PATIENCE_S)
        self.assertLess(time.monotonic() - began, 10)
        self.assertNotEqual(process.returncode, 0, output + errors)
        self.goes_on(TWO_BY_TWO, "--tp", "2")

    def test_a_host_that_crashes_ends_the_job_and_others_go_on_with_it(self):
        process = self.start_long({"h1": 2, "h4": 2}, "--tp", "2")
        hosts.crash("h4")
        began = time.monotonic()
        output, errors = process.communicate(timeout=cluster.PATIENCE_S)
        self.assertLess(time.monotonic() - began, 15)
        self.assertNotEqual(process.returncode, 0, output + errors)
        self.goes_on({"h1": 2, "h2": 1, "h3": 1}, "--dp", "4")

    def goes_on(self, places, *arguments):
        """With what was saved, for a few steps, to the weights of an uncut run."""
        saved = int((self.work / "ck/latest").read_text().strip().removeprefix("step_"))
        last = ["--steps", str(saved + 2)]
        output = self.train(places, *arguments, *last, "--save", "ck", "--resume", "--metrics", "m.jsonl")
        self.assertIn(f"begins from ck/step_{saved:08}", output)
        self.assertEqual(self.steps(), list(range(1, saved + 3)))
        uncut = subprocess.run([GPT_TRAIN, *RUN, *last], capture_output=True, text=True, check=True,
                               timeout=cluster.PATIENCE_S)
        self.assertEqual(weights(output), weights(uncut.stdout))

    def test_a_cable_that_is_out_for_two_seconds_costs_two_seconds(self):
        process = self.start_long(TWO_BY_TWO, "--tp", "2", "--save-interval", "10", "--steps", "200")
        hosts.cut("h2")
        self.addCleanup(hosts.heal, "h2")
        time.sleep(0.5)
        before = self.steps()[-1]
        time.sleep(1.5)
        self.assertLessEqual(self.steps()[-1], before + 1)
        hosts.heal("h2")
        self.ended(process)
        self.assertEqual(self.steps(), list(range(1, 201)))

    def stop_ranks(self, process, host, count):
        """Stops the processes of a host; how the job ends, and that nothing of it stays."""
        victims = sorted(hosts.processes(host, "gpt_train"))[:count]
        for victim in victims:
            os.kill(victim, signal.SIGSTOP)
        began = time.monotonic()
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 76, errors)
        self.assertLess(time.monotonic() - began, 3 + 5 + 4)  # 4: mpirun takes its time to kill
        self.assertEqual(errors.count("gpt_train: error: watchdog:"), 1, errors)
        cluster.wait_until("no process is left", lambda: not any(hosts.processes(name, "gpt_train")
                                                                 for name in hosts.names), 10)
        return victims, errors

    def test_a_stopped_rank_on_another_host_is_named_and_ends(self):
        process = self.start_long(TWO_BY_TWO, "--tp", "2", "--timeout", "3")
        (victim,), errors = self.stop_ranks(process, "h2", 1)
        self.assertRegex(errors, rf"rank [23] \(host h2, process {victim}\) is stopped .*; it has not entered \w+ ")
        self.assertRegex(errors, r"ranks [01][0-9, ]* wait in|rank [01] waits in")

    def test_where_the_first_host_is_stopped_the_second_reports(self):
        process = self.start(TWO_BY_TWO, GPT_TRAIN, *RUN, "--metrics", "m.jsonl", "--steps", "1000000", "--tp", "2",
                             "--timeout", "3")  # without saves, in which a host may be silent for ten time-outs
        cluster.wait_until("it trains", lambda: (self.work / "m.jsonl").exists() and self.steps())
        _, errors = self.stop_ranks(process, "h1", 2)
        for rank in (0, 1):
            self.assertRegex(errors, rf"rank {rank} \(host h1, .*\) does not answer")

    def test_a_directory_that_each_host_has_to_itself_is_refused_before_the_first_step(self):
        own = f"/dev/shm/{self.work.name}"  # each host has its own /dev/shm
        begun = time.monotonic()
        output = self.train({"h1": 2, "h2": 1}, "--dp", "1", "--tp", "1", "--pp", "3", "--tiles", "0", "--save", own, code=73)
        self.assertLess(time.monotonic() - begun, 40)
        self.assertEqual(output.count("gpt_train: error:"), 1, output)
        self.assertIn(f'checkpoint.save = "{own}": rank 2 does not see in it what rank 0 writes: name a directory', output)
        doctor = self.ended(self.start({"h1": 1, "h2": 2}, GPT_TRAIN, "doctor", "--pp", "3", "--save", own), code=78)
        self.assertRegex(doctor, "FAIL  rank 1 and 1 more do not see in it what rank 0 writes\n +-> name a directory")

    def test_a_directory_that_a_run_on_another_host_writes_is_refused(self):
        first = self.start_long({"h1": 2}, "--tp", "2")
        output = self.train({"h2": 2}, "--tp", "2", "--save", "ck", "--resume", code=73)
        self.assertEqual(output.count("gpt_train: error:"), 1, output)
        self.assertRegex(output, r"process \d+ on h1, since .* saves there")
        first.send_signal(signal.SIGUSR1)
        self.assertIn("because SIGUSR1 came: please requeue", self.ended(first, 75))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
