# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
"""GPT-2 training steps in PyTorch, eager and compiled, for figures beside gpt_train's: the same model (tied embedding,
learnt positions, tanh-GELU), batch, loss and optimiser (AdamW, clipping at 1).

--precision bf16 is autocast over float32 weights, moments and gradients, as PyTorch users train; --precision tf32 and
float32 say how the products of float32 are made. Attention is scaled_dot_product_attention (flash attention where the
type allows it), AdamW is the fused one. Prints one JSON object.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional

SIZES = {"gpt2-124m": (12, 768, 12), "gpt2-1.5b": (48, 1600, 25)}
VOCABULARY, PADDED = 50257, 50304


class Block(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        batch, length, hidden = x.shape
        parts = self.qkv(self.norm1(x)).split(hidden, dim=2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, hidden))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, hidden, heads, positions):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(PADDED, hidden), nn.Embedding(positions, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, PADDED, bias=False)
        self.head.weight = self.tokens.weight
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def measure(arguments, compiled):
    torch.manual_seed(1)
    layers, hidden, heads = SIZES[arguments.model]
    model = Gpt2(layers, hidden, heads, arguments.length).cuda()
    parameters = sum(p.numel() for p in model.parameters())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    run = torch.compile(model) if compiled else model
    shape = (arguments.microbatches, arguments.batch, arguments.length + 1)
    data = torch.randint(0, VOCABULARY, shape, device="cuda")
    autocast = torch.autocast("cuda", torch.bfloat16, enabled=arguments.precision == "bf16")

    def step():
        for part in data:
            with autocast:
                loss = run(part[:, :-1], part[:, 1:]) / len(data)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.item()

    start = time.perf_counter()
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    warm_up = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(arguments.steps):
        step()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / arguments.steps
    tokens = arguments.microbatches * arguments.batch * arguments.length
    return {"mode": "compiled" if compiled else "eager", "step_s": seconds, "tokens_per_s": tokens / seconds,
            "parameters": parameters, "warm_up_s": warm_up, "peak_bytes": torch.cuda.max_memory_allocated()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SIZES, default="gpt2-124m")
    parser.add_argument("--batch", type=int, default=16, help="sequences of a microbatch")
    parser.add_argument("--microbatches", type=int, default=1)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--precision", choices=("bf16", "tf32", "float32"), default="bf16")
    parser.add_argument("--mode", choices=("eager", "compiled"), default="eager")
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = arguments.precision != "float32"
    result = measure(arguments, arguments.mode == "compiled")
    result.update(model=arguments.model, precision=arguments.precision, batch=arguments.batch,
                  microbatches=arguments.microbatches, length=arguments.length, torch=torch.__version__,
                  device=torch.cuda.get_device_name())
    print(json.dumps(result))


main()
