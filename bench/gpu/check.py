# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""What scripts/gpu_check.sh runs on a GPU: tests, short runs, benchmarks, and PyTorch beside them. A section that fails
is reported and the next one runs. Writes OUTPUT/results.json and OUTPUT/table.txt; exits with 1 when a test or a run
failed or a program is missing."""

import argparse
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Test programs and the most seconds each may take; all run as one rank.
TESTS = {"test_kernels": 150, "test_matmul": 60, "test_attention_flash": 60, "test_layers_gradients": 60,
         "test_gpt2_truth": 60, "test_contract_collectives": 60, "test_comm_thread": 30, "test_nccl_one_rank": 60}

# Products that add biases and apply GELU themselves.
ENDINGS = {"TESSERA_CUBLAS_ENDINGS": "on"}

# Name, deck, sequences of a microbatch, microbatches, steps.
MODELS = [("gpt2-124m", "gpt2-124m.toml", 16, 1, 12), ("gpt2-1.5b", "gpt2-1.5b.toml", 4, 4, 8)]


class Check:
    def __init__(self, arguments):
        self.build = pathlib.Path(arguments.build_dir).resolve()
        self.output = pathlib.Path(arguments.output).resolve()
        self.output.mkdir(parents=True, exist_ok=True)
        self.quick = arguments.quick
        self.end = time.monotonic() + arguments.seconds
        self.results = {"sections": {}, "lines": []}

    def say(self, text):
        print(text, flush=True)
        self.results["lines"].append(text)

    def program(self, name):
        """The program of that name in the build, or None."""
        return next((p for p in sorted(self.build.rglob(name)) if p.is_file() and os.access(p, os.X_OK)), None)

    def run(self, name, command, limit, environment=None):
        """Runs a command for at most `limit` seconds, with more in its `environment`; its output, or None when it
        failed."""
        limit = min(limit, self.end - time.monotonic())
        section = {"command": [str(part) for part in command], "code": None, "seconds": 0}
        self.results["sections"][name] = section
        if limit < 5:
            section["problem"] = "no time left"
            self.say(f"LEFT OUT {name}: no time left")
            return None
        start = time.monotonic()
        log = self.output / (re.sub(r"[^\w.-]+", "_", name) + ".log")
        try:
            with log.open("w") as file:
                done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=limit, cwd=ROOT,
                                      env=os.environ | {"TESSERA_TEST_BACKEND": "loopback"} | (environment or {}),
                                      check=False)
            section["code"] = done.returncode
        except subprocess.TimeoutExpired:
            section["problem"] = f"more than {limit:.0f} s"
        except OSError as error:
            section["problem"] = str(error)
        section["seconds"] = round(time.monotonic() - start, 2)
        text = log.read_text(errors="replace")
        if section["code"] == 0:
            self.say(f"ok       {name} ({section['seconds']} s)")
            return text
        self.say(f"FAILED   {name}: {section.get('problem', 'exit code ' + str(section['code']))}; see {log}")
        for line in [l for l in text.splitlines() if "FAILED" in l or "rror" in l][:12]:
            self.say(f"             {line[:200]}")
        return None

    def missing(self, name):
        self.results["sections"][name] = {"problem": "not built"}
        self.say(f"MISSING  {name}: not in {self.build}")

    # Sections.

    def device(self):
        fields = "name,driver_version,memory.total,clocks.max.sm,power.limit"
        text = self.run("device", ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], 20)
        self.results["device"] = (text or "unknown").strip()
        self.say(f"device: {self.results['device']}")

    def tests(self):
        for name, limit in TESTS.items():
            program = self.program(name)
            if program is None:
                self.missing(name)
            else:
                self.run(name, [program], limit)
        program = self.program("test_matmul")
        if program is not None:
            self.run("test_matmul/endings", [program, "--gtest_filter=*Endings*"], 30, ENDINGS)

    def data(self):
        """A file of random tokens: a step takes the same time whatever it learns."""
        path = self.output / "tokens.u16"
        if not path.exists():
            draw = random.Random(1)
            tokens = [draw.randrange(50257) for _ in range(1 << 20)]
            path.write_bytes(struct.pack(f"<{len(tokens)}H", *tokens))
        return path

    def train(self, name, options, limit, environment=None):
        """The metrics of a gpt_train run: (begin event, steps, end event), or None."""
        program = self.program("gpt_train")
        if program is None:
            self.missing(name)
            return None
        metrics = self.output / (name.replace("/", "_") + ".jsonl")
        metrics.unlink(missing_ok=True)
        command = [program, "--backend", "loopback", "--eval-interval", "0", "--sample-length", "0", "--metrics",
                   metrics, *options]
        if self.run(name, command, limit, environment) is None:
            return None
        events = [json.loads(line) for line in metrics.read_text().splitlines()]
        steps = [event for event in events if "step_s" in event]
        begin = next((event for event in events if event.get("event") == "begin"), {})
        end = next((event for event in events if event.get("event") == "end"), {})
        return begin, steps, end

    def runs(self):
        """A tiny model: equal bits when repeated, the same training with other tiles, a checkpoint that goes on."""
        text = ["--config", ROOT / "inputs/tiny.toml", "--data", ROOT / "docs", "--steps", "20"]
        first = self.train("tiny/first", text, 60)
        again = self.train("tiny/again", text, 60)
        tiles = self.train("tiny/tiles8", [*text, "--tiles", "8"], 60)
        graph = self.train("tiny/graph", [*text, "--cuda-graph"], 60)
        dropping = [*text, "--hidden-dropout", "0.1", "--attention-dropout", "0.1"]
        dropped = self.train("tiny/dropout", dropping, 60)
        dropped_graph = self.train("tiny/dropout_graph", [*dropping, "--cuda-graph"], 60)
        save = self.output / "checkpoint"
        self.train("tiny/save", [*text[:-1], "10", "--save", save], 60)
        resumed = self.train("tiny/resume", [*text, "--save", save, "--resume"], 60)
        if not (first and again and tiles and resumed):
            return
        for what, one, other in (("a repeated run", first, again), ("a run by a CUDA graph", first, graph),
                                 ("a run with dropout by a CUDA graph", dropped, dropped_graph)):
            weights = [run[2].get("weights") for run in (one or ({}, [], {}), other or ({}, [], {}))]
            self.verdict(f"tiny: {what} has the same weights", weights[0] is not None and weights[0] == weights[1],
                         weights)
        losses = [[step["loss"] for step in run[1]] for run in (first, tiles)]
        worst = max(abs(a - b) for a, b in zip(*losses))
        self.verdict("tiny: losses with 8 tiles are within 0.01", len(losses[0]) == 20 and worst < 0.01, worst)
        self.verdict("tiny: training falls", losses[0][-1] < losses[0][0] - 0.5, [losses[0][0], losses[0][-1]])

    def verdict(self, what, holds, value):
        self.results["sections"][what] = {"code": 0 if holds else 1, "value": value}
        self.say(f"{'ok      ' if holds else 'FAILED  '} {what}: {value}")

    def kernels(self):
        program = self.program("bench_device")
        if program is None:
            return self.missing("bench_device")
        text = self.run("bench_device", [program], 120)
        log = self.output / "bench_device.log"
        lines = (text or log.read_text(errors="replace")).splitlines()
        self.results["bench"] = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return None

    def precisions(self):
        """What to train in, the matrix-product provider, and what PyTorch calls it."""
        program = self.program("gpt_train")
        if program is None:
            return []
        text = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
        if "bf16" in text:
            return [("bf16", "cublas", "bf16"), ("float32", "cublas_tf32", "tf32")]
        return [("float32", "cublas_tf32", "tf32")]

    def models(self):
        self.results["models"] = {}
        for precision, matmul, torch_precision in self.precisions()[: 1 if self.quick else 2]:
            for name, deck, batch, microbatches, steps in MODELS[: 1 if self.quick else 2]:
                if name == "gpt2-1.5b" and torch_precision == "tf32" and len(self.precisions()) > 1:
                    continue
                options = ["--config", ROOT / "inputs" / deck, "--data", self.data(), "--data-format", "u16",
                           "--micro-batch-size", str(batch), "--global-batch-size", str(batch * microbatches),
                           "--steps", str(steps), "--precision", precision, "--matmul", matmul]
                self.model(f"{name}/{torch_precision}", options, batch * microbatches)
                if torch_precision == "bf16":
                    self.model(f"{name}/{torch_precision}/graph", [*options, "--cuda-graph"], batch * microbatches)
                if torch_precision == "bf16" and name == MODELS[0][0]:
                    self.endings(f"{name}/{torch_precision}", options, batch * microbatches)

    def endings(self, name, options, sequences):
        """The same with products that do more: as fast or faster, and nearly the same losses."""
        self.model(f"{name}/endings", options, sequences, ENDINGS)
        losses = [self.results["models"].get(run, {}).get("last_loss") for run in (name, f"{name}/endings")]
        if None not in losses:
            self.verdict(f"{name}: the loss with endings is within 0.02", abs(losses[0] - losses[1]) < 0.02, losses)

    def model(self, name, options, sequences, environment=None):
        """Trains and notes what it took: the median of the steps after the fourth, by when a graph is recorded."""
        run = self.train(name, options, 100, environment)
        if run is None or len(run[1]) < 6:
            return
        times = sorted(step["step_s"] for step in run[1][4:])
        median = times[len(times) // 2]
        tokens = sequences * 1024 / median
        self.results["models"][name] = {
            "tokens_per_s": tokens, "step_s": median, "flop_per_s": tokens * run[0]["flops_per_token"],
            "peak_flop_per_s": run[0].get("peak_flops"), "used_bytes": run[2].get("used_bytes"),
            "matmul": run[0].get("matmul"), "last_loss": run[1][-1].get("loss")}

    def torch(self):
        if subprocess.run([sys.executable, "-c", "import torch"], check=False, capture_output=True).returncode != 0:
            self.say("PyTorch is not installed: nothing to stand beside")
            return
        self.results["torch"] = {}
        precision = self.precisions()[0][2] if self.precisions() else "bf16"
        for mode in ("eager", "compiled"):
            for name, _, batch, microbatches, _ in MODELS[: 1 if self.quick else 2]:
                command = [sys.executable, ROOT / "bench/gpu/torch_gpt2.py", "--model", name, "--batch", str(batch),
                           "--microbatches", str(microbatches), "--precision", precision, "--mode", mode]
                text = self.run(f"torch/{name}/{mode}", command, 150)
                if text:
                    lines = [line for line in text.splitlines() if line.startswith("{")]
                    self.results["torch"][f"{name}/{precision}/{mode}"] = json.loads(lines[-1])

    # The table.

    def table(self):
        bench = self.results.get("bench", [])
        products = {entry["name"]: entry["flop_per_s"] for entry in bench if entry["kind"] == "product"}
        rows = [f"device                            {self.results.get('device')}"]
        for entry in bench:
            if entry["kind"] == "copy":
                rows.append(f"copy                              {entry['bytes_per_s'] / 1e9:9.0f} GB/s")
            elif entry["kind"] == "kernel":
                rows.append(f"{entry['name']:<33} {entry['bytes_per_s'] / 1e9:9.0f} GB/s  "
                            f"{100 * entry['share_of_copy']:5.0f} % of the copy")
            else:
                rows.append(f"{entry['name']:<33} {entry['flop_per_s'] / 1e12:9.1f} TFLOP/s  {entry['seconds'] * 1e3:9.3f} ms")
        largest = max((rate for name, rate in products.items() if "bf16" in name), default=None)
        for name, entry in self.results.get("models", {}).items():
            share = f"{100 * entry['flop_per_s'] / largest:5.1f} % of the bf16 product" if largest else ""
            rows.append(f"{name:<33} {entry['tokens_per_s']:9.0f} tokens/s  {entry['flop_per_s'] / 1e12:6.1f} "
                        f"TFLOP/s  {share}")
        for name, entry in self.results.get("torch", {}).items():
            rows.append(f"PyTorch {name:<25} {entry['tokens_per_s']:9.0f} tokens/s")
        return rows

    def finish(self):
        rows = self.table()
        (self.output / "table.txt").write_text("\n".join(rows) + "\n")
        self.results["table"] = rows
        failed = [name for name, section in self.results["sections"].items() if section.get("code") != 0]
        self.results["failed"] = failed
        (self.output / "results.json").write_text(json.dumps(self.results, indent=1, default=str) + "\n")
        print("\n" + "\n".join(rows))
        print(f"\n{len(self.results['sections']) - len(failed)} sections passed, {len(failed)} did not"
              + (": " + ", ".join(failed) if failed else ""))
        return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--quick", action="store_true", help="the small model alone")
    parser.add_argument("--seconds", type=float, default=460, help="all sections together")
    parser.add_argument("--only", default="", help="names of sections, comma-separated")
    arguments = parser.parse_args()
    check = Check(arguments)
    sections = ["device", "tests", "runs", "kernels", "models", "torch"]
    for name in arguments.only.split(",") if arguments.only else sections:
        getattr(check, name)()
    sys.exit(check.finish())


main()
